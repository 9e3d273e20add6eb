"""What the screen of locate says of a preview: the rise in log loss shared out, and its error, always."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.report.locate import PreviewRow, PreviewSection
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.wording import counted, honest, some

__all__ = ["preview_table", "preview_verdict"]


def preview_verdict(preview: PreviewSection) -> Line:
    """The answer in one line; a preview never blames."""
    rise = preview.rise
    if isinstance(rise, Absent):
        return [("PREVIEW, NOT TO BE TRUSTED", "warn"), (f"  no rise was measured: {rise.not_measured}", "")]
    moved = _moved(rise.estimate)
    if isinstance(preview.gap, Absent):
        why = f"  {moved}; {preview.gap.not_measured}: run it without --preview"
        return [("PREVIEW, NOT TO BE TRUSTED", "warn"), (why, "")]
    if not preview.trusted:
        why = f"  {moved}; the shares miss {_missed(preview)} of that: run it without --preview"
        return [("PREVIEW, NOT TO BE TRUSTED", "warn"), (why, "")]
    if rise.low is not None and rise.low <= 0:
        return [("PREVIEW", "warn"), (f"  {moved}; no loss is proved; error {_missed(preview)}", "")]
    leading = sorted(preview.rows, key=_share, reverse=True)[:3]
    parts = ", ".join(f"{row.name} {_fraction(row)}" for row in leading if _share(row) > 0)
    return [
        ("PREVIEW", "warn"),
        (f"  {moved}{'; by gradients: ' + parts if parts else ''}; error {_missed(preview)}", ""),
    ]


def _moved(rise: float) -> str:
    if rise == 0:
        return "source log loss is unchanged"
    return f"source log loss {'rose' if rise > 0 else 'fell'} {_size(abs(rise))} nats"


def preview_table(preview: PreviewSection) -> Iterator[Line]:
    """A line a part, in the order of the network; then how far the shares miss the rise."""
    digits = max(len(_number(row.share)) for row in preview.rows)
    shares = [f"{_number(row.share):>{digits}} {_span(row.interval)}" for row in preview.rows]
    names = ["part", *(row.name for row in preview.rows)]
    wide, room = (max(map(len, column)) + 2 for column in (names, ["share, nats, 95 %", *shares]))
    yield [
        (f"{'part':<{wide}}{'share, nats, 95 %':<{room}}{'of rise':<9}", "label"),
        ("‖Δ‖/‖θ₀‖", "dim"),
    ]
    for row, share in zip(preview.rows, shares, strict=True):
        yield [
            (f"{row.name:<{wide}}{share:<{room}}{_fraction(row):<9}", ""),
            ("·" if isinstance(row.relative, Absent) else numbers.unit(row.relative), "dim"),
        ]
    yield [("a diagnostic, by gradients on the line from base to tuned; nothing rolled back", "dim")]
    yield []
    yield _row("error", _error(preview))
    if preview.left_out:
        yield _row("", f"without a gradient, and so in the gap: {some(preview.left_out)}")
    yield _row("gradients", f"at {preview.nodes} points of the line; {_intervals(preview)}")
    yield []


def _error(preview: PreviewSection) -> str:
    if isinstance(preview.rise, Absent):
        return f"not measured: {preview.rise.not_measured}"
    if isinstance(preview.gap, Absent):
        return f"not measured: {preview.gap.not_measured}"
    rise = " ".join(filter(None, (_size(preview.rise.estimate), _span(preview.rise))))
    gap = f"gap {_size(preview.gap)}, {_missed(preview)}"
    return f"sum of shares {_number(preview.total)}, rise {rise} nats: {gap}"


def _intervals(preview: PreviewSection) -> str:
    absent = next((row.interval for row in preview.rows if isinstance(row.interval, Absent)), None)
    if absent is not None:
        return f"no intervals: {absent.not_measured}"
    return f"intervals from {counted(preview.n_blocks, 'batch')}"


def _missed(preview: PreviewSection) -> str:
    """The gap as a share of the rise; in nats where there is none."""
    if isinstance(preview.gap, Absent) or isinstance(preview.rise, Absent):
        return "·"
    if preview.rise.estimate == 0:
        return f"{_size(abs(preview.gap))} nats"
    return f"{honest(100 * abs(preview.gap / preview.rise.estimate), decimals=1)} %"


def _share(row: PreviewRow) -> float:
    return 0.0 if isinstance(row.share, Absent) else row.share


def _fraction(row: PreviewRow) -> str:
    if isinstance(row.fraction, Absent):
        return "·"
    return (
        f"{numbers.MINUS if row.fraction < 0 else ''}{honest(abs(100 * row.fraction), decimals=0, top=100)} %"
    )


def _number(value: float | Absent) -> str:
    return "·" if isinstance(value, Absent) else _size(value)


def _span(value: Measured) -> str:
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    return f"[{_size(value.low)}, {_size(value.high)}]"


def _size(value: float) -> str:
    return numbers.plain(value)


def _row(label: str, text: str) -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, "")]
