"""Where the marks of a page lie: coordinates for the template, which draws them. Plain numbers, no markup."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.renderers import numbers

__all__ = ["Axis", "Drawn", "Span", "Strip", "axis", "bar_width", "strip_of", "within"]

# Places are per cent of a drawing's width, so that lines stretch with the page and words do not.
_WHOLE, _EDGE = 100.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An estimate with its interval on an axis from `start` to `end`, and the limit where there is one."""

    low: float
    estimate: float
    high: float
    start: float
    end: float
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A span on its axis: where it starts and ends, its estimate, zero, and the limit."""

    low: float
    high: float
    estimate: float
    zero: float
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The drop on an axis with ticks (place, words)."""

    drawn: Drawn
    ticks: tuple[tuple[float, str], ...]
    limit_words: str
    limit_at_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Bars side by side, a layer each: (place, height) for those that were measured, both from 0 to 1 on the way up."""

    title: str
    width: int
    bars: tuple[tuple[int, float], ...]


def within(span: Span) -> Drawn:
    """The places of a span on its axis; what lies outside ends at the edge."""

    def place(value: float) -> float:
        share = (value - span.start) / ((span.end - span.start) or 1.0)
        return round(_EDGE + (_WHOLE - 2 * _EDGE) * min(max(share, 0.0), 1.0), 1)

    return Drawn(
        low=place(span.low),
        high=place(span.high),
        estimate=place(span.estimate),
        zero=place(0.0),
        limit=None if span.limit is None else place(span.limit),
    )


def bar_width(share: float) -> float:
    """In per cent; a value over 1 fills it."""
    return round(_WHOLE * min(max(share, 0.0), 1.0), 1)


def axis(span: Span) -> Axis:
    """The drop against its limit, with about five round ticks in points."""
    drawn = within(span)
    step = _round_step(span.end - span.start)
    first, last = int(span.start // step), int(span.end // step) + 1
    values = [at * step for at in range(first, last + 1) if span.start <= at * step <= span.end]
    ticks = [(_place(value, span), _points(value)) for value in values]
    limit = drawn.limit
    return Axis(
        drawn=drawn,
        ticks=tuple(ticks),
        limit_words="" if span.limit is None else f"limit {100 * span.limit:.4g} pt",
        limit_at_right=limit is not None and limit > _WHOLE / 2,
    )


def _place(value: float, span: Span) -> float:
    return within(Span(low=value, estimate=value, high=value, start=span.start, end=span.end)).estimate


def _points(value: float) -> str:
    return f"{numbers.MINUS if value < 0 else ''}{abs(100 * value):.4g}"


def _round_step(length: float) -> float:
    """1, 2 or 5 times a power of ten, so that four to nine of it fit into `length`."""
    steps = (times * 10.0**at for at in range(-6, 3) for times in (1, 2, 5))
    return next((step for step in steps if length / step <= 9), 1.0)


def strip_of(title: str, shares: Sequence[float | None]) -> Strip:
    """The bars of shares of 0 to 1; None leaves a gap."""
    bars = tuple(
        (at, round(min(max(share, 0.0), 1.0), 3)) for at, share in enumerate(shares) if share is not None
    )
    return Strip(title=title, width=len(shares), bars=bars)
