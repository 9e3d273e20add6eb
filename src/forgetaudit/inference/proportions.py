"""A share of n examples and its exact limits."""

from forgetaudit.inference.binomial import lower_limit, upper_limit
from forgetaudit.values import Interval, Sides

__all__ = ["clopper_pearson", "lower_limit", "upper_limit"]


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
