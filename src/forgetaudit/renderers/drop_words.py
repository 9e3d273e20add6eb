"""Drops and gains as they are told everywhere: in points, with the interval where there is one."""

from forgetaudit.renderers import numbers
from forgetaudit.report.parts import Absent, Measured

__all__ = ["drop_points", "gain_points", "number", "span", "span_to"]


def drop_points(fraction: float) -> str:
    """A drop as it is, positive where something was lost: 0.113 -> `11.3`, a gain of 0.02 -> `−2.0`."""
    return (numbers.MINUS if fraction < 0 else "") + numbers.points(fraction)


def gain_points(gain: float) -> str:
    """A gain with its sign: 0.113 -> `+11.3`."""
    return numbers.signed_points(-gain)


def span(value: Measured) -> str:
    """`[1.2, 3.4]` in points; nothing where there are no limits."""
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    return f"[{drop_points(value.low)}, {drop_points(value.high)}]"


def span_to(value: Measured, *, gained: bool = False) -> str:
    """`1.2 to 3.4`, with the confidence where it is not the 95 % that a table's note names; with signs for a gain."""
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    show = gain_points if gained else drop_points
    sure = f" at {100 * value.confidence:g} %" if value.confidence not in (None, 0.95) else ""
    return f"{show(value.low)} to {show(value.high)}{sure}"


def number(value: float | Absent) -> str:
    """A relative distance or a ratio; a dot where it was not measured."""
    return "·" if isinstance(value, Absent) else numbers.unit(value)
