"""Intervals where questions come in groups, as tokens come in documents: a group is one draw, a token is not.

A mean over questions is then a ratio of two sums over groups, whose variance is that of the groups' residuals
(Miller 2024, arXiv 2411.00640, section 2.2; Cochran 1977, Sampling Techniques, chapter 6).
"""

import math

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.paired import tango
from forgetaudit.values import Interval, NotMeasured, Sides

__all__ = [
    "FEWEST_TOUCHED",
    "design_effect",
    "effective_share",
    "grouped_mean",
    "grouped_tango",
    "t_quantile",
]

FEWEST_TOUCHED = 10
"""Where fewer groups hold any flip, their scatter says nothing, and a group is counted as one question."""


def grouped_mean(
    mean: float, scatter: float, n: int, n_groups: int, *, confidence: float, sides: Sides
) -> Interval | NotMeasured:
    """The mean over n questions ± t·se, se² = G/(G − 1)·scatter/n², Student's t with G − 1 degrees of freedom.

    `scatter` is the sum over the G groups of (x − mean·m)², x the sum and m the number of a group's questions.
    """
    if n_groups < 2:
        return NotMeasured(f"an interval needs 2 independent groups, and there is {n_groups}")
    if not (math.isfinite(mean) and math.isfinite(scatter)):
        return NotMeasured("the values are too large to be added up")
    reach = t_quantile(confidence, sides, n_groups - 1) * math.sqrt(
        n_groups / (n_groups - 1) * scatter / n**2
    )
    return Interval(
        estimate=mean,
        low=mean - reach,
        high=mean + reach,
        confidence=confidence,
        sides=sides,
        method="grouped-mean",
    )


def design_effect(alone: float, scatter: float, n: int, n_groups: int, *, n_touched: int) -> float:
    """By what factor groups widen the variance of a mean over n questions (Kish 1965); never under 1.

    `alone` is the variance of one question, were all independent; `scatter` as in `grouped_mean`, `n_touched` the
    number of groups with any value but 0. Where too few are, a group is counted as one question.
    """
    if n_groups < 2 or n_touched < FEWEST_TOUCHED or alone <= 0:
        return n / n_groups
    return max(1.0, n_groups / (n_groups - 1) * scatter / n / alone)


def effective_share(effect: float, n_groups: int, *, confidence: float, sides: Sides) -> float:
    """What share of the questions counts as independent: (z/t)²/effect (Korn and Graubard 1998), 0 for one group."""
    if n_groups < 2:
        return 0.0
    ratio = z_quantile(confidence, sides) / t_quantile(confidence, sides, n_groups - 1)
    return ratio * ratio / effect


def grouped_tango(
    forgotten: int, gained: int, n: int, *, effect: float, n_groups: int, confidence: float, sides: Sides
) -> Interval:
    """The drop with Tango's limits at the effective number of questions (Korn and Graubard 1998).

    As for plain examples the limits do not collapse where nothing flipped. One group alone proves nothing: its
    limits are −1 and 1. (Survey Methodology 24, 193.)
    """
    share = effective_share(effect, n_groups, confidence=confidence, sides=sides)
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


def t_quantile(confidence: float, sides: Sides, degrees: int) -> float:
    """Student's t, for as many sides; `scipy.special` only, which is light."""
    from scipy.special import stdtrit

    z_quantile(confidence, sides)  # refuses what is no confidence
    return float(stdtrit(degrees, confidence if sides == 1 else (1 + confidence) / 2))
