"""Debiased linear CKA of a layer, base against tuned.

Kornblith, Norouzi, Lee and Hinton, ICML 2019, with the unbiased HSIC₁ of Song et al., JMLR 13 (2012) 1393: over the
whole data set, never averaged over batches, never clamped.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from forgetaudit.stats.cross import CrossSums, scaled_hsic
from forgetaudit.stats.moments import PairMoments, PairSums
from forgetaudit.stats.sketch import N_SKETCHES, SketchMoments, SketchSums
from forgetaudit.values import NotMeasured

__all__ = ["WIDEST", "Cka", "biased_cka", "flatness", "linear_cka", "moments_for"]

WIDEST = 8192
"""Features of a layer up to which the exact sums are taken: 1.6 GB of them."""

# HSIC₁ is a difference of terms as large as |XᵀX|², so below this share of it only rounding is left.
_RESOLVED = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cka:
    """Debiased linear CKA of `n` examples.

    1 for features alike up to rotation, shift and scale, about 0, also a little below, for unrelated ones.
    `kind` is "exact" where all rows are bit-identical in base and tuned: then it is 1 by proof, at any n.
    `standard_error` is that of sketching where the features were sketched (never that of having few examples),
    else None; a sketched CKA may exceed 1 by a few of them.
    """

    estimate: float
    kind: Literal["exact", "diagnostic"]
    method: str
    n: int
    d_base: int
    d_tuned: int
    standard_error: float | None = None

    @property
    def angle_degrees(self) -> float:
        """Angular CKA: 0 for alike, 90 for unrelated. Spreads out the values near 1 (0.99 is 8.1 degrees)."""
        return math.degrees(math.acos(max(-1.0, min(1.0, self.estimate))))


def moments_for(d_base: int, d_tuned: int, *, seed: int = 0) -> PairMoments | SketchMoments:
    """The accumulator for a layer of these widths: exact sums up to 8,192 features, sketches beyond."""
    if max(d_base, d_tuned) <= WIDEST:
        return PairMoments(d_base, d_tuned)
    return SketchMoments(d_base, d_tuned, seed=seed)


def linear_cka(moments: PairMoments | SketchMoments) -> Cka | NotMeasured:
    """Debiased linear CKA over all rows seen, or the reason why there is none. Costs O(d²)."""
    sums = moments.read()
    n = sums.rows.n
    if sums.rows.obstacle is not None:
        return sums.rows.obstacle
    identical = sums.rows.n_identical == n
    if not identical and n < 4:
        return NotMeasured(f"CKA needs 4 examples, and there are {n}")
    if identical:
        estimate, error, method = 1.0, None, "identical"
    else:
        value = _exact(sums) if isinstance(sums, PairSums) else _sketched(sums)
        if isinstance(value, NotMeasured):
            return value
        estimate, error, method = value
    return Cka(
        estimate=estimate,
        kind="exact" if identical else "diagnostic",
        method=method,
        n=n,
        d_base=moments.d_base,
        d_tuned=moments.d_tuned,
        standard_error=error,
    )


def biased_cka(sums: PairSums) -> float:
    """‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖) of centred features. Grows as n falls: only to compare with figures of others."""
    return float(sums.cross.product.square().sum() / sums.base.product.norm() / sums.tuned.product.norm())


def flatness(sums: CrossSums, side: str) -> NotMeasured | None:
    """Why nothing can be said of features that do not vary, or by no more than the rounding of their mean."""
    spread, level = math.sqrt(max(0.0, float(sums.squares_u)) / sums.n), float(sums.pivot_u.norm())
    return NotMeasured(f"the features of {side} do not vary") if spread <= 1e-13 * level else None


def _exact(sums: PairSums) -> tuple[float, None, str] | NotMeasured:
    hsic_base, hsic_tuned = _self_hsic([sums.base], "base"), _self_hsic([sums.tuned], "tuned")
    if isinstance(hsic_base, NotMeasured):
        return hsic_base
    if isinstance(hsic_tuned, NotMeasured):
        return hsic_tuned
    return scaled_hsic(sums.cross) / math.sqrt(hsic_base) / math.sqrt(hsic_tuned), None, "debiased-linear"


def _sketched(sums: SketchSums) -> tuple[float, float, str] | NotMeasured:
    hsic_base, hsic_tuned = _self_hsic(sums.base.values(), "base"), _self_hsic(sums.tuned.values(), "tuned")
    if isinstance(hsic_base, NotMeasured):
        return hsic_base
    if isinstance(hsic_tuned, NotMeasured):
        return hsic_tuned
    tables = [
        {key: scaled_hsic(pair) for key, pair in pairs.items()}
        for pairs in (sums.base, sums.cross, sums.tuned)
    ]
    means = [[_mean_without(index, table) for table in tables] for index in range(N_SKETCHES)]
    if min(min(base, tuned) for base, _, tuned in means) <= 0:
        return NotMeasured(f"{N_SKETCHES} sketches are too few for features of this kind")
    partial = [cross / math.sqrt(base) / math.sqrt(tuned) for base, cross, tuned in means]
    # The jackknife over sketches: leave out one of either model at a time.
    spread = math.fsum((value - _mean(partial)) ** 2 for value in partial)
    error = math.sqrt((N_SKETCHES - 1) / N_SKETCHES * spread)
    estimate = _mean(tables[1].values()) / math.sqrt(hsic_base) / math.sqrt(hsic_tuned)
    return estimate, error, f"debiased-linear, {N_SKETCHES} count sketches"


def _mean_without(index: int, table: Mapping[tuple[int, int], float]) -> float:
    return _mean([value for key, value in table.items() if index not in key])


def _self_hsic(pairs: Iterable[CrossSums], side: str) -> float | NotMeasured:
    """n(n - 3) HSIC₁ of a model's features with themselves, or why it is not above 0."""
    sums = list(pairs)
    flat = flatness(sums[0], side)
    if flat is not None:
        return flat
    hsic = _mean([scaled_hsic(pair) for pair in sums])
    if hsic <= _RESOLVED * _mean([float(pair.product.square().sum()) for pair in sums]):
        return NotMeasured(f"one example outweighs all others in the features of {side}")
    return hsic


def _mean(values: Collection[float]) -> float:
    return math.fsum(values) / len(values)
