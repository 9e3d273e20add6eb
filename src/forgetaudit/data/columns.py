"""Which column is the input and which the label: by what they hold, then by their names; never by guessing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from forgetaudit.data.choice_columns import ANSWER_NAMES, choices_column, context_column, with_choices
from forgetaudit.data.column import Column, Columns, Kind
from forgetaudit.data.layouts import refuse_layout
from forgetaudit.data.text_columns import TEXT_NAMES, TOKENISED, text_inputs
from forgetaudit.errors import DataError

__all__ = ["Column", "Columns", "Kind", "choose_columns", "refuse_unread"]

INPUT_NAMES = ("image", "img", "pixel_values", "x", "input", "inputs", "features")
LABEL_NAMES = ("label", "labels", "target", "class", "y")


INPUTS = (Kind.IMAGE, Kind.ARRAY, Kind.TEXT)
# What may hold labels without saying so: csv and json know no class labels, and write 3 as 3.0 beside a gap.
UNTYPED = (Kind.INTEGER, Kind.DECIMAL, Kind.TEXT)


def choose_columns(
    columns: Sequence[Column], *, input_column: str | None = None, label_column: str | None = None
) -> Columns:
    """The input and label columns among `columns`; the names given overrule the detection.

    `input_column` may name two columns of text, or one of text and one of choices, with a comma between them.
    DataError for a name that is not there, a column that cannot serve, two that could, or no input at all.
    """
    asked = _input_columns(columns, input_column)
    if label_column is not None and label_column in asked:
        raise DataError(f"column {label_column} cannot be input and label at once", hint="name two columns")
    choices = choices_column(columns, asked)
    if not asked and choices is None and Kind.IMAGE not in [column.kind for column in columns]:
        refuse_layout(columns)
    others = [column for column in columns if column.name not in asked and column is not choices]
    label, why_label = _choose_label(others, label_column, of_choices=choices is not None)
    if asked:
        inputs, why_inputs = _named_inputs(columns, asked)
    elif choices is not None:
        inputs, why_inputs = (
            (context_column(others, label, choices), choices),
            "by name, a context with choices",
        )
    else:
        inputs, why_inputs = _find_inputs(columns, label)
    said_inputs = " and ".join(column.name for column in inputs)
    said_label = f"label {label.name} ({why_label})" if label else "no label column"
    return Columns(inputs=inputs, label=label, decision=f"input {said_inputs} ({why_inputs}), {said_label}")


def _input_columns(columns: Sequence[Column], asked: str | None) -> tuple[str, ...]:
    """A column's name may hold a comma; what is no column's name is taken apart at it."""
    if asked is None:
        return ()
    if asked in [column.name for column in columns]:
        return (asked,)
    return tuple(part.strip() for part in asked.split(","))


def _named_inputs(columns: Sequence[Column], asked: Sequence[str]) -> tuple[tuple[Column, ...], str]:
    inputs = tuple(_as_text(_named(name, columns, "--input-column")) for name in asked)
    if any(column.kind is Kind.CHOICES for column in inputs):
        return with_choices(inputs), "asked for, a context with choices"
    unfit = next((column for column in inputs if column.kind not in INPUTS), None)
    if unfit is not None:
        raise _unfit(unfit, "an input", "--input-column", "images, arrays of numbers or text")
    if len(inputs) > 1 and ({c.kind for c in inputs} != {Kind.TEXT} or len(inputs) != 2 or len({*asked}) < 2):
        held = _names(inputs, lambda column: f"{column.name} ({column.kind.value})")
        raise DataError(f"{held} cannot be one input", hint="--input-column takes one column, or two of text")
    kind = "pairs of texts" if len(inputs) == 2 else inputs[0].kind.value
    return inputs, f"asked for, {kind}"


def _as_text(column: Column) -> Column:
    """Numbers that were written as text are that text where it is wanted."""
    return replace(column, kind=Kind.TEXT) if column.spelt else column


def _find_inputs(columns: Sequence[Column], label: Column | None) -> tuple[tuple[Column, ...], str]:
    """Images before all else. Text has no type of its own, so beside arrays only its name makes it a candidate."""
    others = [
        _as_text(column) if column.plain_name in TEXT_NAMES else column
        for column in columns
        if column is not label
    ]
    _refuse_unread_named(others, (*INPUT_NAMES, *TEXT_NAMES), "--input-column")
    image = _one_of([column for column in others if column.kind is Kind.IMAGE], INPUT_NAMES, "--input-column")
    if image is not None:
        return (image,), f"by type, {Kind.IMAGE.value}"
    texts = {column.name: column for column in others if column.kind is Kind.TEXT}
    chosen, why_text = text_inputs(list(texts))
    named = chosen if why_text.startswith("by name") else ()
    # Beside its tokens, what is called labels are tokens, too.
    tokens = (*TOKENISED, *LABEL_NAMES) if {c.plain_name for c in others} & TOKENISED else ()
    arrays = [c for c in others if c.kind is Kind.ARRAY and not (texts and c.plain_name in tokens)]
    if arrays and named:
        raise _ambiguous([*(texts[name] for name in named), *arrays], "the input", "--input-column")
    array = _one_of(arrays, INPUT_NAMES, "--input-column")
    if array is not None:
        return (array,), f"by type, {Kind.ARRAY.value}"
    if chosen:
        return tuple(texts[name] for name in chosen), why_text
    if texts:
        raise _ambiguous(list(texts.values()), "the input", "--input-column")
    raise _no_input(columns)


def _choose_label(
    columns: Sequence[Column], asked: str | None, *, of_choices: bool
) -> tuple[Column | None, str]:
    """By type, then by name; beside choices by name alone, as class labels may be anything there."""
    if asked is not None:
        column = _named(asked, columns, "--label-column")
        if column.kind not in (Kind.CLASS, Kind.ARRAY, *UNTYPED):
            raise _unfit(
                column,
                "a label",
                "--label-column",
                "class labels, whole numbers, class names or one-hot rows",
            )
        return column, f"asked for, {column.kind.value}"
    names = ANSWER_NAMES if of_choices else LABEL_NAMES
    _refuse_unread_named(columns, names, "--label-column")
    typed = [column for column in columns if column.kind is Kind.CLASS]
    found = None if of_choices else _one_of(typed, LABEL_NAMES, "--label-column")
    if found is not None:
        return found, "by type, class labels"
    fitting = [column for column in columns if column.kind in (UNTYPED, (*UNTYPED, Kind.CLASS))[of_choices]]
    named = [column for column in fitting if _plain(column.name) in names]
    found = _one_of(named or _rows_of_labels(columns), (), "--label-column")
    return found, f"by name, {found.kind.value}" if found else ""


def _rows_of_labels(columns: Sequence[Column]) -> list[Column]:
    """Arrays that are named as labels, beside something to be labelled; with a tokenizer's arrays they are tokens."""
    rows = [column for column in columns if column.kind is Kind.ARRAY and column.plain_name in LABEL_NAMES]
    others = [column for column in columns if column.kind in INPUTS and column not in rows]
    return [] if not others or any(column.plain_name in TOKENISED for column in others) else rows


def _one_of(candidates: Sequence[Column], names: Sequence[str], option: str) -> Column | None:
    """The only candidate, or the only one with a usual name; None without candidates, else an error."""
    usual = [column for column in candidates if _plain(column.name) in names]
    if not candidates:
        return None
    if len(candidates) == 1 or len(usual) == 1:
        return usual[0] if len(usual) == 1 else candidates[0]
    raise _ambiguous(candidates, "the input" if option == "--input-column" else "the label", option)


def _ambiguous(candidates: Sequence[Column], what: str, option: str) -> DataError:
    texts = [column.name for column in candidates if column.kind is Kind.TEXT]
    both = f", or two that are judged together: {option} {texts[0]} {option} {texts[1]}" if texts[1:] else ""
    return DataError(
        f"more than one column could be {what}: {_names(candidates)}",
        details=[f"each holds {' or '.join(sorted({column.kind.value for column in candidates}))}"],
        hint=f"name one: {option} {candidates[0].name}{both if what == 'the input' else ''}",
    )


def _named(asked: str, columns: Sequence[Column], option: str) -> Column:
    found = next((column for column in columns if column.name == asked), None)
    if found is not None:
        refuse_unread(found, option)
        return found
    near = get_close_matches(asked, [column.name for column in columns], n=1)
    hint = f"did you mean {option} {near[0]}?" if near else f"pass one of them as {option}"
    raise DataError(
        f"there is no column {asked} for {option}", details=[f"columns: {_names(columns)}"], hint=hint
    )


def refuse_unread(column: Column, option: str) -> None:
    """DataError where the column is one that cannot be read."""
    if column.unread is not None:
        raise DataError(
            f"column {column.name} cannot be read: it {column.unread}",
            hint=f"give it one plain type in every row, or name another column with {option}",
        )


def _refuse_unread_named(columns: Sequence[Column], names: Sequence[str], option: str) -> None:
    """A column with a usual name that cannot be read is not passed over for another."""
    for column in columns:
        if column.plain_name in names:
            refuse_unread(column, option)


def _unfit(column: Column, role: str, option: str, fitting: str) -> DataError:
    hint = f"{option} takes a column of {fitting}"
    return DataError(f"column {column.name} holds {column.kind.value}: it cannot be {role}", hint=hint)


def _no_input(columns: Sequence[Column]) -> DataError:
    held = _names(columns, lambda column: f"{column.name} ({column.kind.value})")
    return DataError(
        "no column holds images, arrays of numbers or text",
        details=[f"columns: {held or 'none'}"],
        hint="give the data set a column of images, of text, or of arrays of equal shape",
    )


def _names(columns: Sequence[Column], told: Callable[[Column], str] = lambda column: column.name) -> str:
    return ", ".join(told(column) for column in columns)


def _plain(name: str) -> str:
    return name.strip().lower()
