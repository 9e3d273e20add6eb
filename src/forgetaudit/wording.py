"""Numbers and lists as sentences hold them. Rounding never lies: 0 and 100 are written only when exact."""

from collections.abc import Sequence

__all__ = ["counted", "honest", "plural", "points", "some"]


def honest(value: float, *, decimals: int, top: float | None = None) -> str:
    """`value` ≥ 0 rounded, but neither to 0 nor to `top` unless it is that: 0.0002 -> `<0.1`, 99.99 -> `99.9+`."""
    step = 10**-decimals
    if value == 0:
        return "0"
    if top is not None and value == top:
        return f"{top:g}"
    if value < step / 2:
        return f"<{step:g}"
    if top is not None and top - step / 2 <= value < top:
        return f"{top - step:.{decimals}f}+"
    if value >= 1000:
        return f"{value:.3g}"
    return f"{value:.{decimals}f}"


def points(fraction: float) -> str:
    """A difference of fractions, in points, without its sign: 0.113 -> `11.3`."""
    return honest(abs(100 * fraction), decimals=1, top=100)


def counted(n: int, noun: str) -> str:
    """`1 tensor`, `1,200 tensors`."""
    return f"1 {noun}" if n == 1 else f"{n:,} {plural(noun)}"


def plural(noun: str) -> str:
    """A noun that ends in s or ch takes es, in ry or dy ies, in ix ices."""
    if noun.endswith("ix"):
        return f"{noun[:-2]}ices"
    if noun.endswith(("ry", "dy")):
        return f"{noun[:-1]}ies"
    return f"{noun}{'es' if noun.endswith(('s', 'ch')) else 's'}"


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, the rest counted."""
    more = [f"… {len(names) - shown} more"] if len(names) > shown else []
    return ", ".join([*names[:shown], *more])
