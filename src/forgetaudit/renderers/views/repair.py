"""What `repair` says: what the other half confirmed, what was asked, what was tried, and what was made."""

from collections.abc import Iterator

from forgetaudit.renderers import cells
from forgetaudit.renderers.blocks import Block, Cell, Column, Facts, Heading, Table, Tone, Verdict
from forgetaudit.renderers.headline import subjects
from forgetaudit.renderers.phrases import files_compared, gap_notes
from forgetaudit.renderers.repair_chart import repair_chart
from forgetaudit.renderers.repair_words import (
    front_words,
    in_order,
    repair_headline,
    share_words,
    shown_remedies,
    strength_words,
)
from forgetaudit.renderers.views import compare, shared
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairCandidate, RepairConfirmation, RepairSection
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["blocks"]

_MOST_MARKS = 150


def blocks(report: AuditReport, exit_note: str = "") -> Iterator[Block]:
    """What came of it, what was tried and made, and the pairs compared. ValueError for another command's report."""
    repair = report.repair
    if repair is None:
        raise ValueError("the report is of no repair")
    verdict = _verdict(report, repair)
    yield verdict
    yield Heading(
        text="What came of it",
        about=f"searched on {counted(repair.n_search, 'example')}, confirmed on {repair.n_confirm:,} others",
    )
    if not isinstance(repair.confirmed, Absent):
        yield _confirmed(repair.confirmed)
    yield from _demands(repair)
    if repair.candidates:
        yield Heading(text="What was tried")
        chart = repair_chart(repair, report.inputs.data[0].data, shown_remedies(repair, _MOST_MARKS))
        if chart is not None:
            yield chart
        yield _tried(repair)
    yield Heading(text="What was made")
    yield from _strengths(repair)
    yield _result(repair)
    for subject in subjects(report):
        yield from compare.below(report, subject, verdict, f"Base against {subject.variant}")
        yield shared.findings_on_page(report, subject)
    yield from shared.closing(report, exit_note)


def _verdict(report: AuditReport, repair: RepairSection) -> Verdict:
    files = files_compared(report, report.variants[1].name)
    halves = f"{repair.n_search:,} examples to search on, {repair.n_confirm:,} to confirm on"
    gaps = [
        note
        for subject in subjects(report)
        for note in gap_notes(report, subject.variant, subject.source.data if subject.source else None)
    ]
    return Verdict(
        command=report.command,
        subject=f"{files}   {report.inputs.data[0].data} · {halves}",
        word="REPAIRED" if repair.met else "NOT REPAIRED",
        tone="good" if repair.met else "bad",
        sentence=repair_headline(report),
        notes=tuple(dict.fromkeys(gaps)),
    )


def _confirmed(found: RepairConfirmation) -> Table:
    """The chosen remedy on the half that it was not chosen on."""
    files = ", by the bytes of the files" if found.from_files else ", in memory: nothing was written"
    return Table(
        ident="confirmed",
        title="Confirmed on the other half",
        what="data set",
        columns=(
            Column(title="data"),
            Column(title="n", kind="number"),
            *(Column(title=title, kind="number") for title in ("base", "tuned", "repaired")),
            Column(title="change, pt", kind="interval"),
            Column(title="won back", kind="number"),
        ),
        rows=tuple(_confirmed_rows(found)),
        note=f"Statistical: change = repaired − tuned, intervals two-sided, 95 %, on {found.unit}s that the remedy "
        f"was not chosen on{files}. Won back: the share of what tuned lost.",
    )


def _confirmed_rows(found: RepairConfirmation) -> Iterator[tuple[Cell, ...]]:
    yield (
        cells.name(found.data),
        cells.count(found.n),
        *(cells.percent(accuracy) for accuracy in (found.base, found.tuned, found.repaired)),
        cells.gain(found.gain),
        cells.text(share_words(found.won_back)),
    )
    if isinstance(found.target, Absent):
        unknown = cells.text("not measured: pass --target", "warn")
        yield (cells.text("the target"), *(Cell(),) * 4, unknown, Cell())
        return
    yield (
        cells.name(found.target),
        cells.count(found.n_target),
        cells.text("·", "dim"),
        *(cells.percent(accuracy) for accuracy in (found.target_tuned, found.target_repaired)),
        cells.change(found.target_loss),
        Cell(),
    )


def _demands(repair: RepairSection) -> Iterator[Facts]:
    """What was asked, and whether the confirming half bears it out."""
    if repair.demands:
        tones: list[Tone] = ["good" if demand.met else "bad" for demand in repair.demands]
        yield Facts(
            ident="demands",
            title="What was asked",
            rows=tuple(
                ("asked", f"{demand.demand}: {'yes' if demand.met else 'no'}, {demand.reason}")
                for demand in repair.demands
            ),
            tones=tuple(tones),
        )


def _tried(repair: RepairSection) -> Table:
    """Every remedy on the half that is searched: what no other beats first, then by what it wins back."""
    with_target = not isinstance(repair.target, Absent)
    target = (Column(title="target", kind="number"), Column(title="change, pt", kind="interval"))
    shown = in_order(repair)
    return Table(
        ident="remedies",
        title="Remedies",
        what="remedy",
        columns=(
            Column(title="tried"),
            Column(title="source", kind="number"),
            Column(title="won back", kind="number"),
            *(target if with_target else ()),
            Column(title="taken back", kind="number"),
            Column(title="0 to 1", kind="bar", on="page"),
            Column(title=""),
        ),
        rows=tuple(_remedy(one, repair, with_target=with_target) for one in shown),
        weight=tuple(float(one.name == repair.chosen) - at / len(shown) for at, one in enumerate(shown)),
        note=" ".join(_tried_notes(repair)),
    )


def _remedy(one: RepairCandidate, repair: RepairSection, *, with_target: bool) -> tuple[Cell, ...]:
    chosen = one.name == repair.chosen
    tone: Tone = "good" if chosen else "" if one.allowed else "dim"
    marks = ("* " if one.on_front else "") + ("chosen" if chosen else "as asked" if one.allowed else "")
    return (
        Cell(text=one.name, code=True, tone=tone),
        cells.percent(one.accuracy),
        cells.text(share_words(one.won_back)),
        *((cells.percent(one.target), cells.change(one.target_loss)) if with_target else ()),
        cells.number(one.change),
        cells.share(one.change),
        cells.text(marks.strip(), tone),
    )


def _tried_notes(repair: RepairSection) -> Iterator[str]:
    yield f"* {front_words(repair)} (Pareto front)."
    yield (
        f"On {counted(repair.n_search, 'example')}; chosen by these numbers, so that they flatter. Taken back: the "
        "share of fine-tuning's way, 0 for tuned, 1 for base."
    )
    if not isinstance(repair.target, Absent):
        yield "Change: in target accuracy, from tuned."


def _strengths(repair: RepairSection) -> Iterator[Table]:
    """How much of what fine-tuning did is kept in each part; nothing where nothing was chosen."""
    if repair.strengths:
        yield Table(
            ident="strengths",
            title="What is kept of fine-tuning",
            what="part",
            on="page",
            columns=(
                Column(title="part"),
                Column(title="λ", kind="number"),
                Column(title="λ, 0 to 1", kind="bar"),
            ),
            rows=tuple(
                (
                    cells.name(part),
                    cells.text(strength_words(ends)),
                    Cell(share=ends[0] if ends[0] == ends[1] else None),
                )
                for part, ends in repair.strengths.items()
            ),
            note="Each tensor is θ₀ + λ(θ₁ − θ₀), of base θ₀ and tuned θ₁. Parts that are not named had not changed.",
        )


def _result(repair: RepairSection) -> Facts:
    """Where it was written, or that nothing was; and the notes."""
    rows = [("wrote", _written(repair))]
    if not isinstance(repair.digest, Absent):
        rows.append(("digest", f"{repair.digest.method} {repair.digest.value}"))
    if isinstance(repair.target, Absent):
        rows.append(("target", f"not measured: {repair.target.not_measured}"))
    rows.append(("families", ", ".join(repair.families)))
    rows += [("note", note) for note in repair.notes]
    return Facts(ident="result", title="What was written", rows=tuple(rows))


def _written(repair: RepairSection) -> str:
    if repair.written is not None:
        return repair.written + (f"   {repair.form}" if repair.form else "")
    return "nothing: no place was named (-o OUT)" if repair.met else "nothing"
