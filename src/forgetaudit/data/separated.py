"""CSV and TSV → columns of text, and of numbers where every value is one; a row that does not fit is never left out."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from forgetaudit.data.files import reading
from forgetaudit.errors import DataError, listing

__all__ = ["Separated", "read_separated"]

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
# As pyarrow and pandas write what is missing, beside numbers; among texts these are texts.
MISSING = frozenset(pyarrow.csv.ConvertOptions().null_values)
TYPES = (pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"))
# 01 and 0x1F are names: as numbers they would lose what tells them apart.
NAMED = r"^[+-]?0[0-9xX]"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# What a person writes over a column, and what stands in one.
MOST_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Separated:
    """The typed table; `spelt` holds each column that was read as numbers as it was written; sentences on both."""

    table: pa.Table
    spelt: pa.Table
    notes: tuple[str, ...]


def read_separated(paths: Sequence[Path], delimiter: str) -> Separated:
    """One table of the rows of all files. DataError naming the rows that do not have the fields of the header."""
    tables, notes = [], []
    for path in paths:
        with reading(path):
            table, said = _read(path, delimiter)
        tables.append(table)
        notes += said
    _refuse_different(paths, tables)
    spelt = pa.concat_tables(tables)
    typed = [_typed(column) for column in spelt.columns]
    return Separated(
        table=pa.Table.from_arrays(typed, names=spelt.column_names), spelt=spelt, notes=tuple(notes)
    )


def _refuse_different(paths: Sequence[Path], tables: Sequence[pa.Table]) -> None:
    for path, table in zip(paths, tables, strict=True):
        if table.column_names != tables[0].column_names:
            raise DataError(
                f"{paths[0].name} and {path.name} have different columns",
                details=[", ".join(tables[0].column_names), ", ".join(table.column_names)],
                hint="pass one of them as --data",
            )


def _read(path: Path, delimiter: str) -> tuple[pa.Table, list[str]]:
    rows, notes = (_quoted(path, delimiter), []) if delimiter == "," else _tabbed(path)
    if not rows:
        raise ValueError("the file is empty")
    header = [name.strip() for name in rows[0][1]]
    body = rows[1:]
    _refuse_other_delimiter(path, header, delimiter)
    _refuse_ragged(path, header, body)
    columns = [[row[place] for _, row in body] for place in range(len(header))]
    _refuse_headless(path, header, columns)
    twice = next((name for name, times in Counter(header).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"{path.name} has more than one column {twice}", hint="rename all but one of them")
    return pa.table([pa.array(column, pa.string()) for column in columns], names=header), notes


def _quoted(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """Every row with the line that it ends in. Strict: a quote that is not closed would take rows into its text."""
    return _rows(path, delimiter, csv.QUOTE_MINIMAL)


def _tabbed(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """TSV has no quoting, but for what writers of CSV make of it: known by every field that holds a quote."""
    plain = _rows(path, "\t", csv.QUOTE_NONE)
    if not any('"' in field for _, row in plain for field in row):
        return plain, []
    even = len({len(row) for _, row in plain}) == 1
    if even and not all(_well_quoted(field) for _, row in plain for field in row):
        return plain, [f"{path.name}: quotes are part of the texts, as TSV has it"]
    rows = _rows(path, "\t", csv.QUOTE_MINIMAL)
    torn = [f"line {line}" for line, row in rows for field in row if "\t" in field and "\n" in field]
    if torn:
        raise DataError(
            f"{path.name}: {len(torn)} texts begin with a quote and run over tabs and line breaks",
            details=[listing("rows that end in", torn, shown=3)],
            hint="TSV has no quoting: write tabs and line breaks as spaces, or pass the data as CSV or JSON lines",
        )
    return rows, [f"{path.name}: quoted texts, as CSV has it"]


def _well_quoted(field: str) -> bool:
    inner = field[1:-1].replace('""', "")
    return '"' not in field or (len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner)


def _rows(path: Path, delimiter: str, quoting: int) -> list[tuple[int, list[str]]]:
    found = []
    with _long_fields(), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
        try:
            for row in reader:
                if any("\0" in field for field in row):
                    raise ValueError(f"line {reader.line_num} holds a NUL byte: it may be UTF-16")
                if row:
                    found.append((reader.line_num, row))
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error
    return found


@contextmanager
def _long_fields() -> Iterator[None]:
    """`csv` refuses texts of more than 128 KiB unless told otherwise, for the whole process."""
    before = csv.field_size_limit(sys.maxsize >> 32)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _refuse_other_delimiter(path: Path, header: Sequence[str], delimiter: str) -> None:
    other = next((sign for sign in DELIMITERS if sign != delimiter and sign in header[0]), None)
    if len(header) == 1 and other is not None:
        kind = "csv" if delimiter == "," else "tsv"
        raise DataError(
            f"{path.name} has one column, {header[0]!r}: its fields are parted by {DELIMITERS[other]}",
            details=[f"a {kind} file has {DELIMITERS[delimiter]} between its fields"],
            hint=f"save it with {DELIMITERS[delimiter]}"
            + (", or name it .tsv" if other == "\t" else ", or name it .csv" if other == "," else ""),
        )


def _refuse_ragged(path: Path, header: Sequence[str], body: Sequence[tuple[int, Sequence[str]]]) -> None:
    ragged = [f"line {line} ({len(row)} fields)" for line, row in body if len(row) != len(header)]
    if ragged:
        raise DataError(
            f"{len(ragged):,} of {len(body):,} rows of {path.name} do not have the {len(header)} fields of its header",
            details=[f"header: {', '.join(header)}", listing("rows", ragged, shown=3)],
            hint="put texts that hold the delimiter between quotes, or pass the data as JSON lines",
        )


def _refuse_headless(path: Path, header: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
    """A first line that looks like an example would be left out of the data, and name the columns."""
    counted = [str(place) for place in range(len(header))]
    alike = [name for name, values in zip(header, columns, strict=True) if _like_its_values(name, values)]
    sentence = [name for name in header if len(name.split()) > MOST_WORDS] if len(header) < 4 else []
    if (alike or sentence) and [name for name in header if NUMBER.fullmatch(name)] != counted:
        raise DataError(
            f"the first line of {path.name} looks like an example: it should name the columns",
            details=[f"first line: {' | '.join(header):.100}"],
            hint="begin the file with a line of names, such as text,label; or rename these columns",
        )


def _like_its_values(name: str, values: Sequence[str]) -> bool:
    if not name or not values:
        return False
    if NUMBER.fullmatch(name):
        return all(NUMBER.fullmatch(value.strip()) for value in values if value)
    return values.count(name) > 1 or (len(values) == 1 and values[0] == name)


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """As numbers, truth values or times where every value is one, else the texts as they stand."""
    missing = pc.is_in(column, value_set=pa.array(sorted(MISSING)))
    present = pc.if_else(missing, pa.scalar(None, pa.string()), column)
    if present.null_count == len(column) or pc.any(pc.match_substring_regex(present, NAMED)).as_py():
        return column
    for kind in TYPES:
        try:
            return present.cast(kind)
        except pa.ArrowException:
            continue
    return column
