"""A preview of locate as a table: the parts with their shares of the rise in log loss, on one axis."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Caps, Cell, Column, Table
from forgetaudit.renderers.drop_words import number
from forgetaudit.renderers.preview_words import error_words, interval_words, of_rise, share_nats, span_nats_to
from forgetaudit.renderers.spans import common_axis, on_axis
from forgetaudit.renderers.tables import left_out
from forgetaudit.report.locate import LocateSection, PreviewRow, PreviewSection
from forgetaudit.report.parts import Absent
from forgetaudit.wording import some

__all__ = ["shares_table"]


def shares_table(section: LocateSection, preview: PreviewSection, caps: Caps) -> Table:
    """The parts in the order of the network; of many, those with the largest shares."""
    kept = {row.name for row in sorted(preview.rows, key=_size, reverse=True)[: caps.parts]}
    shown = [row for row in preview.rows if row.name in kept]
    axis = common_axis([row.interval for row in shown])
    ends = f"{numbers.plain(axis.start)} to {numbers.plain(axis.end)} nats"
    return Table(
        ident="preview",
        title="Shares of the rise in log loss, by gradients",
        columns=(
            Column(title="part"),
            Column(title="share, nats", numeric=True),
            Column(title="two-sided", numeric=True),
            Column(title=ends, drawn=True),
            Column(title="of the rise", numeric=True),
            Column(title="‖Δ‖/‖θ₀‖", numeric=True),
            Column(title="tensors", numeric=True),
        ),
        rows=tuple(
            (
                Cell(text=row.name, named=row.kind not in ("buffers", "rest")),
                Cell(text=share_nats(row.share)),
                Cell(text=span_nats_to(row.interval)),
                on_axis(row.interval, axis),
                Cell(text=of_rise(row)),
                Cell(text=number(row.relative)),
                Cell(text=numbers.count(row.n_tensors)),
            )
            for row in shown
        ),
        note=" ".join(_notes(section, preview, len(preview.rows) - len(shown))),
    )


def _size(row: PreviewRow) -> float:
    return 0.0 if isinstance(row.share, Absent) else abs(row.share)


def _notes(section: LocateSection, preview: PreviewSection, n_left: int) -> Iterator[str]:
    trusted = "" if preview.trusted else " Not to be trusted."
    rise = f"({span})" if (span := span_nats_to(preview.rise)) else ""
    yield f"Error: {error_words(preview, rise)}.{trusted}"
    yield f"Diagnostic: gradients at {preview.nodes} points of the line from base to tuned; nothing was rolled back."
    yield f"Two-sided 95 %: {interval_words(preview)}."
    if preview.left_out:
        yield f"Without a gradient, and so in the gap: {some(preview.left_out, 12)}."
    if n_left:
        yield left_out(n_left, "part", "with smaller shares")
    if section.unmoved:
        yield f"Unmoved, every parameter bit-identical: {some(section.unmoved, 12)}."
