"""The drop over fixed strata, as domains or subjects: each has its own limits, and the whole has those that follow."""

import math
from collections.abc import Sequence

from forgetaudit.inference.paired import tango
from forgetaudit.values import Interval, Sides

__all__ = ["Stratum", "stratified_tango"]

Stratum = tuple[int, int, int]
"""Forgotten, gained, and all examples of one stratum."""


def stratified_tango(strata: Sequence[Stratum], *, confidence: float, sides: Sides) -> Interval:
    """Σ w_h d_h with w_h = n_h/n, which is the drop of all examples, with limits for strata that are fixed.

    Strata are independent, so the squared distances from each d_h to its own Tango limit add up (MOVER: Zou and Donner,
    Statistics in Medicine 27 (2008) 1693). Where strata are small and hardly any example flipped, that is wide,
    and Tango's limits of all examples are the narrower ones. Those hold, too: the variance within strata is never more
    than that without them. So each side has the narrower of the two. ValueError without a stratum.
    """
    forgotten, gained, n = (sum(column) for column in zip(*strata, strict=True))
    whole = tango(forgotten, gained, n, confidence=confidence, sides=sides)
    alone = [(size / n, tango(b, c, size, confidence=confidence, sides=sides)) for b, c, size in strata]
    down = math.hypot(*(weight * (own.estimate - own.low) for weight, own in alone))
    up = math.hypot(*(weight * (own.high - own.estimate) for weight, own in alone))
    return Interval(
        estimate=whole.estimate,
        low=max(whole.low, whole.estimate - down),
        high=min(whole.high, whole.estimate + up),
        confidence=confidence,
        sides=sides,
        method="stratified-tango",
    )
