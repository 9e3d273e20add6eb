"""Which column is the input and which the label: by what they hold, then by their names; never by guessing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from forgetaudit.errors import DataError

__all__ = ["Column", "Columns", "Kind", "choose_columns"]

INPUT_NAMES = ("image", "img", "pixel_values", "x", "input", "inputs", "features")
LABEL_NAMES = ("label", "labels", "target", "class", "y")


class Kind(Enum):
    """What a column holds, as far as the choice needs it."""

    IMAGE = "images"
    ARRAY = "arrays of numbers"
    CLASS = "class labels"
    INTEGER = "whole numbers"
    DECIMAL = "decimal numbers"
    TEXT = "text"
    OTHER = "something else"


# What may hold labels without saying so: csv and json know no class labels, and write 3 as 3.0 beside a gap.
UNTYPED = (Kind.INTEGER, Kind.DECIMAL, Kind.TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as its data set declares it.

    Where the type says so: `class_names`, an image's `mode`, the numpy name of an array's `dtype`. `named_by`
    says where class names come from whose order was chosen here.
    """

    name: str
    kind: Kind
    class_names: tuple[str, ...] | None = None
    named_by: str | None = None
    mode: str | None = None
    dtype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns to read; `label` is None where the data set has none. `decision` says which and why."""

    input: Column
    label: Column | None
    decision: str


def choose_columns(
    columns: Sequence[Column], *, input_column: str | None = None, label_column: str | None = None
) -> Columns:
    """The input and label columns among `columns`; the names given overrule the detection.

    DataError for a name that is not there, a column that cannot serve, two that could, text, or no input at all.
    """
    if input_column is not None and input_column == label_column:
        raise DataError(f"column {input_column} cannot be input and label at once", hint="name two columns")
    label, why_label = _choose_label([c for c in columns if c.name != input_column], label_column)
    others = [column for column in columns if column is not label]
    chosen = _choose_input(others, input_column)
    if chosen is None:
        raise _no_input(columns)
    input_, why_input = chosen
    said_label = f"label {label.name} ({why_label})" if label else "no label column"
    decision = f"input {input_.name} ({why_input}), {said_label}"
    return Columns(input=input_, label=label, decision=decision)


def _choose_input(columns: Sequence[Column], asked: str | None) -> tuple[Column, str] | None:
    if asked is not None:
        column = _named(asked, columns, "--input-column")
        if column.kind not in (Kind.IMAGE, Kind.ARRAY):
            raise _unfit(column, "an input", "--input-column", "images or arrays of numbers")
        return column, f"asked for, {column.kind.value}"
    for kind in (Kind.IMAGE, Kind.ARRAY):
        found = _one_of([column for column in columns if column.kind is kind], INPUT_NAMES, "--input-column")
        if found is not None:
            return found, f"by type, {kind.value}"
    return None


def _choose_label(columns: Sequence[Column], asked: str | None) -> tuple[Column | None, str]:
    if asked is not None:
        column = _named(asked, columns, "--label-column")
        if column.kind not in (Kind.CLASS, *UNTYPED):
            raise _unfit(column, "a label", "--label-column", "class labels, whole numbers or class names")
        return column, f"asked for, {column.kind.value}"
    typed = [column for column in columns if column.kind is Kind.CLASS]
    found = _one_of(typed, LABEL_NAMES, "--label-column")
    if found is not None:
        return found, "by type, class labels"
    fitting = [column for column in columns if column.kind in UNTYPED]
    named = [column for column in fitting if _plain(column.name) in LABEL_NAMES]
    found = _one_of(named, (), "--label-column")
    return found, f"by name, {found.kind.value}" if found else ""


def _one_of(candidates: Sequence[Column], names: Sequence[str], option: str) -> Column | None:
    """The only candidate, or the only one with a usual name; None without candidates, else an error."""
    usual = [column for column in candidates if _plain(column.name) in names]
    if not candidates:
        return None
    if len(candidates) == 1 or len(usual) == 1:
        return usual[0] if len(usual) == 1 else candidates[0]
    what = "the input" if option == "--input-column" else "the label"
    raise DataError(
        f"more than one column could be {what}: {_names(candidates)}",
        details=[f"each holds {' or '.join(sorted({column.kind.value for column in candidates}))}"],
        hint=f"name one: {option} {candidates[0].name}",
    )


def _named(asked: str, columns: Sequence[Column], option: str) -> Column:
    found = next((column for column in columns if column.name == asked), None)
    if found is not None:
        return found
    near = get_close_matches(asked, [column.name for column in columns], n=1)
    hint = f"did you mean {option} {near[0]}?" if near else f"pass one of them as {option}"
    raise DataError(
        f"there is no column {asked} for {option}", details=[f"columns: {_names(columns)}"], hint=hint
    )


def _unfit(column: Column, role: str, option: str, fitting: str) -> DataError:
    hint = f"{option} takes a column of {fitting}"
    if role == "an input" and column.kind is Kind.TEXT:
        hint = "text needs the text tasks, which come with the next version"
    return DataError(f"column {column.name} holds {column.kind.value}: it cannot be {role}", hint=hint)


def _no_input(columns: Sequence[Column]) -> DataError:
    held = _names(columns, lambda column: f"{column.name} ({column.kind.value})")
    if any(column.kind is Kind.TEXT for column in columns):
        return DataError(
            "the data set holds text, no images or arrays",
            details=[f"columns: {held}"],
            hint="text needs the text tasks, which come with the next version",
        )
    return DataError(
        "no column holds images or arrays of numbers",
        details=[f"columns: {held or 'none'}"],
        hint="give the data set an Image column, or one of arrays of equal shape",
    )


def _names(columns: Sequence[Column], told: Callable[[Column], str] = lambda column: column.name) -> str:
    return ", ".join(told(column) for column in columns)


def _plain(name: str) -> str:
    return name.strip().lower()
