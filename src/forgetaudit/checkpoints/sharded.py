"""A checkpoint in several files, held together by an index."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from types import TracebackType
from typing import Self

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.checkpoints.header import MAX_HEADER_BYTES
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.checkpoints.single import open_single
from forgetaudit.checkpoints.strict_json import parse_object
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint, listing
from forgetaudit.gaps import Gap, Notes
from forgetaudit.wording import counted

__all__ = ["ShardedCheckpoint"]

_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
# Enough that two checkpoints cut differently do not reopen a shard for every tensor; far below any limit on files.
_MAX_OPEN = 8


class ShardedCheckpoint:
    """The shards named by an index (`model.safetensors.index.json`) as one Checkpoint.

    Every shard is opened once to see that it holds what the index says; after that only the few last used stay open.
    Shards must lie beside the index: names with a folder, a drive or `..` are refused before any file is touched.
    """

    def __init__(self, path: Path, notes: Notes = ()) -> None:
        self.path = path
        index = _read_index(path)
        self._shard_of = _weight_map(index, path)
        self._opened: OrderedDict[str, Checkpoint] = OrderedDict()
        self.metadata = {
            key: value for key, value in _mapping(index.get("metadata")).items() if isinstance(value, str)
        }
        shards = sorted(set(self._shard_of.values()))
        _check_present(path, shards)
        self.files: tuple[Path, ...] = (path, *(path.parent / shard for shard in shards))
        try:
            self.tensors, decisions = self._survey(shards)
        except BaseException:
            self.close()
            raise
        self.notes = (*notes, *decisions)
        self.format = f"{self._opened[shards[-1]].format} in {len(shards)} shards"

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`."""
        self._shard(self._shard_of[name]).read(name, start_byte, out)

    def close(self) -> None:
        """Let go of the shards that are open."""
        while self._opened:
            self._opened.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _survey(self, shards: list[str]) -> tuple[dict[str, TensorInfo], Notes]:
        tensors: dict[str, TensorInfo] = {}
        notes: list[str | Gap] = []
        unnamed: list[str] = []
        for shard in shards:
            found = self._shard(shard)
            notes += [note if isinstance(note, Gap) else f"{shard}: {note}" for note in found.notes]
            self._check_complete(shard, found)
            for name, info in found.tensors.items():
                if self._shard_of.get(name) == shard:
                    tensors[name] = info
                else:
                    unnamed.append(name)
        if unnamed:
            more = f", … {len(unnamed) - 3} more" if len(unnamed) > 3 else ""
            notes.append(
                Gap(
                    ident="tensors-of-no-index",
                    what=f"{counted(len(unnamed), 'tensor')} of the shards not read, as the index does not name them "
                    f"there: {', '.join(unnamed[:3])}{more}",
                    advice="index and shards come from different saves: save or download all of them again",
                    holds="everything",
                    evidence={"not_read": unnamed},
                )
            )
        return tensors, tuple(notes)

    def _check_complete(self, shard: str, found: Checkpoint) -> None:
        promised = [name for name, where in self._shard_of.items() if where == shard]
        missing = [name for name in promised if name not in found.tensors]
        if missing:
            raise UnreadableCheckpoint(
                f"{self.path} names tensors that are not in {shard}",
                details=[listing("missing", missing)],
                hint="index and shards come from different saves; copy or download all of them again",
            )

    def _shard(self, shard: str) -> Checkpoint:
        if shard not in self._opened:
            while len(self._opened) >= _MAX_OPEN:
                self._opened.popitem(last=False)[1].close()
            self._opened[shard] = open_single(self.path.parent / shard)
            self._check_same(shard)
        self._opened.move_to_end(shard)
        return self._opened[shard]

    def _check_same(self, shard: str) -> None:
        known: Mapping[str, TensorInfo] = getattr(self, "tensors", {})
        now = self._opened[shard].tensors
        if any(now.get(name) != info for name, info in known.items() if self._shard_of[name] == shard):
            raise UnreadableCheckpoint(
                f"{self.path.parent / shard} changed while it was being read",
                hint="wait until the program that writes it is done, or audit a copy",
            )


def _read_index(path: Path) -> dict[str, object]:
    file = RegularFile(path)
    try:
        if file.size > MAX_HEADER_BYTES:
            raise UnreadableCheckpoint(
                f"{path} is no shard index: it has {file.size:,} bytes, more than {MAX_HEADER_BYTES:,}",
                hint="name the index that was saved with the shards",
            )
        return parse_object(file.read(0, file.size), path, "text")
    finally:
        file.close()


def _mapping(found: object) -> Mapping[str, object]:
    return found if isinstance(found, dict) else {}


def _weight_map(index: dict[str, object], path: Path) -> dict[str, str]:
    weight_map = _mapping(index.get("weight_map"))
    if not weight_map:
        raise UnreadableCheckpoint(
            f"{path} is JSON without a weight_map, so no shard index",
            details=[listing("it holds", list(index), shown=4)] if index else [],
            hint="name the directory, or the file with the weights",
        )
    checked: dict[str, str] = {}
    for name, shard in weight_map.items():
        checked[name] = _shard_name(shard, path)
    return checked


def _shard_name(shard: object, path: Path) -> str:
    if not isinstance(shard, str) or not shard:
        raise UnreadableCheckpoint(
            f"{path} names a shard that is not text: {shard!r}", hint="write the index again"
        )
    # PureWindowsPath splits at both kinds of slash and knows drives, whatever system this runs on.
    split = PureWindowsPath(shard)
    if split.drive or split.name != shard or shard in (".", "..") or not shard.isprintable():
        raise UnsafeCheckpoint(
            f"{path} names a shard outside its folder: {shard!r}",
            hint="do not use this index; its shards lie beside it",
        )
    if split.suffix not in _SUFFIXES:
        raise UnsafeCheckpoint(
            f"{path} names a shard that is no weight file: {shard!r}", hint="do not use this index"
        )
    return shard


def _check_present(path: Path, shards: list[str]) -> None:
    missing = [shard for shard in shards if not (path.parent / shard).exists()]
    if missing:
        raise UnreadableCheckpoint(
            f"{path} names {len(shards)} shards, {len(missing)} of which are not there",
            details=[listing("missing", missing)],
            hint="copy or download the missing files into the same folder",
        )
