"""Base against tuned on the same examples.

Counts: n examples, of which `forgotten` are right in base and wrong in tuned, `gained` the other way round.
The drop is (forgotten - gained) / n, a fraction; positive is forgetting.
"""

import math
from dataclasses import dataclass

from forgetaudit.inference.binomial import at_most, upper_tail, z_quantile
from forgetaudit.values import Interval, Sides

__all__ = ["McNemar", "mcnemar", "no_drop", "score", "score_variance", "tango"]


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Two-sided p-values of "forgotten and gained are equally likely"."""

    exact: float
    mid_p: float


def tango(forgotten: float, gained: float, n: float, *, confidence: float, sides: Sides) -> Interval:
    """The drop with Tango's score limits for the difference of paired proportions.

    The limits are the drops at which the score |forgotten - gained - n drop| / sqrt(n variance) equals the
    normal quantile (Tango, Statistics in Medicine 17 (1998) 891). Unlike Wald's they do not collapse when
    nothing flipped: the upper limit is then z²/(n + z²). They lie in [-1, 1]. Counts need not be whole, so that
    expected counts can be judged; ValueError unless they are a table of n >= 1 examples.
    """
    _check(forgotten, gained, n)
    z = z_quantile(confidence, sides)
    return Interval(
        estimate=(forgotten - gained) / n,
        low=-_upper(gained, forgotten, n, z),
        high=_upper(forgotten, gained, n, z),
        confidence=confidence,
        sides=sides,
        method="tango",
    )


def score_variance(forgotten: float, gained: float, n: float, drop: float) -> float:
    """Variance of one example's flip (1, 0 or -1) if the true drop were `drop`, the rest being most likely.

    2q + drop(1 - drop), where q is the most likely rate of gains (of losses for a negative drop, mirrored: the
    quadratic that gives q then never subtracts near equals).
    """
    if drop < 0:
        return score_variance(gained, forgotten, n, -drop)
    linear = (2 * n - forgotten + gained) * drop - forgotten - gained
    constant = gained * drop * (1 - drop)
    root = math.sqrt(linear * linear + 8 * n * constant)
    rate = 2 * constant / (root + linear) if linear > 0 else (root - linear) / (4 * n)
    return 2 * rate + drop * (1 - drop)


def score(forgotten: float, gained: float, n: float, drop: float) -> float:
    """Tango's standardised distance of the drop seen from a true one of `drop`: 0 for none, infinite where sure."""
    excess = forgotten - gained - n * drop
    if excess == 0:
        return 0.0
    variance = n * score_variance(forgotten, gained, n, drop)
    return excess / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, excess)


def no_drop(forgotten: float, gained: float) -> float:
    """One-sided exact p-value of "no drop": as many losses or more among the flips, were both equally likely.

    McNemar's exact test, which calls a drop at most as often as it says, at any number of flips. Counts need not be
    whole, so that effective numbers can be judged: the tail is then the incomplete beta function.
    """
    return upper_tail(forgotten, forgotten + gained)


def mcnemar(forgotten: int, gained: int) -> McNemar:
    """Is there any difference? Exact and mid-P test on the flips alone (Fagerland et al. 2013).

    Both double the smaller tail, so equally many flips either way, or none, give 1.
    """
    n_flips, fewer = forgotten + gained, min(forgotten, gained)
    tail, below = at_most(fewer, n_flips, 0.5), at_most(fewer - 1, n_flips, 0.5)
    return McNemar(exact=min(1.0, 2 * tail), mid_p=min(1.0, tail + below))


def _upper(forgotten: float, gained: float, n: float, z: float) -> float:
    """The largest drop that the score test does not reject: halved down to neighbouring floats.

    The score falls strictly as the drop grows, so there is one crossing, between the estimate and 1.
    """
    low, high = (forgotten - gained) / n, 1.0
    while low < (middle := (low + high) / 2) < high:
        excess = n * middle - (forgotten - gained)
        if excess * excess > z * z * n * score_variance(forgotten, gained, n, middle):
            high = middle
        else:
            low = middle
    return high


def _check(forgotten: float, gained: float, n: float) -> None:
    if not (n >= 1 and forgotten >= 0 and gained >= 0 and forgotten + gained <= n):
        raise ValueError(f"{forgotten} forgotten and {gained} gained of {n} examples is not a table")
