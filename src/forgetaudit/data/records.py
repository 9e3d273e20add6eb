"""JSON and JSON lines → columns: each record has one meaning or none, and a column that mixes types spoils no other."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from forgetaudit.data.column import Kind
from forgetaudit.data.files import first_line, reading

__all__ = ["read_records"]


def read_records(paths: Sequence[Path]) -> tuple[pa.Table, Mapping[str, str]]:
    """One row for each object in the files, in their order; and why each of the other columns cannot be read.

    DataError for a file that is no JSON, and for a record with two values of one name.
    """
    records: list[dict[str, Any]] = []
    for path in paths:
        with reading(path):
            records += _objects(path)
    # Without the names, pyarrow takes the columns of the first record and drops all others.
    names = dict.fromkeys(name for record in records for name in record)
    columns, unread = {}, {}
    for name in names:
        values = [record.get(name) for record in records]
        if not _is_text(name):
            unread[name.encode("utf-8", "backslashreplace").decode()] = (
                "has a name that is no text of Unicode"
            )
            continue
        try:
            columns[name] = pa.array(values)
        except Exception as error:
            unread[name] = _mixture(values) or f"holds what has no common type: {first_line(error)}"
    # A table of no columns forgets how many rows it has.
    rows = pa.table(columns) if columns else pa.table({"": pa.nulls(len(records))}).select([])
    return rows, unread


def _is_text(name: str) -> bool:
    """JSON can spell half of a surrogate pair, which no table takes as a name."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _objects(path: Path) -> list[dict[str, Any]]:
    records = list(_lines(path)) if path.suffix.lower() == ".jsonl" else _parse_document(path)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("not a list of objects, one for each example")
    return records


def _parse_document(path: Path) -> Any:
    return _parsed(path.read_text(encoding="utf-8-sig"))


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield _parsed(line)
                except ValueError as error:
                    raise ValueError(f"line {number}: {first_line(error)}") from error


def _parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_one_value_each, parse_constant=_refuse_constant)


def _one_value_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two values they keep, so neither is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise ValueError(f"a record has two values for {twice!r}")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON: write null, or leave the record out")


def _mixture(values: Sequence[Any]) -> str | None:
    """The first two kinds of value that do not go together, each with its row."""
    first: dict[str, int] = {}
    for row, value in enumerate(values):
        if value is not None:
            first.setdefault(_kind(value), row)
    if len(first) < 2:
        return None
    return "holds " + " and ".join(f"{kind} (row {row})" for kind, row in list(first.items())[:2])


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "numbers"
        case str():
            return Kind.TEXT.value
        case list():
            return "lists"
        case _:
            return "objects"
