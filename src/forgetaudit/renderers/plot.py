"""A curve as text: marks over a line of steps, on a grid of characters."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forgetaudit.renderers.chart import Chart
from forgetaudit.renderers.lines import Line

__all__ = ["Dot", "plot", "plot_chart"]

_HEIGHT, _WIDTH = 9, 60
_MARGIN = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A mark at a place from 0 to 1 on the way, with a value and the ends of its interval, all fractions."""

    place: float
    value: float
    mark: str
    low: float | None = None
    high: float | None = None


_MARKS = "●○◆"


def plot_chart(chart: Chart) -> Iterator[Line]:
    """A chart that begins at x = 0, each of its series with a mark of its own, under a line that names them."""
    furthest = max((x for x, _ in chart.x_ticks), default=0.0) or 1.0
    named = [f"{mark} on {series.name}" for mark, series in zip(_MARKS, chart.series, strict=False)]
    yield [("   ".join(named).replace(" on", f" {chart.y_title} on", 1), "label")]
    dots = [
        Dot(place=point.x / furthest, value=point.y, mark=mark, low=point.low, high=point.high)
        for mark, series in zip(_MARKS, chart.series, strict=False)
        for point in series.points
    ]
    yield from plot(dots, [(x / furthest, words) for x, words in chart.x_ticks])


def plot(dots: Sequence[Dot], ticks: Sequence[tuple[float, str]]) -> Iterator[Line]:
    """The lines of a plot, 67 columns wide, from the tens of per cent under all values to those over them.

    Intervals are drawn as far as whole rows go; where two marks fall on one place, the first is seen. `ticks` stand
    below, at places from 0 to 1; those that would touch their neighbour are left out.
    """
    low, high = _range(dots)
    rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for dot in dots:
        if dot.low is not None and dot.high is not None:
            for row in range(_row(dot.high, low, high), _row(dot.low, low, high) + 1):
                rows[row][_column(dot.place)] = "│"
    for dot in reversed(dots):
        rows[_row(dot.value, low, high)][_column(dot.place)] = dot.mark
    for at, signs in enumerate(rows):
        named = at in (0, _HEIGHT // 2, _HEIGHT - 1)
        value = high - (high - low) * at / (_HEIGHT - 1)
        label = f"{100 * value:.0f} %" if named else ""
        yield [(f"{label:>{_MARGIN - 2}} ", "dim"), ("┤" if named else "│", "dim"), ("".join(signs), "bar")]
    yield from _axis(ticks)


def _axis(ticks: Sequence[tuple[float, str]]) -> Iterator[Line]:
    ruler, words = ["─"] * _WIDTH, [" "] * (_WIDTH + 12)
    free = 0
    for place, text in ticks:
        start = max(_column(place) - len(text) // 2, 0)
        if start < free:
            continue
        ruler[_column(place)] = "┴"
        words[start : start + len(text)] = text
        free = start + len(text) + 2
    yield [(" " * (_MARGIN - 1) + "└" + "".join(ruler), "dim")]
    yield [(" " * _MARGIN + "".join(words).rstrip(), "dim")]


def _range(dots: Sequence[Dot]) -> tuple[float, float]:
    """The whole tens around all that is drawn; never nothing."""
    values = [value for dot in dots for value in (dot.value, dot.low, dot.high) if value is not None]
    low = max(math.floor(10 * min(values) + 1e-9), 0)
    high = min(math.ceil(10 * max(values) - 1e-9), 10)
    return (low / 10, high / 10) if high > low else (max(high - 1, 0) / 10, max(high, 1) / 10)


def _row(value: float, low: float, high: float) -> int:
    share = (high - min(max(value, low), high)) / (high - low)
    return round(share * (_HEIGHT - 1))


def _column(place: float) -> int:
    return round(place * (_WIDTH - 1))
