"""Data files → tables in memory, read with pyarrow: nothing is cached, and nothing written beside the data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from forgetaudit.errors import DataError

__all__ = ["TABLE_SUFFIXES", "read_arrays", "read_tables"]

TABLE_SUFFIXES = frozenset({".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".txt"})


def read_tables(paths: Sequence[Path]) -> pa.Table:
    """One table of the rows of all files, in the order given; column names without spaces around them.

    Arrow files are mapped, all others are read whole. DataError for a file that is not what its name says.
    """
    tables = [_read(path) for path in paths]
    tables = [_renamed(table, path) for table, path in zip(tables, paths, strict=True)]
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        names = ", ".join(path.name for path in paths)
        details = [_first_line(error)]
        raise DataError(
            f"{names} have different columns", details=details, hint="pass one of them as --data"
        ) from error


def read_arrays(path: Path) -> Mapping[str, NDArray[np.generic]]:
    """The arrays of an .npz file, each with one row per example along its first dimension."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        raise _unreadable(path, error) from error
    if len({array.shape[:1] for array in arrays.values()}) > 1:
        shapes = [f"{name} {list(array.shape)}" for name, array in arrays.items()]
        hint = "store arrays with one row per example each"
        raise DataError(f"the arrays in {path.name} differ in length", details=[", ".join(shapes)], hint=hint)
    return arrays


def _read(path: Path) -> pa.Table:
    # Whatever a damaged file makes a parser raise, the user has one thing to do about it.
    try:
        match path.suffix.lower():
            case ".csv":
                return _separated(path, ",")
            case ".tsv":
                return _separated(path, "\t")
            case ".parquet":
                return pa.parquet.read_table(path)
            case ".arrow":
                return _read_arrow(path)
            case ".json":
                return _from_records(json.loads(path.read_text(encoding="utf-8")))
            case ".txt":
                return _texts(path)
            case _:
                return _from_records(_lines(path))
    except Exception as error:
        raise _unreadable(path, error) from error


def _renamed(table: pa.Table, path: Path) -> pa.Table:
    names = [name.strip() for name in table.column_names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path.name} has more than one column {twice}", hint="rename all but one of them")
    # Renaming forgets what the file says of its columns, such as the names of classes.
    return table if names == table.column_names else table.rename_columns(names)


def _read_arrow(path: Path) -> pa.Table:
    """Either of arrow's two formats: `datasets` writes streams."""
    try:
        return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _separated(path: Path, delimiter: str) -> pa.Table:
    # A quoted text may hold line breaks, which pyarrow otherwise takes for the end of a row.
    options = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    return pa.csv.read_csv(path, parse_options=options)


def _texts(path: Path) -> pa.Table:
    """One text a line; empty lines part nothing and are none."""
    with path.open(encoding="utf-8-sig") as file:
        return pa.table({"text": pa.array([line.strip() for line in file if line.strip()], pa.string())})


def _lines(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _from_records(records: Any) -> pa.Table:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("not a list of objects, one for each example")
    # Without the names, pyarrow takes the columns of the first record and drops all others.
    names = dict.fromkeys(name for record in records for name in record)
    return pa.table({name: [record.get(name) for record in records] for name in names})


def _unreadable(path: Path, error: Exception) -> DataError:
    kind = path.suffix.lower().removeprefix(".")
    hint = f"check that {path.name} is complete and really {kind}"
    return DataError(f"{path} cannot be read as {kind}", details=[_first_line(error)], hint=hint)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
