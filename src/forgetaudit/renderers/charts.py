"""Where the marks of a chart lie: places for the template, which draws them. Plain numbers, no markup.

Across, places are per cent of the width, so that a chart fits a phone and a sheet of paper while its words keep their
size; upwards they are pixels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forgetaudit.renderers import numbers
from forgetaudit.renderers.chart import Chart, Look, Point, Series

__all__ = ["HEIGHT", "DrawnChart", "Mark", "Tick", "drawn"]

HEIGHT = 260
# Of a sheet of paper and of a phone, in pixels, and of a character of a tick.
_WIDE, _NARROW, _CHARACTER = 620, 290, 7.5
_GAP = 10
_INSET = 2.5
_STEPS = tuple(times * 10.0**at for at in range(-5, 1) for times in (1, 2, 5))
_MOST_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A place on an axis with its words; `more` where there is room for it on wide pages alone."""

    place: float
    words: str
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point that is drawn: across, down, and the ends of its interval."""

    x: float
    y: float
    low: float | None
    high: float | None
    look: Look
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnChart:
    """Everything of a chart that has a place. `paths` are in thousandths of the width, and pixels down."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    levels: tuple[float, ...]
    paths: tuple[tuple[Look, str], ...]
    marks: tuple[Mark, ...]
    legend: tuple[tuple[Look, str], ...]


def drawn(chart: Chart) -> DrawnChart:
    """The chart on axes that hold all that is drawn, and no accuracy under 0 or over 1."""
    across, upwards = _Axis.over(_all_x(chart)), _Axis.of_fractions(_all_y(chart))
    marks = [_mark(point, across, upwards) for series in chart.series for point in series.points]
    return DrawnChart(
        x_ticks=tuple(_x_ticks(chart.x_ticks, across)),
        y_ticks=tuple(Tick(place=_down(upwards, at), words=f"{100 * at:.4g} %") for at in upwards.lines()),
        levels=tuple(_down(upwards, level.y) for level in chart.levels),
        paths=tuple(
            (series.look, _path(series, across, upwards)) for series in chart.series if len(series.path) > 1
        ),
        # What is painted last lies on top: base, tuned and the chosen one are never hidden.
        marks=tuple(sorted(marks, key=lambda mark: _ORDER.index(mark.look))),
        legend=tuple(entry for series in chart.series for entry in series.legend),
    )


_ORDER: tuple[Look, ...] = ("tried", "other", "front", "open", "sure", "base", "tuned", "chosen")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    start: float
    end: float
    step: float = 0.0

    @classmethod
    def over(cls, values: Sequence[float]) -> "_Axis":
        return cls(start=min(values), end=max(values))

    @classmethod
    def of_fractions(cls, values: Sequence[float]) -> "_Axis":
        """From the round value under all to the one over them, never without length."""
        low, high = max(min(values), 0.0), min(max(values), 1.0)
        if high - low < 0.01:
            low, high = max(low - 0.01, 0.0), min(high + 0.01, 1.0)
        step = next((step for step in _STEPS if (high - low) / step <= _MOST_LINES), 0.5)
        return cls(
            start=max(math.floor(low / step + 1e-9) * step, 0.0),
            end=min(math.ceil(high / step - 1e-9) * step, 1.0),
            step=step,
        )

    def share(self, value: float) -> float:
        length = self.end - self.start
        return min(max((value - self.start) / length, 0.0), 1.0) if length else 0.5

    def lines(self) -> list[float]:
        first, last = round(self.start / self.step), math.floor(self.end / self.step + 1e-9)
        return [at * self.step for at in range(first, last + 1)]


def _all_x(chart: Chart) -> list[float]:
    points = [point.x for series in chart.series for point in series.points]
    paths = [x for series in chart.series for x, _ in series.path]
    return points + paths + [place for place, _ in chart.x_ticks] or [0.0]


def _all_y(chart: Chart) -> list[float]:
    points = [point for series in chart.series for point in series.points]
    ends = [end for point in points for end in (point.y, point.low, point.high) if end is not None]
    paths = [y for series in chart.series for _, y in series.path]
    return ends + paths + [level.y for level in chart.levels] or [0.0, 1.0]


def _across(axis: _Axis, value: float) -> float:
    return round(_INSET + (100 - 2 * _INSET) * axis.share(value), 2)


def _down(axis: _Axis, value: float) -> float:
    return round(HEIGHT * (1 - axis.share(value)), 1)


def _mark(point: Point, across: _Axis, upwards: _Axis) -> Mark:
    has_ends = point.low is not None and point.high is not None
    return Mark(
        x=_across(across, point.x),
        y=_down(upwards, point.y),
        low=_down(upwards, point.low) if has_ends and point.low is not None else None,
        high=_down(upwards, point.high) if has_ends and point.high is not None else None,
        look=point.look,
        name=f"{point.name}: {numbers.percent(point.y)}",
    )


def _path(series: Series, across: _Axis, upwards: _Axis) -> str:
    places = [f"{round(10 * _across(across, x))} {_down(upwards, y):g}" for x, y in series.path]
    return "M" + "L".join(places)


def _x_ticks(ticks: Sequence[tuple[float, str]], across: _Axis) -> Iterator[Tick]:
    """Those that have room on paper, and of them those that have room on a phone."""
    told = [(_across(across, x), words) for x, words in ticks]
    wide = _with_room(told, _WIDE)
    narrow = _with_room(wide, _NARROW)
    yield from (Tick(place=at, words=words, more=(at, words) not in narrow) for at, words in wide)


def _with_room(ticks: Sequence[tuple[float, str]], width: int) -> list[tuple[float, str]]:
    """From the left, but the last is always kept."""
    kept: list[tuple[float, str]] = []
    for place, words in ticks:
        if not kept or _start(place, words, width) >= _end(*kept[-1], width) + _GAP:
            kept.append((place, words))
    if ticks and kept[-1] != ticks[-1]:
        while len(kept) > 1 and _start(*ticks[-1], width) < _end(*kept[-1], width) + _GAP:
            kept.pop()
        kept.append(ticks[-1])
    return kept


def _start(place: float, words: str, width: int) -> float:
    return place * width / 100 - len(words) * _CHARACTER / 2


def _end(place: float, words: str, width: int) -> float:
    return place * width / 100 + len(words) * _CHARACTER / 2
