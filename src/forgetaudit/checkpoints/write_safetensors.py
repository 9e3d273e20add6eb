"""A safetensors file written after the pattern of another: its header to the byte, other values."""

import os
from collections.abc import Callable
from pathlib import Path

from forgetaudit.checkpoints.checkpoint import TensorInfo
from forgetaudit.checkpoints.header import LENGTH_BYTES
from forgetaudit.checkpoints.safetensors_file import SafetensorsFile
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["Values", "write_like_safetensors"]

Values = Callable[[TensorInfo], memoryview | None]
"""The bytes of a tensor, C order and little endian, or None: as they are in the pattern."""

_CHUNK_BYTES = 1 << 24


def write_like_safetensors(pattern: Path, target: Path, values: Values) -> None:
    """Names, types, shapes, order and metadata are the pattern's; one tensor is in memory at a time.

    The file is on the disk when this returns. OSError where the disk does not take it.
    """
    with SafetensorsFile(pattern) as source, target.open("xb") as file:
        with pattern.open("rb") as same:
            length = same.read(LENGTH_BYTES)
            file.write(length + same.read(int.from_bytes(length, "little")))
        for info in source.tensors.values():
            found = values(info)
            if found is None:
                _copy(source, info, file.write)
            elif found.nbytes != info.n_bytes:
                raise ValueError(f"{info.name} has {info.n_bytes} bytes, and {found.nbytes} were given")
            else:
                file.write(found)
        if file.tell() != pattern.stat().st_size:
            raise UnreadableCheckpoint(
                f"{pattern} changed while it was being read",
                hint="wait until the program that writes it is done, or repair a copy",
            )
        file.flush()
        os.fsync(file.fileno())


def _copy(source: SafetensorsFile, info: TensorInfo, write: Callable[[memoryview], int]) -> None:
    for start in range(0, info.n_bytes, _CHUNK_BYTES):
        piece = memoryview(bytearray(min(_CHUNK_BYTES, info.n_bytes - start)))
        source.read(info.name, start, piece)
        write(piece)
