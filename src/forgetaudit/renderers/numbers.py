"""Fractions to what a person reads. Rounding never lies: 0, 1 and 100 % are printed only when exact."""

from forgetaudit.wording import honest, points

__all__ = ["bar", "count", "p_value", "percent", "plain", "points", "signed", "signed_points", "size", "unit"]

MINUS = "−"


def percent(fraction: float) -> str:
    """0.974 -> `97.4 %`; 0.9997 -> `99.9+ %`; 0.0002 -> `<0.1 %`."""
    return f"{honest(100 * fraction, decimals=1, top=100)} %"


def signed_points(fraction: float) -> str:
    """With the sign that a reader of accuracies expects: a drop of 0.113 is `−11.3`, a gain `+2.0`."""
    if fraction == 0:
        return "0"
    return f"{MINUS if fraction > 0 else '+'}{points(fraction)}"


def signed(value: float) -> str:
    """A change in its own unit, with its sign: −0.0512 -> `−0.051`; 0.15 -> `+0.150`; 0.0001 -> `+<0.001`."""
    if value == 0:
        return "0"
    return f"{MINUS if value < 0 else '+'}{honest(abs(value), decimals=3, top=None)}"


def unit(value: float) -> str:
    """A similarity or a relative distance: 0.71 -> `0.710`; 0.99996 -> `0.999+`; exactly 1 -> `1`."""
    sign = MINUS if value < 0 else ""
    return sign + honest(abs(value), decimals=3, top=1 if abs(value) <= 1 else None)


def plain(value: float) -> str:
    """A size of any magnitude, in three digits: 12.34 -> `12.3`, 0.0000123 -> `1.23e-5`."""
    mantissa, e, exponent = f"{abs(value):.3g}".partition("e")
    return (MINUS if value < 0 else "") + mantissa + (f"e{int(exponent)}" if e else "")


def p_value(p: float) -> str:
    """One significant digit where it is small: 0.0347 -> `0.03`, 2.1e-21 -> `2e-21`."""
    return f"{p:.2f}" if p >= 0.01 else f"{p:.0e}".replace("e-0", "e-")


def count(n: int) -> str:
    """12345 -> `12,345`."""
    return f"{n:,}"


def size(n_bytes: int) -> str:
    """Bytes in the largest unit that keeps a digit before the point."""
    value, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(value: float, width: int) -> str:
    """`value` of 0 to 1 as a bar on a fixed scale, so that two runs compare. Over 1 it ends in `›`."""
    if value > 1:
        return "█" * (width - 1) + "›"
    eighths = round(max(value, 0.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")) or ("▏" if value > 0 else "")
