"""What `locate` says: which parts carry the loss, ends of the network reset, the sums; or a preview by gradients."""

from collections.abc import Iterator

from forgetaudit.renderers import cells, numbers
from forgetaudit.renderers.blocks import Block, Column, Facts, Heading, Table
from forgetaudit.renderers.drop_words import drop_points, gain_points
from forgetaudit.renderers.headline import subjects
from forgetaudit.renderers.lines import evenly
from forgetaudit.renderers.locate_words import located_line, share_of
from forgetaudit.renderers.preview_words import error_words, interval_words, share_of_rise, span_nats
from forgetaudit.renderers.views import compare, shared
from forgetaudit.report.locate import LocateSection, PartRow, PreviewRow, PreviewSection, ResetRow, Sums
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted, some

__all__ = ["blocks"]


def blocks(report: AuditReport, exit_note: str = "") -> Iterator[Block]:
    """Data set by data set: the verdict, the parts, what adds up, and what was found."""
    for subject, section in zip(subjects(report), report.locate, strict=True):
        verdict = shared.verdict(report, subject, located_line(section))
        yield verdict
        yield Heading(text=f"Where the loss on {section.data} sits")
        if section.preview is not None:
            yield _shares(section, section.preview)
            yield _error(section.preview)
        if not isinstance(section.sums, Absent):
            yield _parts(section)
            yield from _resets(section)
            yield _sums(section, section.sums)
        yield shared.findings(report, subject)
        yield from compare.below(report, subject, verdict, f"Base against {subject.variant}")
    yield from shared.closing(report, exit_note)


def _lost(row: PartRow) -> float:
    share = share_of(row)
    return 0.0 if isinstance(share, Absent) else share.estimate


def _parts(section: LocateSection) -> Table:
    """In the order of the network, on one axis; without shares, what a rollback wins back."""
    by_rollback = all(isinstance(row.shapley, Absent) for row in section.players)
    return Table(
        ident="parts",
        title="Parts of the network",
        what="part",
        columns=(
            Column(title="part"),
            Column(title="won back, pt" if by_rollback else "share, pt", kind="interval"),
            *(() if by_rollback else (Column(title="rolled back", kind="number"),)),
            Column(title="kept alone", kind="number"),
            Column(title="‖Δ‖/‖θ₀‖", kind="number"),
            Column(title="tensors", kind="number", on="page"),
        ),
        rows=tuple(
            (
                cells.name(row.name, code=row.kind not in ("buffers", "rest")),
                cells.drop(share_of(row), tone="bad" if row.blamed else "", mark="*" if row.blamed else ""),
                *(
                    ()
                    if by_rollback
                    else (cells.points_gained(row.rolled_back.change, mark=_sure(row.rolled_back.sure)),)
                ),
                cells.points_gained(row.kept_alone.change, lost=True, mark=_sure(row.kept_alone.sure)),
                cells.number(row.relative),
                cells.count(row.n_tensors),
            )
            for row in section.players
        ),
        weight=tuple(abs(_lost(row)) for row in section.players),
        note=" ".join(_notes(section, by_rollback=by_rollback)),
    )


def _sure(sure: bool) -> str:
    return "!" if sure else ""


def _notes(section: LocateSection, *, by_rollback: bool) -> Iterator[str]:
    n = len(section.players)
    yield f"* surely a loss, ! surely a change{f', allowing for {n} looks at once' if n > 1 else ''}."
    if by_rollback:
        reason = section.players[0].shapley if section.players else None
        why = f": {reason.not_measured}" if isinstance(reason, Absent) else ""
        yield f"Won back: accuracy of tuned with base's tensors here, against tuned. No shares{why}."
    else:
        yield f"Share of the drop: Shapley value over {section.orders}; parts rolled back change tuned."
    yield "Parts kept alone change base."
    if section.unmoved:
        yield f"Unmoved, every parameter bit-identical: {some(section.unmoved, 12)}."


def _resets(section: LocateSection) -> Iterator[Block]:
    """From each end, how much is won back the more layers are reset."""
    if not section.resets:
        return
    drop = section.base - section.tuned
    yield Facts(ident="reset", title="", rows=tuple(_resets_in_short(section)), on="screen")
    yield Table(
        ident="resets",
        title="Layers reset from each end",
        what="reset",
        folded=True,
        on="page",
        columns=(
            Column(title="reset to base"),
            Column(title="as far as"),
            Column(title="accuracy", kind="number"),
            Column(title="won back, pt", kind="interval"),
            Column(title="of the drop, 0 to 1", kind="bar"),
        ),
        rows=tuple(
            (
                cells.text(_reset_words(row)),
                cells.name(row.layers[-1] if row.end == "bottom" else row.layers[0]),
                cells.percent(row.accuracy),
                cells.gain(row.gain),
                cells.share(_won(row, drop)),
            )
            for row in section.resets
        ),
        curve=True,
        note="Statistical: gains over tuned; running statistics are reset with their layers.",
    )


def _reset_words(row: ResetRow) -> str:
    which = "first" if row.end == "bottom" else "last"
    return f"{which} layer" if len(row.layers) == 1 else f"{which} {len(row.layers)} layers"


def _resets_in_short(section: LocateSection) -> Iterator[tuple[str, str]]:
    for end, words in (("bottom", "first layers"), ("top", "last layers")):
        rows = evenly([row for row in section.resets if row.end == end], 6)
        if rows:
            counts = ", ".join(str(len(row.layers)) for row in rows)
            gains = ", ".join(cells.gain(row.gain).text for row in rows)
            yield "reset", f"{words}, {counts} of them: {gains} pt"


def _won(row: ResetRow, drop: float) -> float | Absent:
    if isinstance(row.gain, Absent) or drop <= 0:
        return Absent(not_measured="nothing was lost")
    return row.gain.estimate / drop


def _sums(section: LocateSection, sums: Sums) -> Facts:
    shares = () if isinstance(sums.shapley, Absent) else (("shares", f"{drop_points(sums.shapley)} pt"),)
    return Facts(
        ident="sums",
        title="Do the parts add up?",
        rows=(
            ("the drop", f"{drop_points(sums.drop)} pt"),
            *shares,
            ("rolled back", f"{gain_points(sums.rolled_back)} pt, one by one"),
            ("kept alone", f"{gain_points(-sums.kept_alone)} pt, one by one; only shares must add up"),
            ("Shapley", f"{section.orders}; {counted(section.n_variants, 'variant')}, all paired"),
        ),
    )


def _shares(section: LocateSection, preview: PreviewSection) -> Table:
    return Table(
        ident="preview",
        title="Shares of the rise in log loss, by gradients",
        what="part",
        columns=(
            Column(title="part"),
            Column(title="share, nats", kind="interval"),
            Column(title="of rise", kind="number"),
            Column(title="‖Δ‖/‖θ₀‖", kind="number"),
            Column(title="tensors", kind="number", on="page"),
        ),
        rows=tuple(
            (
                cells.name(row.name, code=row.kind not in ("buffers", "rest")),
                cells.interval(_with_limits(row), numbers.plain),
                cells.text(share_of_rise(row)),
                cells.number(row.relative),
                cells.count(row.n_tensors),
            )
            for row in preview.rows
        ),
        weight=tuple(0.0 if isinstance(row.share, Absent) else abs(row.share) for row in preview.rows),
        note="A diagnostic, by gradients on the line from base to tuned; nothing was rolled back."
        + (
            f" Unmoved, every parameter bit-identical: {some(section.unmoved, 12)}."
            if section.unmoved
            else ""
        ),
    )


def _with_limits(row: PreviewRow) -> Measured:
    """The share with its interval; without one the share alone."""
    if isinstance(row.interval, Estimate) or isinstance(row.share, Absent):
        return row.interval
    return Estimate(kind="diagnostic", estimate=row.share, method="gradients")


def _error(preview: PreviewSection) -> Facts:
    """How far the shares miss the rise, and what that rests on."""
    trusted = "" if preview.trusted else "; not to be trusted"
    without = (
        (("no gradient", f"and so in the gap: {some(preview.left_out, 12)}"),) if preview.left_out else ()
    )
    return Facts(
        ident="error",
        title="The error",
        rows=(
            ("error", error_words(preview, span_nats(preview.rise)) + trusted),
            *without,
            ("gradients", f"at {preview.nodes} points of the line; {interval_words(preview)}"),
        ),
    )
