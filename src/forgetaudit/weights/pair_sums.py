"""One pair of tensors, chunk by chunk, into sums.

Chunks of 128 Ki elements stay in the cache, and nothing larger is ever held. Dot products are float32 inside a block
of 4 Ki elements and float64 across blocks, so their error does not grow with the size of a tensor.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgetaudit.weights.casting import casts_to, differs_from_cast
from forgetaudit.weights.decode import COMPLEX, Values, bits_of, decode, split_bfloat16
from forgetaudit.weights.sums import Sums

__all__ = ["CHUNK_ELEMENTS", "PairSums", "Scratch"]

# Large enough that calling numpy costs little, small enough for a cache of a megabyte.
CHUNK_ELEMENTS = 1 << 17
# From 10,000 elements on OpenBLAS cuts a dot product into one part per core: dearer than the product, and the last
# digits would depend on the machine's number of cores.
_BLOCK_ELEMENTS = 1 << 12
# A float32 sum of squares below this may have lost elements to underflow.
_TINY = 1e-30
# Below this share of ‖a‖² + ‖d‖² the square of tuned, their sum and twice a·d, is a difference without digits left.
_CANCELLED = 1e-2


class Scratch:
    """Reused arrays for one chunk, so that no chunk allocates."""

    def __init__(self) -> None:
        self.base = np.empty(CHUNK_ELEMENTS, dtype=np.float32)
        self.tuned = np.empty(CHUNK_ELEMENTS, dtype=np.float32)
        self.delta = np.empty(CHUNK_ELEMENTS, dtype=np.float32)
        self.wide_delta = np.empty(CHUNK_ELEMENTS, dtype=np.float64)
        self.differs = np.empty(CHUNK_ELEMENTS, dtype=np.bool_)


class PairSums:
    """Accumulates the sums of one pair of tensors of equal shape. Mutable; keeps no reference to what it is given.

    Complex numbers, which both sides hold or neither, are read as two parts each: ‖Δ‖ is of moduli, and a·d the real
    part of the inner product.
    """

    def __init__(self, base_dtype: str, tuned_dtype: str, room: Scratch) -> None:
        self._n_parts = 2 if base_dtype in COMPLEX else 1
        self._base_dtype = COMPLEX.get(base_dtype, base_dtype)
        self._tuned_dtype = COMPLEX.get(tuned_dtype, tuned_dtype)
        self._room = room
        self._n_elements = self._n_changed = 0
        self._base_square = self._tuned_square = self._cross = self._delta_square = self._max_abs = 0.0
        self._n_nonfinite_base = self._n_nonfinite_tuned = self._n_undefined = 0

    def update(self, base_raw: NDArray[np.uint8], tuned_raw: NDArray[np.uint8]) -> None:
        """Take in the bytes of the same elements, at most a chunk, of both sides."""
        with np.errstate(all="ignore"):
            # Both in one order, whichever it is.
            split = self._base_dtype == self._tuned_dtype == "bfloat16" and base_raw.size % 4 == 0
            base = self._decoded(base_raw, self._base_dtype, self._room.base, split=split)
            differs = self._differs(base, base_raw, tuned_raw)
            n_changed = self._count(differs)
            self._n_elements += base.size // self._n_parts
            self._n_changed += n_changed
            if n_changed == 0 and self._base_dtype == self._tuned_dtype:
                self._add_unchanged(base)
            else:
                tuned = self._decoded(tuned_raw, self._tuned_dtype, self._room.tuned, split=split)
                # A transposed view, which only the careful path reads.
                in_order = differs.reshape(-1, 2).T if split else differs
                self._add_changed(base, tuned, in_order)

    def sums(self) -> Sums:
        """The sums so far."""
        return Sums(
            n_elements=self._n_elements,
            n_changed=self._n_changed,
            base_square=self._base_square,
            tuned_square=self._tuned_square,
            cross=self._cross,
            delta_square=self._delta_square,
            max_abs_delta=self._max_abs,
            n_nonfinite_base=self._n_nonfinite_base,
            n_nonfinite_tuned=self._n_nonfinite_tuned,
            n_undefined=self._n_undefined,
        )

    @staticmethod
    def _decoded(raw: NDArray[np.uint8], dtype: str, room: NDArray[np.float32], *, split: bool) -> Values:
        return split_bfloat16(raw, room) if split else decode(raw, dtype, room)

    def _differs(
        self, base: Values, base_raw: NDArray[np.uint8], tuned_raw: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        if self._base_dtype != self._tuned_dtype:
            return self._differs_from_cast(base, tuned_raw)
        room = self._room.differs[: base.size]
        np.not_equal(bits_of(base_raw, self._base_dtype), bits_of(tuned_raw, self._tuned_dtype), out=room)
        return room

    def _differs_from_cast(self, base: Values, tuned_raw: NDArray[np.uint8]) -> NDArray[np.bool_]:
        if casts_to(self._tuned_dtype):
            return differs_from_cast(base, tuned_raw, self._tuned_dtype)
        tuned = decode(tuned_raw, self._tuned_dtype, self._room.tuned)
        differs: NDArray[np.bool_] = (base != tuned) & ~(np.isnan(base) & np.isnan(tuned))
        return differs

    def _add_unchanged(self, base: Values) -> None:
        square = _dot(base, base)
        if _is_exact(square, base):
            self._base_square += square
            self._tuned_square += square
        else:
            self._add_carefully(base, base, np.zeros(base.shape, dtype=np.bool_))

    def _add_changed(self, base: Values, tuned: Values, differs: NDArray[np.bool_]) -> None:
        wide = base.dtype == np.float64 or tuned.dtype == np.float64
        delta: NDArray[Any] = (self._room.wide_delta if wide else self._room.delta)[: base.size]
        np.subtract(tuned, base, out=delta)
        base_square, delta_square = _dot(base, base), _dot(delta, delta)
        cross = _dot(base, delta)
        whole = base_square + delta_square
        is_exact = _is_exact(base_square, base) and _is_exact(delta_square, delta)
        if not is_exact or whole + 2 * cross < _CANCELLED * whole:
            self._add_carefully(base, tuned, differs)
            return
        self._base_square += base_square
        self._tuned_square += whole + 2 * cross
        self._cross += cross
        self._delta_square += delta_square
        self._max_abs = max(self._max_abs, self._largest(delta))

    def _add_carefully(self, base: Values, tuned: Values, differs: NDArray[np.bool_]) -> None:
        """In float64, with non-finite elements counted and left out: for the chunks that need it."""
        a, b = base.astype(np.float64), tuned.astype(np.float64)
        base_is_finite, tuned_is_finite = self._are_finite(a), self._are_finite(b)
        both_finite = base_is_finite & tuned_is_finite
        delta = np.subtract(b, a, out=np.zeros_like(a), where=both_finite)
        a[~base_is_finite], b[~tuned_is_finite] = 0.0, 0.0
        self._n_nonfinite_base += self._count(~base_is_finite)
        self._n_nonfinite_tuned += self._count(~tuned_is_finite)
        self._n_undefined += self._count(differs.reshape(-1) & ~both_finite)
        self._base_square += _dot(a, a)
        self._tuned_square += _dot(b, b)
        self._cross += _dot(a, delta)
        self._delta_square += _dot(delta, delta)
        self._max_abs = max(self._max_abs, self._largest(delta))

    def _count(self, flags: NDArray[np.bool_]) -> int:
        """Elements with a flag on any of their parts."""
        whole = flags if self._n_parts == 1 else flags.reshape(-1, self._n_parts).any(axis=1)
        return int(np.count_nonzero(whole))

    def _are_finite(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        finite: NDArray[np.bool_] = np.isfinite(values)
        if self._n_parts == 1:
            return finite
        return np.repeat(finite.reshape(-1, self._n_parts).all(axis=1), self._n_parts)

    def _largest(self, delta: NDArray[Any]) -> float:
        if not delta.size:
            return 0.0
        if self._n_parts == 1:
            return max(float(delta.max()), -float(delta.min()))
        pairs = delta.astype(np.float64).reshape(-1, self._n_parts)
        return float(np.hypot(pairs[:, 0], pairs[:, 1]).max())


def _dot(x: Values, y: Values) -> float:
    whole = x.size - x.size % _BLOCK_ELEMENTS
    blocks = np.matmul(x[:whole].reshape(-1, 1, _BLOCK_ELEMENTS), y[:whole].reshape(-1, _BLOCK_ELEMENTS, 1))
    return float(blocks.sum(dtype=np.float64)) + float(np.dot(x[whole:], y[whole:]))


def _is_exact(square: float, values: Values) -> bool:
    """True where a float32 sum of squares has neither overflowed nor lost small values nor met a NaN."""
    return math.isfinite(square) and (square > _TINY or not values.any())
