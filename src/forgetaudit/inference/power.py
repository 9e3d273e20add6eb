"""How many examples a verdict needs, and what the present ones can resolve.

Margins, limits and flip rates are fractions. `flip_rate` is the share of examples that differ in rightness
between base and tuned, forgotten and gained together.
"""

import math

from forgetaudit.inference.binomial import at_most, z_quantile
from forgetaudit.inference.paired import score_variance

__all__ = ["chance_of_passing", "examples_to_pass", "further_examples", "smallest_margin"]

_MOST_EXAMPLES = 10**9
_MARGIN_STEP = 1e-6


def further_examples(
    forgotten: float,
    gained: float,
    n: float,
    *,
    limit: float,
    confidence: float,
    proven: bool,
    min_samples: int = 0,
) -> int | None:
    """How many more examples would decide the gate if the flip rates seen so far stayed; 0 where it is decided.

    The gate passes where the upper limit of the drop is below `limit` (and `min_samples` is reached), and fails
    where the drop exceeds `limit` and its lower limit exceeds 0, or `limit` itself if `proven`. None where no
    number would: the drop lies on the limit, or so near that a billion examples would not tell. Counts may be
    effective ones.

    The score of a drop grows with √n at fixed rates, so the number is solved for, not searched.
    """
    if n < 1:
        return None
    drop, z = (forgotten - gained) / n, z_quantile(confidence, 1)
    target = limit if drop < limit or proven else 0.0
    if drop == limit or (drop > limit and drop <= target):
        return None
    needed = z * z * score_variance(forgotten, gained, n, target) / (drop - target) ** 2
    if needed >= _MOST_EXAMPLES:
        return None
    least = min_samples if drop < limit else 2
    return math.ceil(max(math.floor(needed) + 1, least, n) - n)


def examples_to_pass(flip_rate: float, margin: float, *, confidence: float, power: float) -> int:
    """Examples with which a pair with no true drop passes a limit of `margin` with probability `power`.

    Starts where the normal approximation, or the limit with no flips at all, says so, and goes up to the first
    number that reaches `power` by exact enumeration of forgotten and gained. At flip rate 0 and a margin of 2
    points that is 133.
    """
    z = z_quantile(confidence, 1)
    if not (0 < margin < 1 and 0 <= flip_rate <= 1):
        raise ValueError(f"flip rate {flip_rate} and margin {margin} must be fractions, the margin above 0")
    approximate = (z + z_quantile(power, 1)) ** 2 * flip_rate / margin**2
    low = max(math.ceil(approximate), math.floor(z * z * (1 - margin) / margin) + 1)

    def enough(n: int) -> bool:
        return chance_of_passing(n, flip_rate, margin, confidence=confidence) >= power

    if enough(low):
        return low
    step = 1
    while not enough(low + step):
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def smallest_margin(flip_rate: float, n: int, *, confidence: float, power: float) -> float:
    """The smallest limit that a pair with no true drop passes with probability `power` on n examples.

    From the same approximation and the same enumeration as `examples_to_pass`; to a ten-thousandth of a point,
    never too small.
    """
    if n < 1 or not 0 <= flip_rate <= 1:
        raise ValueError(f"{n} examples at a flip rate of {flip_rate} say nothing")
    z = z_quantile(confidence, 1)
    approximate = (z + z_quantile(power, 1)) * math.sqrt(flip_rate / n)
    low, high = max(min(approximate, 0.999), z * z / (n + z * z)), 1.0

    def enough(margin: float) -> bool:
        return chance_of_passing(n, flip_rate, margin, confidence=confidence) >= power

    if enough(low + _MARGIN_STEP):
        return low + _MARGIN_STEP
    while high - low > _MARGIN_STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def chance_of_passing(n: int, flip_rate: float, margin: float, *, confidence: float) -> float:
    """Probability, with no true drop, that the upper limit of n examples' drop lies below `margin`.

    Exact: over every number of flips (to eight standard deviations) and, given it, over how many are losses.
    """
    z = z_quantile(confidence, 1)
    spread = 8 * math.sqrt(n * flip_rate * (1 - flip_rate)) + 8
    first, last = max(0, math.floor(n * flip_rate - spread)), min(n, math.ceil(n * flip_rate + spread))
    total, most, below = 0.0, -1, at_most(first - 1, n, flip_rate)
    for n_flips in range(first, last + 1):
        most = _most_losses(n_flips, n, margin, z, start=most)
        up_to = at_most(n_flips, n, flip_rate)
        total += (up_to - below) * at_most(most, n_flips, 0.5)
        below = up_to
    return total


def _most_losses(n_flips: int, n: int, margin: float, z: float, *, start: int) -> int:
    """The largest number of losses among the flips that still passes, or -1; sought from `start`, a neighbour."""

    def passes(losses: int) -> bool:
        shortfall = n * margin - (2 * losses - n_flips)
        variance = score_variance(losses, n_flips - losses, n, margin)
        return shortfall > 0 and shortfall * shortfall > z * z * n * variance

    losses = max(start, -1)
    while losses < n_flips and passes(losses + 1):
        losses += 1
    while losses >= 0 and not passes(losses):
        losses -= 1
    return losses
