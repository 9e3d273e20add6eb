"""The words of `--data`: which data set is meant, decided without opening it and never by asking the network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from forgetaudit.errors import DataError, UsageError
from forgetaudit.paths import as_path

__all__ = ["HARNESS", "HUB", "DataAddress", "DataEntry", "missing", "parse_data"]

HUB = "hf://"
HARNESS = "lm-eval:"


class DataEntry(Protocol):
    """An entry `[data.NAME]` of the config; its path is relative to the config's folder."""

    @property
    def path(self) -> str:
        """Anything that `--data` takes, but for another entry's name."""
        ...

    @property
    def split(self) -> str | None:
        """The split to read."""
        ...

    @property
    def input(self) -> str | None:
        """The input column."""
        ...

    @property
    def label(self) -> str | None:
        """The label column."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAddress:
    """One data set: its `name` in the report, and `where` it is, relative to `directory` or at the Hub.

    `decision` is a sentence that says how the words were understood. What is None is left to detection.
    """

    name: str
    where: str
    directory: Path
    decision: str
    split: str | None = None
    input_column: str | None = None
    label_column: str | None = None


def parse_data(
    text: str, *, entries: Mapping[str, DataEntry], directory: Path, entries_directory: Path | None = None
) -> DataAddress:
    """What `--data TEXT` means: `NAME`, `NAME:split` or `name=WHERE`, relative to `directory`.

    A name is an entry of the config, else a directory or file, else at the Hub where it begins with `hf://`, or a
    task of lm-eval where it begins with `lm-eval:`;
    an existing path that holds `:` or `=` is that path. DataError with the nearest names where there is none.
    """
    if text in entries or text.startswith((HUB, HARNESS)) or _exists(text, directory):
        return _address(text, entries, directory, entries_directory)
    name, equals, where = text.partition("=")
    if equals and name and where:
        return replace(_address(where, entries, directory, entries_directory), name=name)
    if equals:
        raise UsageError(f"--data {text} lacks a name or a place", hint="write --data NAME=PATH")
    return _address(text, entries, directory, entries_directory)


def missing(where: str, directory: Path, *, entries: Mapping[str, DataEntry] | None = None) -> DataError:
    """The refusal for a path that is not there: names the nearest, and how to mean the Hub."""
    path = directory / where
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, sorted({*beside, *(entries or {})}), n=3)
    hub = f"or write {HUB}{where} for a data set of the Hugging Face Hub"
    hint = f"did you mean {', '.join(near)}? {hub}" if near else f"check the path, {hub}"
    details = [] if path.parent.is_dir() else [f"there is no folder {path.parent}"]
    return DataError(f"there is no data at {where}", details=details, hint=hint)


def _address(
    text: str, entries: Mapping[str, DataEntry], directory: Path, entries_directory: Path | None
) -> DataAddress:
    """`WHERE` or `WHERE:split`, without a name before it."""
    if text.startswith(HARNESS) and text not in entries and not _exists(text, directory):
        return _from_harness(text, directory)
    where, split = _split_off(text, entries, directory)
    if where in entries:
        found = _from_entry(where, entries[where], directory, entries_directory or directory)
    elif where.startswith(HUB):
        decision = f"{where}: from the Hugging Face Hub"
        found = DataAddress(name=_hub_name(where), where=where, directory=directory, decision=decision)
    else:
        found = _from_path(where, directory, entries)
    if split is None:
        return found
    decision = f"{found.decision}, split {split}"
    return replace(found, name=f"{found.name}:{split}", split=split, decision=decision)


def _from_harness(text: str, directory: Path) -> DataAddress:
    """A task of lm-eval by name, or by the path of its YAML."""
    task = text.removeprefix(HARNESS)
    if not task:
        raise UsageError(f"--data {text} names no task", hint=f"write --data {HARNESS}hellaswag")
    name = Path(task).stem if task.endswith((".yaml", ".yml")) else task
    return DataAddress(
        name=name, where=text, directory=directory, decision=f"{text}: run by lm-eval for every model"
    )


def _split_off(text: str, entries: Mapping[str, DataEntry], directory: Path) -> tuple[str, str | None]:
    """A colon parts the split only where what stands before it is something: C:/val is a path."""
    if text in entries or _exists(text, directory):
        return text, None
    where, _, split = text.removeprefix(HUB).rpartition(":")
    where = HUB + where if text.startswith(HUB) and where else where
    if not where or not (where in entries or where.startswith(HUB) or _exists(where, directory)):
        return text, None
    if not split:
        raise UsageError(f"--data {text} names no split after the colon", hint=f"write --data {where}:test")
    return where, split


def _from_entry(name: str, entry: DataEntry, directory: Path, entries_directory: Path) -> DataAddress:
    there = _address(entry.path, {}, entries_directory, None)
    passed_over = f"; the path {name} was passed over" if _another(name, there, directory) else ""
    return replace(
        there,
        name=name,
        split=entry.split or there.split,
        input_column=entry.input,
        label_column=entry.label,
        decision=f"{name}: the entry data.{name} of the config, {entry.path}{passed_over}",
    )


def _from_path(where: str, directory: Path, entries: Mapping[str, DataEntry]) -> DataAddress:
    if not _exists(where, directory):
        raise missing(where, directory, entries=entries)
    path = _path(where, directory)
    kind = "directory" if path.is_dir() else "file"
    name = path.resolve().name if path.is_dir() else path.stem
    return DataAddress(name=name, where=where, directory=directory, decision=f"{where}: the {kind} {where}")


def _another(name: str, taken: DataAddress, directory: Path) -> bool:
    """Whether a path has the entry's name and is something else than what the entry points at."""
    if not _exists(name, directory):
        return False
    return taken.where.startswith(HUB) or not _path(name, directory).samefile(
        _path(taken.where, taken.directory)
    )


def _hub_name(where: str) -> str:
    return where.removeprefix(HUB).strip("/").split("/", 1)[-1] or where


def _exists(text: str, directory: Path) -> bool:
    return bool(text.strip()) and _path(text, directory).exists()


def _path(text: str, directory: Path) -> Path:
    return as_path(text, directory, "--data")
