"""What a preview of locate comes to, in words that screen and page share: shares of the rise, and the error, always."""

from forgetaudit.renderers import numbers
from forgetaudit.renderers.lines import Line
from forgetaudit.report.locate import PreviewRow, PreviewSection
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.wording import counted, honest

__all__ = [
    "PREVIEW",
    "UNTRUSTED",
    "error_words",
    "interval_words",
    "preview_verdict",
    "share_nats",
    "share_of_rise",
    "span_nats",
    "span_nats_to",
]

PREVIEW, UNTRUSTED = "PREVIEW", "PREVIEW, NOT TO BE TRUSTED"


def preview_verdict(preview: PreviewSection) -> Line:
    """The answer in one line; a preview never blames."""
    rise = preview.rise
    if isinstance(rise, Absent):
        return [(UNTRUSTED, "warn"), (f"  no rise was measured: {rise.not_measured}", "")]
    moved = _moved(rise.estimate)
    if isinstance(preview.gap, Absent):
        why = f"  {moved}; {preview.gap.not_measured}: run it without --preview"
        return [(UNTRUSTED, "warn"), (why, "")]
    if not preview.trusted:
        why = f"  {moved}; the shares miss {_missed(preview)} of that: run it without --preview"
        return [(UNTRUSTED, "warn"), (why, "")]
    if rise.low is not None and rise.low <= 0:
        return [(PREVIEW, "warn"), (f"  {moved}; no loss is proved; error {_missed(preview)}", "")]
    leading = sorted(preview.rows, key=_share, reverse=True)[:3]
    parts = ", ".join(f"{row.name} {share_of_rise(row)}" for row in leading if _share(row) > 0)
    return [
        (PREVIEW, "warn"),
        (f"  {moved}{'; by gradients: ' + parts if parts else ''}; error {_missed(preview)}", ""),
    ]


def _moved(rise: float) -> str:
    if rise == 0:
        return "source log loss is unchanged"
    return f"source log loss {'rose' if rise > 0 else 'fell'} {_size(abs(rise))} nats"


def error_words(preview: PreviewSection, rise_span: str) -> str:
    """The sum of the shares beside the rise, with the interval of that as `rise_span`, and what it misses."""
    if isinstance(preview.rise, Absent):
        return f"not measured: {preview.rise.not_measured}"
    if isinstance(preview.gap, Absent):
        return f"not measured: {preview.gap.not_measured}"
    rise = " ".join(filter(None, (share_nats(preview.rise.estimate), rise_span)))
    gap = f"gap {_size(preview.gap)}, {_missed(preview)}"
    return f"sum of shares {share_nats(preview.total)}, rise {rise} nats: {gap}"


def interval_words(preview: PreviewSection) -> str:
    """What intervals were drawn from, or why there are none."""
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


def share_of_rise(row: PreviewRow) -> str:
    """The share over the rise, in per cent."""
    if isinstance(row.fraction, Absent):
        return "·"
    return (
        f"{numbers.MINUS if row.fraction < 0 else ''}{honest(abs(100 * row.fraction), decimals=0, top=100)} %"
    )


def share_nats(value: float | Absent) -> str:
    """Three digits; a dot where it was not measured."""
    return "·" if isinstance(value, Absent) else _size(value)


def span_nats(value: Measured) -> str:
    """`[0.41, 0.53]`; nothing where there are no limits."""
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    return f"[{_size(value.low)}, {_size(value.high)}]"


def span_nats_to(value: Measured) -> str:
    """`0.41 to 0.53`, as tables have it."""
    return span_nats(value).strip("[]").replace(", ", " to ")


def _size(value: float) -> str:
    return numbers.plain(value)
