"""The interval that a report's method names, made again from the counts."""

from collections.abc import Sequence

from forgetaudit.inference.clusters import effective_share, grouped_tango
from forgetaudit.inference.paired import tango
from forgetaudit.inference.proportions import clopper_pearson
from forgetaudit.inference.sequential import sequential_limits
from forgetaudit.inference.strata import Stratum, stratified_tango
from forgetaudit.values import Interval, Sides

__all__ = ["drop_interval", "share_interval"]


def drop_interval(
    forgotten: int,
    gained: int,
    n: int,
    *,
    method: str,
    effect: float | None,
    degrees: float | None,
    confidence: float,
    sides: Sides,
    strata: Sequence[Stratum] = (),
) -> Interval | None:
    """Of the drop; of strata without their counts that of all examples, which is no narrower.

    None for a method that needs more than counts.
    """
    if method == "betting":
        return sequential_limits(forgotten, gained, n, confidence=confidence, sides=sides)
    if method == "stratified-tango" and strata:
        return stratified_tango(strata, confidence=confidence, sides=sides)
    if method in ("tango", "stratified-tango"):
        return tango(forgotten, gained, n, confidence=confidence, sides=sides)
    if method == "grouped-tango" and effect is not None and degrees is not None:
        return grouped_tango(
            forgotten, gained, n, effect=effect, degrees=degrees, confidence=confidence, sides=sides
        )
    return None


def share_interval(
    count: int,
    n: int,
    *,
    effect: float | None,
    degrees: float | None,
    confidence: float,
    sides: Sides,
) -> Interval | None:
    """Of a share, at the effective number where questions come in groups; None where that is under one."""
    share = 1.0
    if effect is not None and degrees is not None:
        share = effective_share(effect, degrees, confidence=confidence, sides=sides)
    if n * share < 1:
        return None
    return clopper_pearson(count * share, n * share, confidence=confidence, sides=sides)
