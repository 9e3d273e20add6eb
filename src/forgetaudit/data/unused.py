"""Columns that were not read: each is named, and where one of them may be what is meant, nothing passes over it."""

from collections.abc import Sequence
from statistics import median

from forgetaudit.data.column import Column, Columns, Kind
from forgetaudit.data.sources import Source
from forgetaudit.data.text_columns import TOKENISED
from forgetaudit.errors import DataError
from forgetaudit.gaps import Gap, Notes
from forgetaudit.wording import counted, some

__all__ = ["unused_columns"]

INPUTS = (Kind.IMAGE, Kind.ARRAY, Kind.TEXT, Kind.CHOICES)
# What describes a text and is none to be judged, though it may be a sentence.
ABOUT = frozenset({
    "title", "name", "source", "author", "category", "topic", "subject", "domain", "file", "filename", "path", "url",
    "uri", "id", "idx", "uid", "guid", "date", "language", "lang", "license", "metadata", "tags", "user", "caption",
    "label_text", "label_name", "explanation",
})  # fmt: skip
# From so many words on, as their median, a column is prose.
PROSE = 3
LOOKED_AT = 200


def unused_columns(source: Source, columns: Columns, used: Sequence[str | None], *, asked: bool) -> Notes:
    """A gap for inputs and classes that were left, a sentence for all else.

    DataError where a column of prose was left beside a text that was not asked for by name: either may be meant.
    """
    left = [column for column in source.columns if column.name not in used]
    tokenised = any(column.kind is Kind.TEXT for column in columns.inputs)
    inputs = [
        column
        for column in left
        if column.kind in (*INPUTS, Kind.CLASS) and not (tokenised and column.plain_name in TOKENISED)
    ]
    if not asked:
        _refuse_two_texts(source, columns, inputs)
    rest = [column.name for column in left if column not in inputs]
    said = (f"not used: {counted(len(rest), 'column')}, {some(rest, shown=5)}",) if rest else ()
    return (*said, *((_gap(columns, inputs, asked=asked),) if inputs else ()))


def _gap(columns: Columns, left: Sequence[Column], *, asked: bool) -> Gap:
    read = " and ".join(column.name for column in columns.inputs)
    label = "" if columns.label is None else f", label {columns.label.name}"
    names = [column.name for column in left]
    why = ", as asked" if asked else ""
    return Gap(
        ident="columns-not-read",
        what=f"of the columns {read} was read{why}{label}; not read: {some(names, shown=4)}",
        advice="where another column is meant, name it with --input-column or --label-column",
        holds="nothing",
        evidence={"read": read, "left": names},
    )


def _refuse_two_texts(source: Source, columns: Columns, left: Sequence[Column]) -> None:
    if columns.inputs[0].kind is not Kind.TEXT:
        return
    texts = [column for column in left if column.kind is Kind.TEXT and column.plain_name not in ABOUT]
    held = [source.texts(column.name, LOOKED_AT) for column in columns.inputs if column.kind is Kind.TEXT]
    open_to_doubt = [
        column
        for column in texts
        if _is_prose(there := source.texts(column.name, LOOKED_AT)) and not _stands_in(there, held)
    ]
    if open_to_doubt:
        read, names = columns.inputs[0].name, [column.name for column in open_to_doubt]
        also = (
            ""
            if columns.of_choices or columns.inputs[1:]
            else f", or both: --input-column {read} --input-column {names[0]}"
        )
        asked = " ".join(f"--input-column {column.name}" for column in columns.inputs)
        raise DataError(
            f"more than one column could be the input: {', '.join([read, *names])}",
            details=[
                f"{some(names)} would not be read, and {'is' if len(names) == 1 else 'are'} text like {read}"
            ],
            hint=f"name what is meant: {asked}{also}",
        )


def _is_prose(texts: Sequence[str | None]) -> bool:
    words = [len(text.split()) for text in texts if text]
    return bool(words) and median(words) >= PROSE


def _stands_in(texts: Sequence[str | None], read: Sequence[Sequence[str | None]]) -> bool:
    """Whether each text is part of what is read in its row, as the beginning of a context is."""
    rows = zip(texts, *read, strict=True)
    return all(any(other is not None and (text or "") in other for other in others) for text, *others in rows)
