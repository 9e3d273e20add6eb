"""A chart as data: points, lines and levels, in the units of the report. Where they lie is for who draws it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Chart", "Level", "Look", "Point", "Series"]

# How a point is drawn: shape and filling tell it without its colour, too.
Look = Literal["sure", "open", "other", "front", "tried", "chosen", "base", "tuned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a chart, with the ends of its interval where it has one. `name` is what it is, for who asks."""

    x: float
    y: float
    name: str
    look: Look
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together, what each look among them means, and the line through `path`, where there is one.

    The line can pass through more places than have a mark. `name` is what they are of.
    """

    points: tuple[Point, ...]
    path: tuple[tuple[float, float], ...]
    look: Look
    legend: tuple[tuple[Look, str], ...]
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A line across the chart, and what it is."""

    y: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Fractions upwards, over steps, counts or fractions. `told` says in words what is to be seen.

    `x_ticks` are (place, words) in the unit of x; those that would touch are left out where it is drawn.
    """

    ident: str
    title: str
    x_title: str
    y_title: str
    x_ticks: tuple[tuple[float, str], ...]
    series: tuple[Series, ...]
    levels: tuple[Level, ...]
    told: str
    note: str
    on: Literal["all", "page"] = "all"
