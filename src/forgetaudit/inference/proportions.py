"""A share of n examples and its exact limits."""

import math

from forgetaudit.inference.binomial import lower_limit, upper_limit
from forgetaudit.values import Interval, Sides

__all__ = ["clopper_pearson", "further_for_share", "lower_limit", "upper_limit"]

_MOST_EXAMPLES = 10**9


def clopper_pearson(k: float, n: float, *, confidence: float, sides: Sides) -> Interval:
    """The share k/n with exact binomial limits, which cover with at least `confidence` at any n.

    Clopper and Pearson, Biometrika 26 (1934) 404. ValueError unless 0 <= k <= n and n >= 1.
    """
    each = confidence if sides == 1 else (1 + confidence) / 2
    return Interval(
        estimate=k / n if n else 0.0,
        low=lower_limit(k, n, each),
        high=upper_limit(k, n, each),
        confidence=confidence,
        sides=sides,
        method="clopper-pearson",
    )


def further_for_share(
    k: float, n: float, *, limit: float, confidence: float, proven: bool, min_samples: int = 0
) -> int | None:
    """How many more examples would decide whether a share keeps `limit`, if it stayed k/n; 0 where it is decided.

    Decided is an upper limit below `limit` (and `min_samples` reached), or a share over `limit` whose lower limit
    is above 0, or above `limit` itself if `proven`. None where no number would: the share lies on the limit, or so
    near that a billion examples would not tell. Counts may be effective ones. Found by doubling and halving.
    """
    share = k / n if n else 0.0
    if n < 1 or share == limit:
        return None

    def decided(total: float) -> bool:
        if share < limit:
            return upper_limit(share * total, total, confidence) < limit
        return lower_limit(share * total, total, confidence) > (limit if proven else 0.0)

    low, high = n, float(max(n, min_samples if share < limit else 2))
    while not decided(high):
        low, high = high, 2 * high
        if high > _MOST_EXAMPLES:
            return None
    if high > max(n, min_samples):
        while high - low > 0.5:
            middle = (low + high) / 2
            low, high = (low, middle) if decided(middle) else (middle, high)
    return math.ceil(high - n)
