"""Intervals of many rows on one axis, so that they compare."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.renderers.document import Cell, Span, Tone
from forgetaudit.renderers.drop_words import drop_points
from forgetaudit.report.parts import Absent, Measured

__all__ = ["Axis", "common_axis", "on_axis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From `start` to `end`, both fractions, and the limit where there is one."""

    start: float
    end: float
    limit: float | None = None

    @property
    def title(self) -> str:
        """Its ends in points, for the heading of a column."""
        return f"{drop_points(self.start)} to {drop_points(self.end)} pt"


def common_axis(values: Sequence[Measured], limit: float | None = None) -> Axis:
    """The axis that holds 0, the limit and all the values with their intervals."""
    ends = [0.0, *(() if limit is None else (limit,))]
    for value in values:
        if not isinstance(value, Absent):
            ends += [end for end in (value.low, value.estimate, value.high) if end is not None]
    return Axis(start=min(ends), end=max(*ends, min(ends) + 0.001), limit=limit)


def on_axis(value: Measured, axis: Axis, *, tone: Tone = "") -> Cell:
    """The interval as a mark; nothing where there is none."""
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return Cell()
    mark = Span(
        low=value.low,
        estimate=value.estimate,
        high=value.high,
        start=axis.start,
        end=axis.end,
        limit=axis.limit,
    )
    return Cell(mark=mark, tone=tone)
