"""Tied weights: one file holds a tensor under two names, the other under one. Told by bytes, never by names."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.weights.changes import TensorChange, WeightChanges
from forgetaudit.weights.sums import Sums

__all__ = ["copies_in_both", "find_copy"]

_CHUNK_BYTES = 1 << 20
# Smaller ones, vectors, and what holds one value throughout (fresh biases and norms) are alike by chance.
_FEWEST = 16
_FEWEST_MOVED = 4


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


def copies_in_both(base: Checkpoint, tuned: Checkpoint, changes: WeightChanges) -> Mapping[str, str]:
    """Base's names of tensors that both files hold twice, as torch saves tied weights → the name that comes first.

    Only tensors whose sums are equal to the last bit are read again, so that this costs next to nothing.
    """
    firsts: dict[Sums, TensorChange] = {}
    found: dict[str, str] = {}
    for row in changes.tensors:
        first = row if row.sums is None else firsts.setdefault(row.sums, row)
        if (
            first is not row
            and _can_be_one(row)
            and _are_twins(base, first.base, row.base)
            and _are_twins(tuned, first.tuned, row.tuned)
        ):
            found[row.name] = first.name
    return found


def _can_be_one(row: TensorChange) -> bool:
    """Matrices; of vectors only those that moved: alike to the last bit, however plain they were before."""
    if row.base is None or row.sums is None:
        return False
    return row.base.n_elements >= _FEWEST if len(row.base.shape) > 1 else row.sums.n_changed >= _FEWEST_MOVED


def _are_twins(checkpoint: Checkpoint, one: TensorInfo | None, two: TensorInfo | None) -> bool:
    if one is None or two is None or (one.dtype, one.shape) != (two.dtype, two.shape):
        return False
    return _are_equal(checkpoint, two, one.name, plain=len(two.shape) < 2)


def _are_equal(checkpoint: Checkpoint, info: TensorInfo, other: str, *, plain: bool = False) -> bool:
    """Byte by byte, and unless `plain` may be equal, of more than one value."""
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
    return plain or len(seen) > 1


def _bytes(checkpoint: Checkpoint, name: str, start: int, n_bytes: int) -> NDArray[np.uint8]:
    raw = np.empty(n_bytes, dtype=np.uint8)
    checkpoint.read(name, start, raw.data)
    return raw
