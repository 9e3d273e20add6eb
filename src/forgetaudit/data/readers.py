"""Data sets → examples, wherever they are kept: the only door to `datasets`, and it stays closed until needed.

Local data are read where they lie; nothing is written, cached or asked of the network. Only what is spelled
`hf://` is loaded through the Hub and its cache.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forgetaudit.data.arguments import HUB, missing
from forgetaudit.data.arrays import read_arrays
from forgetaudit.data.column import Column, Kind
from forgetaudit.data.examples import Examples
from forgetaudit.data.features import described_column, with_features
from forgetaudit.data.files import first_line
from forgetaudit.data.folders import NO_SPLITS, Folder, look_into, read_image_folder
from forgetaudit.data.select_rows import Selection, select_rows
from forgetaudit.data.sources import ArraySource, Source, TableSource
from forgetaudit.data.splits import choose_split
from forgetaudit.data.tables import TABLE_SUFFIXES, read_tables
from forgetaudit.errors import DataError
from forgetaudit.gaps import Gap
from forgetaudit.paths import as_path

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

__all__ = ["examples_of", "open_examples"]


def open_examples(
    where: str,
    *,
    directory: Path,
    split: str | None = None,
    input_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    group_option: str = "--group-by",
    limit: int | None = None,
    seed: int = 0,
    shuffled: bool = False,
) -> Examples:
    """The examples at `where`: a directory or file relative to `directory`, or `hf://id[/config]`.

    `limit` takes a seeded random sample, `shuffled` gives the examples in random order; those alike in `group_column`
    are not independent of each other. What was decided stands in `decisions` of the result. DataError for
    what is missing, empty, damaged, ambiguous, or neither images, arrays nor text.
    """
    source, decisions = _open(where, directory, split)
    choice = Selection(
        input_column=input_column,
        label_column=label_column,
        group_column=group_column,
        group_option=group_option,
        limit=limit,
        seed=seed,
        shuffled=shuffled,
    )
    return select_rows(source, where, decisions, choice)


def examples_of(
    dataset: datasets.Dataset,
    *,
    name: str = "the data set",
    input_column: str | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Examples:
    """The examples of a `datasets.Dataset` at hand; `name` stands for it in messages."""
    choice = Selection(input_column=input_column, label_column=label_column, limit=limit, seed=seed)
    return select_rows(_dataset_source(dataset, name), name, [], choice)


def _open(where: str, directory: Path, split: str | None) -> tuple[Source, list[str | Gap]]:
    """The rows, and sentences on what was decided to get at them."""
    if where.startswith(HUB):
        return _from_hub(where, split)
    path = as_path(where, directory, "--data")
    if not path.exists():
        raise missing(where, directory)
    if path.is_dir() and any((path / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return _from_saved(path, where, split)
    if path.is_dir():
        return _from_folder(look_into(path, where), where, split)
    if split is not None:
        raise DataError(f"{where} is one file, without splits", hint=f"pass --data {where}, without :{split}")
    return _from_files([path], where)


def _from_folder(folder: Folder, where: str, split: str | None) -> tuple[Source, list[str | Gap]]:
    decisions: list[str | Gap] = []
    if NO_SPLITS in folder.splits and split is not None:
        raise DataError(f"{where} has no splits", hint=f"pass --data {where}, without :{split}")
    chosen = NO_SPLITS
    if NO_SPLITS not in folder.splits:
        chosen, said = choose_split(list(folder.splits), split, where)
        decisions.append(said)
    paths = folder.splits[chosen]
    if folder.kind == "images":
        images, said_of_images = read_image_folder(paths[0])
        return images, [*decisions, *said_of_images]
    if len(paths) > 1:
        decisions.append(f"{len(paths)} files read as one: {paths[0].name} to {paths[-1].name}")
    source, notes = _from_files(paths, where)
    return source, [*decisions, *folder.notes, *notes]


def _from_files(paths: Sequence[Path], where: str) -> tuple[Source, list[str | Gap]]:
    suffix = paths[0].suffix.lower()
    if suffix == ".npz":
        if len(paths) > 1:
            raise DataError(
                f"{where} holds {len(paths)} npz files", hint=f"pass --data {where}/{paths[0].name}"
            )
        arrays, unread = read_arrays(paths[0])
        return ArraySource(arrays, unread), []
    if suffix not in TABLE_SUFFIXES or not paths[0].is_file():
        known = ", ".join(sorted(kind.removeprefix(".") for kind in TABLE_SUFFIXES | {".npz"}))
        raise DataError(f"{where} is no kind of data file that is known", hint=f"pass one of {known}")
    rows = read_tables(paths)
    dataset, untyped, notes = with_features(rows.table, where)
    unread = {**rows.unread, **untyped}
    return _dataset_source(dataset, where, rows.spelt, unread), [*rows.notes, *notes]


def _from_saved(path: Path, where: str, split: str | None) -> tuple[Source, list[str | Gap]]:
    import datasets

    if _holds_nothing(path):
        raise DataError(f"{where} is empty", hint="pass data with at least one example")
    try:
        saved = datasets.load_from_disk(str(path))
        for part in saved.values() if isinstance(saved, datasets.DatasetDict) else [saved]:
            # Offsets that point beyond their buffers would end the process when a row is read.
            part.data.table.validate(full=True)
    except Exception as error:
        details = [first_line(error)]
        hint = "save the data set again with save_to_disk"
        raise DataError(f"{where} cannot be read as a saved data set", details=details, hint=hint) from error
    # A data set that was saved alone may carry the name of the split it came from, or none.
    splits = saved if isinstance(saved, datasets.DatasetDict) else {str(saved.split or NO_SPLITS): saved}
    if NO_SPLITS in splits and split is None:
        return _dataset_source(splits[NO_SPLITS], where), []
    if NO_SPLITS in splits:
        raise DataError(f"{where} has no splits", hint=f"pass --data {where}, without :{split}")
    chosen, decision = choose_split(list(splits), split, where)
    return _dataset_source(splits[chosen], where), [decision]


def _holds_nothing(path: Path) -> bool:
    """A data set of no rows is saved without a file of rows, which `datasets` then cannot load."""
    state = path / "state.json"
    try:
        return state.is_file() and json.loads(state.read_text(encoding="utf-8"))["_data_files"] == []
    except (ValueError, KeyError, TypeError):
        return False


def _from_hub(where: str, split: str | None) -> tuple[Source, list[str | Gap]]:
    import datasets

    identifier, config = _hub_parts(where)
    try:
        with _quiet():
            splits = datasets.get_dataset_split_names(identifier, config)
            chosen, decision = choose_split(splits, split, where)
            loaded = datasets.load_dataset(identifier, config, split=chosen)
    except DataError:
        raise
    # The Hub's libraries raise whatever the layer raised that failed: theirs, requests', the file system's.
    except Exception as error:
        offline = any(os.environ.get(name) for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"))
        hint = "it is not in the cache, and HF_HUB_OFFLINE keeps it from being loaded" if offline else None
        raise DataError(
            f"{where} cannot be loaded from the Hub",
            details=[first_line(error)],
            hint=hint or f"check the name, as {HUB}owner/name or {HUB}owner/name/config, and the network",
        ) from error
    return _dataset_source(loaded, where), [decision]


def _hub_parts(where: str) -> tuple[str, str | None]:
    parts = where.removeprefix(HUB).strip("/").split("/")
    if not parts[0] or len(parts) > 3:
        raise DataError(f"{where} names no data set of the Hub", hint=f"write {HUB}owner/name")
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and log lines of `datasets`; its settings are put back."""
    import datasets

    level, had_bars = datasets.logging.get_verbosity(), not datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if had_bars:
            datasets.enable_progress_bars()


def _dataset_source(
    dataset: datasets.Dataset,
    where: str,
    spelt: pa.Table | None = None,
    unread: Mapping[str, str] | None = None,
) -> Source:
    columns = [described_column(name, feature) for name, feature in dataset.features.to_dict().items()]
    if spelt is not None:
        columns = [replace(column, spelt=column.kind is not Kind.TEXT) for column in columns]
    columns += [Column(name=name, kind=Kind.OTHER, unread=why) for name, why in (unread or {}).items()]
    # As arrow, rows come with their images still encoded.
    return TableSource(rows=dataset.with_format("arrow"), where=where, columns=tuple(columns), spelt=spelt)
