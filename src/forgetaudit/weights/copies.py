"""Tied weights: one file holds a tensor under two names, the other under one. Told by bytes, never by names."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo

__all__ = ["find_copy"]

_CHUNK_BYTES = 1 << 20
# Smaller ones, vectors, and what holds one value throughout (fresh biases and norms) are alike by chance.
_FEWEST = 16


def find_copy(checkpoint: Checkpoint, info: TensorInfo, among: Collection[str]) -> str | None:
    """The first tensor `among` those of the file with the bytes, dtype and shape of `info`; None without."""
    if len(info.shape) < 2 or info.n_elements < _FEWEST:
        return None
    for name in among:
        other = checkpoint.tensors[name]
        alike = (other.dtype, other.shape) == (info.dtype, info.shape) and name != info.name
        if alike and _are_equal(checkpoint, info, name):
            return name
    return None


def _are_equal(checkpoint: Checkpoint, info: TensorInfo, other: str) -> bool:
    seen: set[bytes] = set()
    for start in range(0, info.n_bytes, _CHUNK_BYTES):
        n_bytes = min(_CHUNK_BYTES, info.n_bytes - start)
        ours, theirs = (
            _bytes(checkpoint, info.name, start, n_bytes),
            _bytes(checkpoint, other, start, n_bytes),
        )
        if not np.array_equal(ours, theirs):
            return False
        if len(seen) < 2:
            width = max(1, info.n_bytes // info.n_elements)
            seen |= {
                bytes(one)
                for one in np.unique(ours[: n_bytes - n_bytes % width].reshape(-1, width), axis=0)[:2]
            }
    return len(seen) > 1


def _bytes(checkpoint: Checkpoint, name: str, start: int, n_bytes: int) -> NDArray[np.uint8]:
    raw = np.empty(n_bytes, dtype=np.uint8)
    checkpoint.read(name, start, raw.data)
    return raw
