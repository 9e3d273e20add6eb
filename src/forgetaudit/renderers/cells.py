"""Values of a report as cells. That something was not measured is shown here, and nowhere else in the renderers."""

from collections.abc import Callable

from forgetaudit.renderers import numbers
from forgetaudit.renderers.blocks import Cell, Tone
from forgetaudit.renderers.drop_words import drop_points, gain_points
from forgetaudit.report.parts import Absent, Measured

__all__ = [
    "change",
    "count",
    "drop",
    "gain",
    "interval",
    "name",
    "number",
    "percent",
    "points_gained",
    "share",
    "text",
]

Show = Callable[[float], str]
_NOTHING = Cell(text="·", tone="dim")


def text(words: str, tone: Tone = "") -> Cell:
    """Words of ours."""
    return Cell(text=words, tone=tone)


def name(words: str, *, code: bool = True) -> Cell:
    """A name, out of a file unless not `code`."""
    return Cell(text=words, code=code)


def count(n: int) -> Cell:
    """12345 -> `12,345`."""
    return Cell(text=numbers.count(n))


def number(value: float | Absent, show: Show = numbers.unit) -> Cell:
    """A number as `show` writes it; a relative distance or a similarity if nothing else is said."""
    return _NOTHING if isinstance(value, Absent) else Cell(text=show(value))


def percent(value: float | Absent) -> Cell:
    """A fraction in per cent."""
    return number(value, numbers.percent)


def share(value: float | Absent) -> Cell:
    """A bar of 0 to 1; nothing where it was not measured."""
    return Cell() if isinstance(value, Absent) else Cell(share=value)


def interval(value: Measured, show: Show, *, tone: Tone = "", mark: str = "") -> Cell:
    """An estimate with its limits where it has any; a confidence other than 95 % is said behind them."""
    if isinstance(value, Absent):
        return _NOTHING
    shown = show(value.estimate)
    if value.low is None or value.high is None:
        return Cell(text=shown, tone=tone, mark=mark)
    other = f"at {100 * value.confidence:g} %" if value.confidence not in (None, 0.95) else ""
    return Cell(
        text=shown,
        tone=tone,
        ends=(show(value.low), show(value.high)),
        span=(value.low, value.estimate, value.high),
        mark=" ".join(filter(None, (other, mark))),
    )


def drop(value: Measured, *, tone: Tone = "", mark: str = "") -> Cell:
    """In points, positive where something was lost."""
    return interval(value, drop_points, tone=tone, mark=mark)


def change(value: Measured, *, estimate: float | None = None, tone: Tone = "") -> Cell:
    """A drop as the change in accuracy that it is: negative where something was lost. `estimate` where it is known."""
    if isinstance(value, Absent):
        return _NOTHING if estimate is None else Cell(text=numbers.signed_points(estimate), tone=tone)
    turned = value.model_copy(
        update={"estimate": -value.estimate, "low": _minus(value.high), "high": _minus(value.low)}
    )
    return interval(turned, gain_points, tone=tone)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def gain(value: Measured, *, mark: str = "") -> Cell:
    """In points with a sign, positive where something was won."""
    return interval(value, gain_points, mark=mark)


def points_gained(value: Measured, *, lost: bool = False, mark: str = "") -> Cell:
    """The estimate alone, in points with its sign; a value that counts what was `lost` is turned round."""
    if isinstance(value, Absent):
        return _NOTHING
    return Cell(text=gain_points(-value.estimate if lost else value.estimate), mark=mark)
