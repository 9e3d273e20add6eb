"""What surrounds a layer's CKA, from the same sums: where it can be trusted, and what it cannot see."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from forgetaudit.stats.cka import biased_cka, flatness
from forgetaudit.stats.cross import CrossSums
from forgetaudit.stats.moments import PairMoments, PairSums
from forgetaudit.values import NotMeasured

__all__ = ["FeatureDiagnostics", "diagnostics"]


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


def diagnostics(moments: PairMoments) -> FeatureDiagnostics | NotMeasured:
    """What surrounds a layer's CKA, from the same sums; O(d³), so on request."""
    sums = moments.read()
    reason = sums.rows.obstacle or flatness(sums.base, "base") or flatness(sums.tuned, "tuned")
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
