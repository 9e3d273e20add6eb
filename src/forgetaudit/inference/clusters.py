"""Intervals where questions come in groups, as tokens come in documents: a group is one draw, a token is not.

A mean over questions is then a ratio of two sums over groups (Cochran 1977, Sampling Techniques, chapter 6; Miller
2024, arXiv 2411.00640). Its variance is that of leaving one group out after the other, because the usual sandwich is
too small where one group is much larger than the others. G groups then do not give G − 1 degrees of freedom: how many
they give follows from their sizes (Satterthwaite; Bell and McCaffrey 2002), and is next to one where one group holds
half of the questions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forgetaudit.inference.binomial import t_quantile, z_quantile
from forgetaudit.inference.paired import tango
from forgetaudit.values import Interval, NotMeasured, Sides

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FEWEST_EFFECTIVE",
    "FEWEST_TOUCHED",
    "Clustering",
    "clustering_of",
    "design_effect",
    "effective_share",
    "grouped_mean",
    "grouped_tango",
    "variance_of_mean",
]

FEWEST_TOUCHED = 10
"""Where fewer groups hold any flip, their scatter says nothing, and a group is counted as one question."""

FEWEST_EFFECTIVE = 10
"""Limits from fewer groups hold, and are so wide that a reader should know why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """What the sizes of groups say: how many there are, and as how many of equal size they count.

    `effective` is (Σm)²/Σm² for groups of m questions; `degrees` are those of the variance by leaving one out.
    """

    n_groups: int
    effective: float
    degrees: float


def clustering_of(sizes: "Sequence[float] | NDArray[np.float64]") -> Clustering:
    """Of groups with as many questions, all more than 0. ValueError for none.

    The degrees of freedom are Satterthwaite's, tr(A)²/tr(A²) for the covariance A of what leaving out each group
    changes, were the means of groups independent and equally scattered: c_g·c_k·(1[g = k] − h_g − h_k + Σh²) with the
    shares h and c = h/(1 − h). For equal sizes they are G − 1. Sums over groups, never the G × G matrix.
    """
    import numpy as np

    m = np.asarray(sizes, dtype=np.float64)
    if not len(m) or not m.min() > 0:
        raise ValueError("groups need at least one question each")
    h = m / m.sum()
    q = float(np.square(h).sum())
    if len(m) < 2:
        return Clustering(n_groups=1, effective=1.0, degrees=0.0)
    c2 = np.square(h / (1 - h))
    s0, s1, s2 = (float((c2 * power).sum()) for power in (1.0, h, h * h))
    trace = float((c2 * (1 - 2 * h + q)).sum())
    pairs = q * q * s0 * s0 + 2 * s2 * s0 + 2 * s1 * s1 - 4 * q * s1 * s0
    of_squares = float((c2 * c2 * (1 + 2 * (q - 2 * h))).sum()) + pairs
    return Clustering(n_groups=len(m), effective=1 / q, degrees=trace * trace / of_squares)


def variance_of_mean(sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]") -> float:
    """Of Σ sums / Σ sizes, by leaving one group out after the other (the jackknife); infinite for one group.

    (G − 1)/G·Σ (mean without g − mean)², which is s²/n for groups of one question.
    """
    import numpy as np

    n, n_groups = float(sizes.sum()), len(sizes)
    if n_groups < 2:
        return math.inf
    residuals = sums - float(sums.sum()) / n * sizes
    return float((n_groups - 1) / n_groups * np.square(residuals / (n - sizes)).sum())


def grouped_mean(
    mean: float, variance: float, groups: Clustering, *, confidence: float, sides: Sides
) -> Interval | NotMeasured:
    """The mean over questions ± t·√variance, that of `variance_of_mean`, with Student's t by the groups' degrees."""
    if groups.n_groups < 2:
        return NotMeasured(f"an interval needs 2 independent groups, and there is {groups.n_groups}")
    if not (math.isfinite(mean) and math.isfinite(variance)):
        return NotMeasured("the values are too large to be added up")
    reach = t_quantile(confidence, sides, groups.degrees) * math.sqrt(variance)
    return Interval(
        estimate=mean,
        low=mean - reach,
        high=mean + reach,
        confidence=confidence,
        sides=sides,
        method="grouped-mean",
    )


def design_effect(alone: float, variance: float, n: int, groups: Clustering, *, touched: float) -> float:
    """By what factor groups widen the variance of a mean over n questions (Kish 1965); never under 1.

    `alone` is the variance of one question, were all independent; `variance` that of the mean, as measured; `touched`
    the effective number of groups with any value but 0. Where too few are, a group is counted as one question; where
    they are few, the measured effect is raised by 10 of them, because it is smallest just when the mean is.
    """
    as_one = n / groups.effective
    if groups.n_groups < 2 or touched < FEWEST_TOUCHED or alone <= 0:
        return as_one
    measured = max(1.0, variance * n / alone)
    return max(measured, min(as_one, measured * (1 + FEWEST_TOUCHED / touched)))


def effective_share(effect: float, degrees: float, *, confidence: float, sides: Sides) -> float:
    """What share of the questions counts as independent: (z/t)²/effect (Korn and Graubard 1998), 0 for one group."""
    if degrees <= 0:
        return 0.0
    ratio = z_quantile(confidence, sides) / t_quantile(confidence, sides, degrees)
    return ratio * ratio / effect


def grouped_tango(
    forgotten: int, gained: int, n: int, *, effect: float, degrees: float, confidence: float, sides: Sides
) -> Interval:
    """The drop with Tango's limits at the effective number of questions (Korn and Graubard 1998).

    As for plain examples the limits do not collapse where nothing flipped. Where that number is under one, as for one
    group alone, nothing is proved: the limits are −1 and 1. (Survey Methodology 24, 193.)
    """
    share = effective_share(effect, degrees, confidence=confidence, sides=sides)
    if n * share < 1:
        drop = (forgotten - gained) / n
        return Interval(
            estimate=drop, low=-1.0, high=1.0, confidence=confidence, sides=sides, method="grouped-tango"
        )
    found = tango(forgotten * share, gained * share, n * share, confidence=confidence, sides=sides)
    return Interval(
        estimate=(forgotten - gained) / n,
        low=found.low,
        high=found.high,
        confidence=confidence,
        sides=sides,
        method="grouped-tango",
    )
