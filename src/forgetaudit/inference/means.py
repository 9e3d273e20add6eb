"""The mean of paired differences that have no bound of their own, as log losses have none.

Student's t is what a reader expects of a mean, and is wrong where rare large rises were not seen yet: of differences
with a long tail it "proves" in 10 to 25 % of the runs a rise under the limit that is not. A pass therefore needs a
limit that holds whatever the shape is, as long as no question rises by more than a stated amount: the capital of a
gambler who bets that the mean is smaller than m (Waudby-Smith and Ramdas 2024, arXiv 2010.09686), bounded from below
by the first two moments (Fan, Grama and Liu 2015, arXiv 1311.6273), so that it is read off sums.
"""

import math
from collections.abc import Callable

from forgetaudit.inference.binomial import t_quantile
from forgetaudit.values import Interval, NotMeasured, Sides

__all__ = ["FEWEST_TO_FAIL", "LARGEST_RISE", "bounded_reach", "largest_assumed", "mean_difference"]

LARGEST_RISE = 20.0
"""Nats that no question is assumed to rise by, unless one did: a sure right answer becomes one of 500 million."""

FEWEST_TO_FAIL = 30
"""Student's t of fewer differences that are not normal says too little to fail a run."""

# Shares of all that may be risked, and how much of the capital is bet at each: the largest decides where nothing
# scattered, the smaller ones where there are many differences.
_BETS = ((0.8, 0.35), (0.5, 0.25), (0.3, 0.2), (0.15, 0.1), (0.05, 0.1))
_TOLERANCE = 1e-9


def mean_difference(
    n: int, mean: float, m2: float, *, confidence: float, sides: Sides
) -> Interval | NotMeasured:
    """The mean of n paired differences ± t·sd/√n, in the unit of the differences; n − 1 degrees of freedom.

    `m2` is the sum of squared deviations from the mean, so sd² = m2/(n - 1).
    """
    if n < 2:
        return NotMeasured(f"a paired interval needs 2 examples, and there are {n}")
    if not (math.isfinite(mean) and math.isfinite(m2)):
        return NotMeasured("the differences are too large to be added up")
    reach = t_quantile(confidence, sides, n - 1) * math.sqrt(m2 / (n - 1) / n)
    return Interval(
        estimate=mean,
        low=mean - reach,
        high=mean + reach,
        confidence=confidence,
        sides=sides,
        method="paired-mean",
    )


def largest_assumed(largest_seen: float) -> float:
    """By how much no question is assumed to rise: 20 nats, or twice the most that was seen."""
    return max(LARGEST_RISE, 2 * largest_seen)


def bounded_reach(n: float, mean: float, error: float, *, largest: float, confidence: float) -> float:
    """How far above `mean` the true mean can lie, were no difference larger than `largest`; infinite if anything can.

    `error` is the standard error of the mean of n independent differences (an effective number, for groups). If the
    true mean were m, Π (1 − λ(x − m)) would reach 1/α in at most a share α of samples, for every λ < 1/(largest − m).
    With y = λ(x − m) ≤ s, log(1 − y) ≥ −y + (log(1 − s) + s)(y/s)², so the product is at least
    exp(λn(m − mean) + (log(1 − s) + s)(λ/s)²·Σ(x − m)²), summed over fixed bets s.
    """
    if n < 2 or not (math.isfinite(mean) and math.isfinite(error)) or largest <= mean:
        return math.inf
    m2, needed = error * error * n * (n - 1), -math.log(1 - confidence)

    def log_capital(reach: float) -> float:
        room = largest - mean - reach
        logs = [
            math.log(weight)
            + share / room * n * reach
            + (math.log1p(-share) + share) / (room * room) * (m2 + n * reach * reach)
            for share, weight in _BETS
        ]
        most = max(logs)
        return most + math.log(math.fsum(math.exp(one - most) for one in logs))

    return _first_reached(log_capital, needed, step=error / 4 + (largest - mean) / n / 4, most=largest - mean)


def _first_reached(
    log_capital: Callable[[float], float], needed: float, *, step: float, most: float
) -> float:
    """The smallest reach whose capital is enough: stepped to, then halved; infinite where there is none below `most`.

    The bound on the capital falls again for m far above the mean, where the capital itself does not.
    """
    low, high = 0.0, step
    while high < most and log_capital(high) < needed:
        low, high, step = high, high + step, step * 1.1
    if high >= most:
        return math.inf
    while high - low > _TOLERANCE * max(1.0, most):
        middle = (low + high) / 2
        low, high = (low, middle) if log_capital(middle) >= needed else (middle, high)
    return high
