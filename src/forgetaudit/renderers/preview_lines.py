"""The screen of a preview of locate: a line for each part, and how far the shares miss the rise."""

from collections.abc import Iterator

from forgetaudit.renderers.drop_words import number
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.preview_words import error_words, interval_words, of_rise, share_nats, span_nats
from forgetaudit.report.locate import PreviewSection
from forgetaudit.wording import some

__all__ = ["preview_lines"]


def preview_lines(preview: PreviewSection) -> Iterator[Line]:
    """A line a part, in the order of the network; then how far the shares miss the rise."""
    digits = max(len(share_nats(row.share)) for row in preview.rows)
    shares = [f"{share_nats(row.share):>{digits}} {span_nats(row.interval)}" for row in preview.rows]
    names = ["part", *(row.name for row in preview.rows)]
    wide, room = (max(map(len, column)) + 2 for column in (names, ["share, nats, 95 %", *shares]))
    yield [
        (f"{'part':<{wide}}{'share, nats, 95 %':<{room}}{'of rise':<9}", "label"),
        ("‖Δ‖/‖θ₀‖", "dim"),
    ]
    for row, share in zip(preview.rows, shares, strict=True):
        yield [
            (f"{row.name:<{wide}}{share:<{room}}{of_rise(row):<9}", ""),
            (number(row.relative), "dim"),
        ]
    yield [("a diagnostic, by gradients on the line from base to tuned; nothing rolled back", "dim")]
    yield []
    yield _row("error", error_words(preview, span_nats(preview.rise)))
    if preview.left_out:
        yield _row("", f"without a gradient, and so in the gap: {some(preview.left_out)}")
    yield _row("gradients", f"at {preview.nodes} points of the line; {interval_words(preview)}")
    yield []


def _row(label: str, text: str) -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, "")]
