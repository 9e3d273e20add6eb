"""The two forms a measurement can take: an estimate with its interval, or the reason why there is none."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Interval", "NotMeasured", "Sides"]

Sides = Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and its confidence limits, as fractions or in the unit of the quantity.

    With `sides` 2, [low, high] covers with probability `confidence`. With `sides` 1, *each* of low and
    high is a one-sided limit of that confidence, to be used one at a time.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    sides: Sides
    method: str


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """The reason why there is no number. Never 0.0, inf, NaN or a missing key instead."""

    reason: str
