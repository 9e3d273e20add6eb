"""A torch.distributed.checkpoint directory: an index that is a pickle, read as data, and tensors in pieces."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from types import TracebackType
from typing import Any, Self

import numpy as np

from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, Shape, TensorInfo
from forgetaudit.checkpoints.inert_pickle import Name, Record, read_inert
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint, listing
from forgetaudit.gaps import Notes

__all__ = ["INDEX", "DistributedCheckpoint"]

INDEX = ".metadata"
# As a name of its own: a module may be called `optimal`.
_OPTIMIZER = re.compile(r"optim(izer)?s?(_?states?)?(_?dict)?", re.IGNORECASE)
# Two values to a byte: boxes of it are counted in pairs.
_PACKED = "float4_e2m1fn_x2"
_PACKAGE = "torch.distributed.checkpoint.metadata."
# What the index of torch 2.1 to 2.13 names; dtypes beside them.
_ALLOWED = frozenset({
    *(_PACKAGE + name for name in (
        "Metadata", "MetadataIndex", "StorageMeta", "TensorProperties", "TensorStorageMetadata", "BytesStorageMetadata",
        "ChunkStorageMetadata", "_MEM_FORMAT_ENCODING",
    )),
    "torch.distributed.checkpoint.filesystem._StorageInfo", "torch.serialization._get_layout", "torch.Size",
    "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "collections.OrderedDict",
    *(f"torch.{dtype}" for dtype in DTYPE_BITS), f"torch.{_PACKED}",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A box of one tensor, and where in which file it is saved."""

    offsets: Shape
    sizes: Shape
    file: str
    start: int
    n_bytes: int


class DistributedCheckpoint:
    """See `forgetaudit.checkpoints.checkpoint.Checkpoint`. One tensor at a time is put together in memory.

    The pieces are archives of torch, loaded with weights_only; nothing in the index is imported or called. States of
    optimizers are left out.
    """

    format = "torch.distributed.checkpoint"

    def __init__(self, path: Path, notes: Notes = ()) -> None:
        self.path = path / INDEX
        self.metadata: dict[str, str] = {}
        index = _index(self.path)
        described, left_out = _tensors(index, self.path)
        self._pieces = _pieces(index, described, self.path)
        self.tensors: Mapping[str, TensorInfo] = described
        names = sorted({piece.file for pieces in self._pieces.values() for piece in pieces})
        self._files: dict[str, RegularFile] = {}
        try:
            for name in names:
                self._files[name] = RegularFile(path / name)
            _check_bounds(self._pieces, self._files, self.path)
        except BaseException:
            self.close()
            raise
        self.files: tuple[Path, ...] = (self.path, *(path / name for name in names))
        said = (listing("left out, as no weights", left_out),) if left_out else ()
        self.notes = (*notes, *said)
        self._last: tuple[str, memoryview] | None = None

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`."""
        n_bytes = self.tensors[name].n_bytes
        if not 0 <= start_byte <= n_bytes - len(out):
            raise ValueError(f"{name!r} has {n_bytes} bytes; {len(out)} from {start_byte} were asked for")
        if self._last is None or self._last[0] != name:
            self._last = name, self._whole(name)
        out[:] = self._last[1][start_byte : start_byte + len(out)]

    def close(self) -> None:
        """Let go of the files."""
        self._last = None
        for file in self._files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _whole(self, name: str) -> memoryview:
        from forgetaudit.checkpoints.torch_file import load_piece

        info = self.tensors[name]
        item = np.dtype((np.void, DTYPE_BITS[info.dtype] // 8))
        whole = np.zeros(info.shape, dtype=item)
        for piece in self._pieces[name]:
            file = self._files[piece.file]
            raw = load_piece(file.read(piece.start, piece.n_bytes), info.dtype, piece.sizes, file.path)
            box = tuple(slice(at, at + size) for at, size in zip(piece.offsets, piece.sizes, strict=True))
            whole[box] = np.frombuffer(raw, dtype=item).reshape(piece.sizes)
        return whole.reshape(-1).view(np.uint8).data


def _index(path: Path) -> Record:
    file = RegularFile(path)
    try:
        found = read_inert(file.read(0, file.size), _ALLOWED, path)
    finally:
        file.close()
    if not isinstance(found, Record) or found.name != Name(_PACKAGE + "Metadata"):
        raise _damaged(path, "it is no index of torch.distributed.checkpoint")
    return found


def _tensors(index: Record, path: Path) -> tuple[dict[str, TensorInfo], list[str]]:
    tensors: dict[str, TensorInfo] = {}
    left_out: list[str] = []
    for name, record in _mapping(index.state.get("state_dict_metadata"), path).items():
        kind = record.name.text if isinstance(record, Record) else ""
        optimizer = isinstance(name, str) and _OPTIMIZER.fullmatch(name.split(".")[0]) is not None
        if kind == _PACKAGE + "TensorStorageMetadata" and isinstance(name, str) and not optimizer:
            tensors[name] = _info(name, record, path)
        else:
            left_out.append(str(name))
    if not tensors:
        raise UnreadableCheckpoint(f"{path} names no tensors", hint="save the weights of the model, too")
    return tensors, left_out


def _info(name: str, record: Any, path: Path) -> TensorInfo:
    shape = _counts(record.state.get("size"), path)
    dtype = _dtype(record.state.get("properties"), path)
    n_bytes = _n_elements(shape) * DTYPE_BITS[dtype] // 8
    return TensorInfo(name=name, dtype=dtype, shape=shape, n_bytes=n_bytes)


def _dtype(properties: object, path: Path) -> str:
    """Of TensorProperties, whose state is a tuple in their own __getstate__, or a dict."""
    found: list[object] = []
    if isinstance(properties, Record):
        found = [*properties.arguments, *properties.state.values()]
        found += [inner for one in found if isinstance(one, tuple) for inner in one]
    names = [one.text.removeprefix("torch.") for one in found if isinstance(one, Name)]
    if _PACKED in names:
        raise UnreadableCheckpoint(
            f"{path} holds tensors of {_PACKED}, which are not read from distributed checkpoints",
            hint="make one file of it: torch.distributed.checkpoint.format_utils.dcp_to_torch_save(FOLDER, FILE)",
        )
    known = [name for name in names if name in DTYPE_BITS and DTYPE_BITS[name] % 8 == 0]
    if len(known) != 1:
        raise _damaged(path, "a tensor has no dtype that is known")
    return known[0]


def _pieces(index: Record, tensors: Mapping[str, TensorInfo], path: Path) -> dict[str, list[_Piece]]:
    found: dict[str, list[_Piece]] = {name: [] for name in tensors}
    boxes = _boxes(index, tensors, path)
    for key, where in _mapping(index.state.get("storage_data"), path).items():
        if not isinstance(key, Record) or not isinstance(where, Record):
            raise _damaged(path, "it says of a piece neither what nor where it is")
        name = key.state.get("fqn")
        if not isinstance(name, str) or name not in tensors:
            continue
        offsets = _counts(key.state.get("offset"), path)
        if (sizes := boxes[name].get(offsets)) is None:
            raise _damaged(path, f"a piece of {name!r} is nowhere in the tensor")
        piece = _piece(where.state, offsets, sizes, path)
        # Before any memory is taken for it: an index can claim terabytes.
        if _n_elements(sizes) * DTYPE_BITS[tensors[name].dtype] // 8 > piece.n_bytes:
            raise _damaged(path, f"a piece of {name!r} is larger than its file")
        found[name].append(piece)
    for name, info in tensors.items():
        held = sum(_n_elements(piece.sizes) for piece in found[name])
        if held != info.n_elements or len(found[name]) != len(boxes[name]):
            raise _damaged(path, f"the pieces of {name!r} do not fill it")
    return found


def _boxes(index: Record, tensors: Mapping[str, TensorInfo], path: Path) -> dict[str, dict[Shape, Shape]]:
    boxes: dict[str, dict[Shape, Shape]] = {}
    records = _mapping(index.state.get("state_dict_metadata"), path)
    for name, info in tensors.items():
        boxes[name] = {}
        chunks = getattr(records[name], "state", {}).get("chunks")
        for chunk in chunks if isinstance(chunks, list) else []:
            state = chunk.state if isinstance(chunk, Record) else {}
            offsets, sizes = _counts(state.get("offsets"), path), _counts(state.get("sizes"), path)
            fits = len(offsets) == len(sizes) == len(info.shape)
            if not fits or any(at + n > side for at, n, side in zip(offsets, sizes, info.shape, strict=True)):
                raise _damaged(path, f"a piece of {name!r} lies outside of it")
            boxes[name][offsets] = sizes
    return boxes


def _piece(where: Mapping[object, object], offsets: Shape, sizes: Shape, path: Path) -> _Piece:
    file, start, n_bytes = (where.get(key) for key in ("relative_path", "offset", "length"))
    if (
        not isinstance(file, str)
        or type(start) is not int
        or type(n_bytes) is not int
        or start < 0
        or n_bytes < 0
    ):
        raise _damaged(path, "it says of a piece not where it is")
    if where.get("transform_descriptors"):
        raise UnreadableCheckpoint(
            f"{path} holds tensors that were compressed or encrypted when they were saved",
            hint="save the checkpoint again without transforms",
        )
    split = PureWindowsPath(file)
    if split.drive or split.name != file or not file.isprintable() or split.suffix != ".distcp":
        raise UnsafeCheckpoint(
            f"{path} names a file outside its folder, or of another kind: {file!r}",
            hint="do not use this folder",
        )
    return _Piece(offsets=offsets, sizes=sizes, file=file, start=start, n_bytes=n_bytes)


def _check_bounds(pieces: Mapping[str, list[_Piece]], files: Mapping[str, RegularFile], path: Path) -> None:
    for name, several in pieces.items():
        for piece in several:
            if piece.start + piece.n_bytes > files[piece.file].size:
                raise UnreadableCheckpoint(
                    f"{path.parent / piece.file} is truncated: {name!r} lies beyond its end",
                    hint="copy or download the folder again; if it is still being written, wait",
                )


def _counts(found: object, path: Path) -> Shape:
    """A torch.Size, or a tuple or list of counts."""
    if isinstance(found, Record) and found.name == Name("torch.Size"):
        found = found.arguments[0] if found.arguments else ()
    if not isinstance(found, tuple | list) or len(found) > 64:
        raise _damaged(path, "a shape is no list of counts")
    if not all(type(item) is int and 0 <= item < 1 << 63 for item in found):
        raise _damaged(path, "a shape is no list of counts")
    return tuple(found)


def _n_elements(shape: Shape) -> int:
    return math.prod(shape)


def _mapping(found: object, path: Path) -> dict[object, object]:
    if not isinstance(found, dict):
        raise _damaged(path, "it lists no tensors")
    return found


def _damaged(path: Path, what: str) -> UnreadableCheckpoint:
    return UnreadableCheckpoint(f"{path} is damaged: {what}", hint="copy or download the folder again")
