"""A change of low rank, known by its factors: its norm and singular values without ever forming it."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forgetaudit.weights.sums import Sums

__all__ = ["LowRank", "LowRankSums"]

Matrix = NDArray[np.float64]

# Rows of the product that are formed at a time: 8 MB at 4,096 columns.
_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """Δ = `scale` · `b` @ `a`, with `b` (n_rows, r) and `a` (r, n_columns)."""

    a: Matrix
    b: Matrix
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Of Δ."""
        return self.b.shape[0], self.a.shape[1]

    @cached_property
    def singular_values(self) -> NDArray[np.float64]:
        """Those of Δ, the largest first, from r × r matrices: with b = QR and aᵀ = PS they are those of R Sᵀ."""
        r_b, r_a = (np.asarray(np.linalg.qr(factor, mode="r")) for factor in (self.b, self.a.T))
        return np.asarray(np.linalg.svd(abs(self.scale) * (r_b @ r_a.T), compute_uv=False), dtype=np.float64)

    @property
    def norm(self) -> float:
        """‖Δ‖_F."""
        return math.sqrt(math.fsum(float(value) ** 2 for value in self.singular_values))

    @property
    def rank(self) -> int:
        """How many singular values are more than rounding of the factors."""
        values = self.singular_values
        return int(np.count_nonzero(values > 1e-6 * values[0])) if values.size else 0

    def rows(self, start: int, stop: int) -> Matrix:
        """Some rows of Δ."""
        product: Matrix = self.scale * (self.b[start:stop] @ self.a)
        return product


class LowRankSums:
    """Dissolves base and a low-rank Δ of its shape into sums, some rows at a time. Mutable; memory: a few hundred rows.

    The distance comes from the factors; P = ⟨θ₀, Δ⟩ and the largest entry from rows of the product.
    """

    def __init__(self, delta: LowRank) -> None:
        self._delta = delta
        self._start = self._n_changed = self._n_nonfinite = 0
        self._base_square = self._cross = self._max_abs = 0.0

    def rows_at_a_time(self) -> int:
        """How many rows of base `update` is to be given at once."""
        return _ROWS

    def update(self, base: Matrix | None) -> None:
        """Take in the next rows of base; None where there is no base."""
        stop = min(self._start + (_ROWS if base is None else len(base)), self._delta.shape[0])
        delta = self._delta.rows(self._start, stop)
        self._start = stop
        self._n_changed += int(np.count_nonzero(delta))
        self._max_abs = max(self._max_abs, float(np.abs(delta).max(initial=0.0)))
        if base is not None:
            finite = np.isfinite(base)
            self._n_nonfinite += base.size - int(np.count_nonzero(finite))
            kept = np.where(finite, base, 0.0)
            self._base_square += float(np.vdot(kept, kept))
            self._cross += float(np.vdot(kept, delta))

    def sums(self) -> Sums:
        """The sums, once all rows were given."""
        square = self._delta.norm**2
        return Sums(
            n_elements=math.prod(self._delta.shape),
            n_changed=self._n_changed,
            base_square=self._base_square,
            tuned_square=max(0.0, self._base_square + 2 * self._cross + square),
            cross=self._cross,
            delta_square=square,
            max_abs_delta=self._max_abs,
            n_nonfinite_base=self._n_nonfinite,
            n_nonfinite_tuned=self._n_nonfinite,
            n_undefined=self._n_nonfinite,
        )
