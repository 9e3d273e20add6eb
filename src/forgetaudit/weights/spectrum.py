"""The spectrum of a change: how many directions it has, and whether they are those that base already had."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPSILON", "TOP", "Factors", "Spectrum", "find_intruders", "leading_factors", "spectrum_of"]

Matrix = NDArray[np.float64]

# Up to this side everything is decomposed; beyond it, this many directions are found at random.
_EXACT_SIDE = 1024
_DIRECTIONS, _EXTRA, _POWERS = 128, 16, 2
TOP = 10
EPSILON = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """The leading singular triplets of a matrix M; `error` is the share of ‖M‖ they leave out, 0 where all are there.

    For every singular value s of M and its estimate s': s'² ≤ s² ≤ s'² + (error ‖M‖)².
    """

    left: Matrix
    values: NDArray[np.float64]
    right: Matrix
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Of one changed matrix.

    `n_intruders` of tuned's `top` leading directions are near none of base's (cosine < ε); of `n_undecided` more that
    could not be told, because not all of base's were computed.
    Stable rank ‖Δ‖²_F/‖Δ‖²₂; effective rank exp(entropy of the singular values) (Roy and Vetterli, 2007), a lower
    bound where `error` is not 0; `base_energy` is the share of ‖Δ‖² between base's `top` left and right directions.
    Intruder dimensions: Shuttleworth et al., arXiv 2410.21228.
    """

    tensor: str
    stable_rank: float
    effective_rank: float
    base_energy: float
    n_intruders: int
    n_undecided: int
    top: int
    epsilon: float
    error: float


def spectrum_of(
    tensor: str,
    base: Matrix,
    delta: Matrix,
    *,
    top: int = TOP,
    epsilon: float = EPSILON,
    exact_side: int = _EXACT_SIDE,
) -> Spectrum:
    """`base` and `delta` of one shape, both finite and not 0. Deterministic: the random directions are seeded."""
    before, after = (leading_factors(matrix, exact_side=exact_side) for matrix in (base, base + delta))
    change = leading_factors(delta, exact_side=exact_side)
    k = min(top, before.values.size)
    inside = before.left[:, :k].T @ delta @ before.right[:, :k]
    square = float(np.sum(delta * delta))
    shares = change.values[change.values > 0] / change.values.sum()
    intruders, undecided = find_intruders(before, after.left[:, :k], epsilon)
    return Spectrum(
        tensor=tensor,
        stable_rank=square / float(change.values[0]) ** 2,
        effective_rank=math.exp(-float(np.sum(shares * np.log(shares)))),
        base_energy=float(np.sum(inside * inside)) / square,
        n_intruders=int(np.count_nonzero(intruders)),
        n_undecided=int(np.count_nonzero(undecided)),
        top=k,
        epsilon=epsilon,
        error=change.error,
    )


def leading_factors(
    matrix: Matrix, n_directions: int = _DIRECTIONS, *, exact_side: int = _EXACT_SIDE
) -> Factors:
    """All singular triplets of a small matrix; of a large one the leading ones, by randomised subspace iteration.

    Halko, Martinsson and Tropp (SIAM Review 2011), two power steps. The error is exact: what the subspace found
    does not hold of the matrix's squared norm.
    """
    if min(matrix.shape) <= exact_side:
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        return Factors(left=left, values=values, right=right.T, error=0.0)
    random = np.random.default_rng(0)
    orthonormal: Callable[[Matrix], Matrix] = lambda m: np.linalg.qr(m)[0]  # noqa: E731
    q = orthonormal(matrix @ random.standard_normal((matrix.shape[1], n_directions + _EXTRA)))
    for _ in range(_POWERS):
        q = orthonormal(matrix @ orthonormal(matrix.T @ q))
    small = q.T @ matrix
    left, values, right = np.linalg.svd(small, full_matrices=False)
    whole, held = float(np.sum(matrix * matrix)), float(np.sum(small * small))
    return Factors(
        left=(q @ left)[:, :n_directions],
        values=values[:n_directions],
        right=right.T[:, :n_directions],
        error=math.sqrt(max(0.0, 1 - held / whole)),
    )


def find_intruders(
    base: Factors, leading: Matrix, epsilon: float = EPSILON
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of tuned's `leading` left directions (rows, k): which (k,) are surely near none of base's, which undecided.

    The squared cosines of a unit vector with all of base's directions sum to 1 at most.
    """
    cosines = np.abs(base.left.T @ leading)
    nearest = cosines.max(axis=0)
    n_rows = base.left.shape[0]
    complete = base.left.shape[1] == n_rows
    unseen = (
        np.zeros_like(nearest)
        if complete or base.error == 0.0
        else np.sqrt(np.clip(1 - np.sum(cosines**2, axis=0), 0, 1))
    )
    far = nearest < epsilon
    sure = far & (unseen < epsilon)
    return sure, far & ~sure
