"""Linear CKA of a layer, base against tuned, and what else the same sums say.

Kornblith, Norouzi, Lee and Hinton, ICML 2019, with the unbiased HSIC₁ of Song et al., JMLR 13 (2012) 1393: over the
whole data set, never averaged over batches, never clamped.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from forgetaudit.stats.cross import CrossSums, scaled_hsic
from forgetaudit.stats.moments import PairMoments, PairSums, RowCounts
from forgetaudit.values import NotMeasured

__all__ = ["Cka", "FeatureDiagnostics", "biased_cka", "diagnostics", "linear_cka", "obstacle"]

# HSIC₁ is a difference of terms as large as |XᵀX|², so below this share of it only rounding is left.
_RESOLVED = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cka:
    """Debiased linear CKA of `n` examples.

    1 for features alike up to rotation, shift and scale, about 0, also a little below, for unrelated ones.
    `kind` is "exact" where all rows are bit-identical in base and tuned: then it is 1 by proof.
    """

    estimate: float
    kind: Literal["exact", "diagnostic"]
    method: str
    n: int
    d_base: int
    d_tuned: int

    @property
    def angle_degrees(self) -> float:
        """Angular CKA: 0 for alike, 90 for unrelated. Spreads out the values near 1 (0.99 is 8.1 degrees)."""
        return math.degrees(math.acos(max(-1.0, min(1.0, self.estimate))))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDiagnostics:
    """What surrounds a CKA; shares are fractions.

    effective_rank_…   participation ratio (tr Σ)² / tr Σ² of the features' covariance: how many directions count
    top_direction_…    share of the first principal component in tr Σ²: above a half, it decides the CKA
    largest_row_…      at most this share of tr Σ comes from a single row, and about this where one stands out:
                       above a twentieth, an outlier may decide the CKA
    procrustes         ‖XᵀY‖_* / (‖X‖ ‖Y‖): stricter than CKA, blind to rotation, shift and scale as well
    linear_r2          share of base's variance that the best linear map recovers from tuned, adjusted for the
                       number of directions it may use (plain least squares finds some also in noise)
    mean_shift         distance of the means in units of base's spread √tr Σ, which CKA cannot see
    """

    biased_cka: float
    effective_rank_base: float
    effective_rank_tuned: float
    top_direction_base: float
    top_direction_tuned: float
    largest_row_base: float
    largest_row_tuned: float
    procrustes: float
    linear_r2: float | NotMeasured
    mean_shift: float | NotMeasured


def linear_cka(moments: PairMoments) -> Cka | NotMeasured:
    """Debiased linear CKA over all rows seen, or the reason why there is none. Costs O(d²)."""
    sums = moments.read()
    reason = obstacle(sums.rows)
    if reason is not None:
        return reason
    n, d_base, d_tuned = sums.rows.n, moments.d_base, moments.d_tuned
    if sums.rows.n_identical == n:
        return Cka(estimate=1.0, kind="exact", method="identical", n=n, d_base=d_base, d_tuned=d_tuned)
    if n < 4:
        return NotMeasured(f"CKA needs 4 examples, and there are {n}")
    hsic_base, hsic_tuned = _self_hsic(sums.base, "base"), _self_hsic(sums.tuned, "tuned")
    if isinstance(hsic_base, NotMeasured):
        return hsic_base
    if isinstance(hsic_tuned, NotMeasured):
        return hsic_tuned
    estimate = scaled_hsic(sums.cross) / math.sqrt(hsic_base) / math.sqrt(hsic_tuned)
    return Cka(
        estimate=estimate, kind="diagnostic", method="debiased-linear", n=n, d_base=d_base, d_tuned=d_tuned
    )


def biased_cka(sums: PairSums) -> float:
    """‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖) of centred features. Grows as n falls: only to compare with figures of others."""
    return float(sums.cross.product.square().sum() / sums.base.product.norm() / sums.tuned.product.norm())


def diagnostics(moments: PairMoments) -> FeatureDiagnostics | NotMeasured:
    """What surrounds a layer's CKA, from the same sums; O(d³), so on request."""
    sums = moments.read()
    reason = obstacle(sums.rows) or _too_flat(sums.base, "base") or _too_flat(sums.tuned, "tuned")
    if reason is not None:
        return reason
    spectrum_base = torch.linalg.eigvalsh(sums.base.product)
    spectrum_tuned = torch.linalg.eigvalsh(sums.tuned.product)
    nuclear = torch.linalg.svdvals(sums.cross.product).sum()
    trace_base, trace_tuned = sums.base.squares_u, sums.tuned.squares_u
    return FeatureDiagnostics(
        biased_cka=biased_cka(sums),
        effective_rank_base=float(trace_base**2 / spectrum_base.square().sum()),
        effective_rank_tuned=float(trace_tuned**2 / spectrum_tuned.square().sum()),
        top_direction_base=float(spectrum_base[-1] ** 2 / spectrum_base.square().sum()),
        top_direction_tuned=float(spectrum_tuned[-1] ** 2 / spectrum_tuned.square().sum()),
        largest_row_base=_largest_row(sums.base),
        largest_row_tuned=_largest_row(sums.tuned),
        procrustes=float(nuclear / trace_base.sqrt() / trace_tuned.sqrt()),
        linear_r2=_linear_r2(sums),
        mean_shift=_mean_shift(sums),
    )


def obstacle(rows: RowCounts) -> NotMeasured | None:
    """Why nothing can be said of these rows at all, if so."""
    if rows.n == 0:
        return NotMeasured("no examples")
    if rows.n_nonfinite == 0:
        return None
    counts = {"base": rows.n_nonfinite_base, "tuned": rows.n_nonfinite_tuned}
    where = " and ".join(f"{count} in {side}" for side, count in counts.items() if count)
    return NotMeasured(f"features are NaN or infinite for {rows.n_nonfinite} of {rows.n} examples ({where})")


def _self_hsic(sums: CrossSums, side: str) -> float | NotMeasured:
    flat = _too_flat(sums, side)
    if flat is not None:
        return flat
    hsic = scaled_hsic(sums)
    if hsic <= _RESOLVED * float(sums.product.square().sum()):
        return NotMeasured(f"one example outweighs all others in the features of {side}")
    return hsic


def _too_flat(sums: CrossSums, side: str) -> NotMeasured | None:
    """Features that do not vary, or by no more than the rounding of their mean."""
    spread, level = math.sqrt(max(0.0, float(sums.squares_u)) / sums.n), float(sums.pivot_u.norm())
    return NotMeasured(f"the features of {side} do not vary") if spread <= 1e-13 * level else None


def _linear_r2(sums: PairSums) -> float | NotMeasured:
    """1 - (1 - R²)(n - 1)/(n - 1 - rank), R² = tr(XᵀY (YᵀY)⁺ YᵀX) / tr XᵀX."""
    values, vectors = torch.linalg.eigh(sums.tuned.product)
    used = values > values[-1] * len(values) * torch.finfo(torch.float64).eps
    n, rank = sums.rows.n, int(used.sum())
    if n - 1 <= rank:
        return NotMeasured(f"a linear map from {rank} directions fits any {n} examples")
    projected: Tensor = sums.cross.product @ vectors[:, used]
    explained = float((projected.square() / values[used]).sum() / sums.base.squares_u)
    return 1 - (1 - explained) * (n - 1) / (n - 1 - rank)


def _largest_row(sums: CrossSums) -> float:
    """The largest share s that one of n rows can have in Σ a, given Q = Σ a² / (Σ a)², by Samuelson's inequality.

    s² + (1 - s)²/(n - 1) = Q, were all other rows alike. Unlike the largest share itself this is a sum.
    """
    n, concentration = sums.n, float(sums.squares_uv / sums.squares_u**2)
    return min(1.0, (1 + math.sqrt(max(0.0, (n - 1) * (n * concentration - 1)))) / n)


def _mean_shift(sums: PairSums) -> float | NotMeasured:
    before, after = sums.base.pivot_u, sums.tuned.pivot_u
    if len(before) != len(after):
        return NotMeasured(f"base has {len(before)} features and tuned {len(after)}")
    return float((after - before).norm() / (sums.base.squares_u / sums.rows.n).sqrt())
