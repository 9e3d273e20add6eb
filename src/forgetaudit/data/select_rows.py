"""Rows → examples: which columns, which labels, which groups, and which of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Any

from forgetaudit.data.columns import Column, Columns, Kind, choose_columns, refuse_unread
from forgetaudit.data.examples import Examples, Input, sample
from forgetaudit.data.labels import Labels, names_beside, places_of_ones, read_labels
from forgetaudit.data.questions import read_questions
from forgetaudit.data.sources import Source
from forgetaudit.data.unused import unused_columns
from forgetaudit.errors import DataError
from forgetaudit.gaps import Gap, Notes
from forgetaudit.wording import some

__all__ = ["Selection", "select_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was asked for by name, and how many rows: None is left to detection, or means all."""

    input_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    group_option: str = "--group-by"
    limit: int | None = None
    seed: int = 0
    shuffled: bool = False


def select_rows(source: Source, where: str, decisions: Sequence[str | Gap], choice: Selection) -> Examples:
    """The examples in the rows of `source`; `decisions` are those that led to it. DataError where nothing fits."""
    if not len(source):
        raise DataError(f"{where} is empty", hint="pass data with at least one example")
    columns = choose_columns(
        source.columns, input_column=choice.input_column, label_column=choice.label_column
    )
    if columns.of_choices:
        read, labels, said = read_questions(source, columns)
    else:
        labels, said = _labels(source, columns.label)
        read = partial(_read, source, columns.inputs)
    groups, grouped = _groups(source, choice.group_column, choice.group_option)
    used = [column.name for column in columns.inputs]
    used += [] if columns.label is None else [columns.label.name, *_class_name_columns(columns.label)]
    left = unused_columns(
        source, columns, [*used, choice.group_column], asked=choice.input_column is not None
    )
    rows, drawn = sample(len(source), choice.limit, choice.seed, shuffled=choice.shuffled)
    return Examples(
        read,
        rows,
        labels=labels.ids if labels else None,
        class_names=labels.class_names if labels else None,
        decisions=(
            *decisions,
            columns.decision,
            *said,
            *grouped,
            *left,
            *_empty(source, columns, rows),
            drawn,
        ),
        groups=groups,
        of_text=columns.inputs[0].kind is Kind.TEXT and not columns.of_choices,
        of_choices=columns.of_choices,
    )


def _groups(source: Source, name: str | None, option: str) -> tuple[Sequence[str] | None, list[str]]:
    """What every row has in the column to group by, as text; None where none is asked for."""
    if name is None:
        return None, []
    known = [column.name for column in source.columns]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise DataError(
            f"there is no column {name} to group by ({option})",
            hint=f"{hint}the columns are {', '.join(known)}",
        )
    column = next(column for column in source.columns if column.name == name)
    refuse_unread(column, option)
    if column.kind in (Kind.IMAGE, Kind.ARRAY):
        raise DataError(
            f"column {name} holds {column.kind.value}, which name no groups",
            hint="pass a column of names or whole numbers",
        )
    values = [str(value) for value in source.values(name)]
    done, what = ("stratified", "strata") if option == "--strata" else ("grouped", "groups")
    return values, [f"{done} by {name}: {len(set(values)):,} {what} in {len(values):,} rows"]


def _labels(source: Source, label: Column | None) -> tuple[Labels | None, list[str]]:
    """The labels of all rows, None where there are none, and sentences on them."""
    if label is None:
        return None, []
    values = source.values(label.name)
    if label.kind is Kind.ARRAY:
        values = places_of_ones(values, label.name)
    named, beside = _named_beside(source, label, values)
    labels = read_labels(values, named.class_names, label.name, named_by=label.named_by)
    if labels is None:
        return None, [f"{label.name} is empty or -1 in every row"]
    return labels, [*beside, labels.decision]


def _named_beside(source: Source, label: Column, values: Sequence[Any]) -> tuple[Column, list[str]]:
    """Numbers without names may have them in a column beside: label_text, as SetFit writes it, or label_name."""
    if label.kind is Kind.INTEGER and label.class_names is None:
        for column in source.columns:
            if column.kind is Kind.TEXT and column.name in _class_name_columns(label):
                names = names_beside(values, source.values(column.name))
                if names is not None:
                    return replace(label, class_names=names), [f"classes named by column {column.name}"]
    return label, []


def _class_name_columns(label: Column) -> tuple[str, str]:
    """What columns are called that spell the classes out."""
    return f"{label.name}_text", f"{label.name}_name"


def _empty(source: Source, columns: Columns, rows: Sequence[int]) -> Notes:
    """Texts of which nothing is left to read are counted; where most are, another column is meant."""
    texts = [column for column in columns.inputs if column.kind is Kind.TEXT]
    if not texts:
        return ()
    held = [source.texts(column.name) for column in texts]
    empty = [row for row in rows if all((column[row] or " ").isspace() for column in held)]
    if len(empty) == len(rows):
        raise DataError(
            f"every text in {texts[0].name} is empty", hint="name the column of texts with --input-column"
        )
    if not empty:
        return ()
    gap = Gap(
        ident="empty-texts",
        what=f"{len(empty):,} of {len(rows):,} texts in {texts[0].name} are empty: rows {some([*map(str, empty)])}",
        advice="leave these rows out, or name the right column with --input-column",
        holds="behaviour" if 2 * len(empty) > len(rows) else "nothing",
        evidence={"n_empty": len(empty), "n": len(rows)},
    )
    return (gap,)


def _read(source: Source, inputs: Sequence[Column], row: int) -> Input:
    """What one row holds; of two columns the two texts."""
    if len(inputs) == 1:
        return source.read(inputs[0], row)
    first, second = (str(source.read(column, row)) for column in inputs)
    return first, second
