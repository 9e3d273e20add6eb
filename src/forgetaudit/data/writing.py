"""Examples and what became of them, written to disk: whole or not at all."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from forgetaudit.data.examples import Choices, Examples
from forgetaudit.errors import OutputError
from forgetaudit.paths import looked_up_output
from forgetaudit.temporaries import room_beside

__all__ = ["refuse_taken", "write_data_set", "write_parquet"]


def refuse_taken(path: Path, option: str, *, folder: bool) -> None:
    """OutputError, before any work, where `path` could not be written in the end; a folder must not be there yet."""
    looked_up_output(path, option)
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{option} {path}: there is no folder {path.parent}", hint="make it first")
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"{option} {path}: {path.parent} cannot be written to", hint="name another folder")
    if folder and (path.exists() or path.is_symlink()):
        raise OutputError(f"{option} {path} is there already", hint="name a folder that is not there yet")
    if not folder and path.exists() and not path.is_file():
        raise OutputError(f"{option} {path} is no file", hint="name a file, as in examples.parquet")


def write_parquet(columns: Mapping[str, Sequence[Any]], path: Path) -> None:
    """One row for each place in the columns. OutputError where the disk does not take it."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(dict(columns))
    _write_complete(
        path, lambda temporary: pyarrow.parquet.write_table(table, temporary / "file"), part="file"
    )


def write_data_set(examples: Examples, rows: Sequence[int], path: Path) -> None:
    """The examples of `rows` with their labels as a data set of `datasets`, which `--data` and a Trainer read."""
    import datasets

    found = [examples.at(row) for row in rows]
    columns: dict[str, list[Any]] = {}
    for example in found:
        for name, value in _columns_of(example.input).items():
            columns.setdefault(name, []).append(value)
    if examples.labelled:
        answer = "answer" if examples.of_choices else "label"
        columns[answer] = [example.label for example in found]
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        table = datasets.Dataset.from_dict(columns)
        if examples.class_names is not None and "label" in columns:
            table = table.cast_column("label", datasets.ClassLabel(names=list(examples.class_names)))
        _write_complete(path, lambda temporary: table.save_to_disk(str(temporary / "folder")), part="folder")
    finally:
        if not bars:
            datasets.enable_progress_bars()


def _columns_of(content: Any) -> dict[str, Any]:
    if isinstance(content, str):
        return {"text": content}
    if isinstance(content, tuple):
        return {"sentence1": content[0], "sentence2": content[1]}
    if isinstance(content, Choices):
        return {"context": content.context, "choices": list(content.choices)}
    return {"x": content} if hasattr(content, "dtype") else {"image": content}


def _write_complete(path: Path, write: Callable[[Path], Any], *, part: str) -> None:
    """Into a folder beside `path`, then renamed, so that what is there is complete."""
    target = path.absolute()
    try:
        with room_beside(target) as room:
            write(room)
            (room / part).replace(target)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written", details=[str(error)], hint="free space, or name another place"
        ) from error
