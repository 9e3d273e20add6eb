"""The rank of what was added to a matrix, above the rounding that saving it added: the mark that merged LoRA leaves.

Saving θ₀ + BA rounds every entry, so that Δ has full rank whatever BA had. Rounding to nearest leaves an error that is
uniform over one unit in the last place, of spread ulp/√12, and independent errors with variances σᵢⱼ² have no singular
value above about maxᵢ √Σⱼσᵢⱼ² + maxⱼ √Σᵢσᵢⱼ² (Bandeira and van Handel, Ann. Probab. 2016). What stands above that edge
is no rounding.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.weights.reading import matrix_shape, read_rows

__all__ = ["ChangeRank", "rank_above_rounding", "rank_of_change", "rounding_spread"]

Matrix = NDArray[np.float64]

# Stored bits after the point. Merging is done in float32, or rougher.
_MANTISSA: Mapping[str, int] = {
    "float64": 23,
    "float32": 23,
    "float16": 10,
    "bfloat16": 7,
    "float8_e4m3fn": 3,
    "float8_e5m2": 2,
}
# Rows and columns that are looked at: the rank of a part is that of the whole, as long as it is larger than the rank.
_SIDE = 512
# The bound on the edge is asymptotic; at a hundred rows the largest singular value scatters by a few percent.
_MARGIN = 1.05
# A rank above this share of the smaller side is no low rank.
_LOW = 1 / 6
# From twice the edge on, a component is not hidden by the one beside it; more energy below than this is not rounding.
_CLEAR, _PURE = 2.0, 1.6
_SHOWN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRank:
    """How many singular values of Δ stand above the rounding `edge`, of a part of `looked_at` rows and columns.

    `at_least`: further ones may lie below it, because the weakest is near it or what lies below is more than rounding.
    """

    rank: int
    at_least: bool
    singular_values: tuple[float, ...]
    edge: float
    looked_at: tuple[int, int]
    n_moved_rows: int

    @property
    def is_low(self) -> bool:
        """Whether Δ is of low rank, and not because only a few of its rows moved."""
        n_rows, n_columns = self.looked_at
        return 0 < self.rank <= _LOW * min(n_rows, n_columns) and self.n_moved_rows > 2 * self.rank


def rounding_spread(values: Matrix, dtype: str) -> Matrix:
    """The standard deviation of the rounding error of each value stored in `dtype`: ulp/√12."""
    _, exponents = np.frexp(values)
    spread: Matrix = np.ldexp(1.0, exponents - 1 - _MANTISSA[dtype]) / math.sqrt(12)
    return np.where(values == 0.0, 0.0, spread)


def rank_above_rounding(base: Matrix, tuned: Matrix, dtype: str) -> ChangeRank:
    """The rank of tuned − base, where tuned was rounded to `dtype`."""
    delta = tuned - base
    variances = rounding_spread(tuned, dtype) ** 2
    edge = _MARGIN * (math.sqrt(variances.sum(axis=1).max()) + math.sqrt(variances.sum(axis=0).max()))
    values = np.linalg.svd(delta, compute_uv=False)
    rank = int(np.count_nonzero(values > edge))
    below = float(np.sum(values[rank:] ** 2))
    at_least = rank == 0 or (
        float(values[rank - 1]) < _CLEAR * edge or below > _PURE * float(variances.sum())
    )
    return ChangeRank(
        rank=rank,
        at_least=at_least,
        singular_values=tuple(float(value) for value in values[:_SHOWN]),
        edge=edge,
        looked_at=(delta.shape[0], delta.shape[1]),
        n_moved_rows=int(np.count_nonzero(delta.any(axis=1))),
    )


def rank_of_change(
    base: Checkpoint, tuned: Checkpoint, base_name: str, tuned_name: str, side: int = _SIDE
) -> ChangeRank | None:
    """The same of evenly spaced rows and columns of a stored matrix; None where it holds NaN or has no such dtype.

    Reads at most `side` rows of each file, memory side² numbers a few times.
    """
    dtype = tuned.tensors[tuned_name].dtype
    if dtype not in _MANTISSA:
        return None
    n_rows, n_columns = matrix_shape(base.tensors[base_name])
    rows, columns = _evenly(n_rows, side), _evenly(n_columns, side)
    a, b = (
        np.concatenate([read_rows(file, name, row, row + 1)[:, columns] for row in rows])
        for file, name in ((base, base_name), (tuned, tuned_name))
    )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    return rank_above_rounding(a, b, dtype)


def _evenly(n: int, most: int) -> list[int]:
    return [int(place) for place in np.linspace(0, n - 1, min(n, most))]
