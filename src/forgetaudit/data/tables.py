"""Data files → tables in memory, read with pyarrow: nothing is cached, and nothing written beside the data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from forgetaudit.data.files import first_line, reading
from forgetaudit.data.records import read_records
from forgetaudit.data.separated import read_separated
from forgetaudit.errors import DataError
from forgetaudit.gaps import Notes

__all__ = ["TABLE_SUFFIXES", "Rows", "read_tables"]

TABLE_SUFFIXES = frozenset({".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".txt"})

# A quarter of a gigabyte from a file a hundredth of that size is a trap, or says nothing.
LARGE = 1 << 28
MOST_DEFLATED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The columns that could be read, and why each other one could not.

    `spelt` are the texts of columns that were read as numbers out of text, for whoever wants them as they stand.
    """

    table: pa.Table
    spelt: pa.Table | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    notes: Notes = ()


def read_tables(paths: Sequence[Path]) -> Rows:
    """The rows of all files, in the order given; column names without spaces around them.

    Arrow files are mapped, all others are read whole. DataError for a file that is not what its name says.
    """
    match paths[0].suffix.lower():
        case ".csv" | ".tsv" as suffix:
            read = read_separated(paths, "," if suffix == ".csv" else "\t")
            return Rows(table=read.table, spelt=read.spelt, notes=read.notes)
        case ".json" | ".jsonl":
            table, unread = read_records(paths)
            return Rows(
                table=_renamed(table, paths[0]), unread={name.strip(): why for name, why in unread.items()}
            )
        case _:
            return Rows(table=_concatenated(paths))


def _concatenated(paths: Sequence[Path]) -> pa.Table:
    tables = []
    for path in paths:
        with reading(path):
            tables.append(_renamed(_read(path), path))
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        names = ", ".join(path.name for path in paths)
        details = [first_line(error)]
        raise DataError(
            f"{names} have different columns", details=details, hint="pass one of them as --data"
        ) from error


def _read(path: Path) -> pa.Table:
    match path.suffix.lower():
        case ".parquet":
            return _read_parquet(path)
        case ".arrow":
            return _read_arrow(path)
        case _:
            return _texts(path)


def _renamed(table: pa.Table, path: Path) -> pa.Table:
    names = [name.strip() for name in table.column_names]
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"{path.name} has more than one column {twice}", hint="rename all but one of them")
    # Renaming forgets what the file says of its columns, such as the names of classes.
    return table if names == table.column_names else table.rename_columns(names)


def _read_parquet(path: Path) -> pa.Table:
    """Its footer says how much it holds, and is believed only where a file of that size can hold it."""
    with pa.parquet.ParquetFile(path) as file:
        about = file.metadata
        groups = [about.row_group(place) for place in range(about.num_row_groups)]
        swollen = max(sum(group.total_byte_size for group in groups), about.num_rows * about.num_columns)
        if swollen > LARGE and swollen > MOST_DEFLATED * path.stat().st_size:
            raise DataError(
                f"{path.name} has {path.stat().st_size:,} bytes and would take {swollen:,} or more",
                details=[f"its footer claims {about.num_rows:,} rows of {about.num_columns} columns"],
                hint="if it is yours, write it again without compression",
            )
        table = file.read()
    table.validate(full=True)
    return table


def _read_arrow(path: Path) -> pa.Table:
    """Either of arrow's two formats: `datasets` writes streams."""
    try:
        table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    # Offsets that point beyond their buffers would end the process when a row is read.
    table.validate(full=True)
    return table


def _texts(path: Path) -> pa.Table:
    """One text a line; empty lines part nothing and are none."""
    with path.open(encoding="utf-8-sig") as file:
        return pa.table({"text": pa.array([line.strip() for line in file if line.strip()], pa.string())})
