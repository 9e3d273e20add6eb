"""The screen of a repair: what was confirmed first, then what was asked, what was tried, and where it is."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.drop_words import span
from forgetaudit.renderers.headline import subjects
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.phrases import files_compared
from forgetaudit.renderers.repair_words import front_words, repair_headline, share_words, shown_remedies
from forgetaudit.renderers.screen import gap_lines, provenance_line
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairCandidate, RepairConfirmation, RepairSection
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["repair_screen"]

_MOST_ROWS = 16


def repair_screen(report: AuditReport, exit_note: str = "") -> Iterator[Line]:
    """Every line. ValueError for a report of another command."""
    repair = report.repair
    if repair is None:
        raise ValueError("the report is of no repair")
    data = report.inputs.data[0].data
    yield [
        ("forgetaudit repair  ", "bold"),
        (
            f"{files_compared(report, report.variants[1].name)}   {data} · {repair.n_search:,} examples to search on, ",
            "",
        ),
        (f"{repair.n_confirm:,} to confirm on", ""),
    ]
    yield [
        (("REPAIRED", "good") if repair.met else ("NOT REPAIRED", "bad")),
        ("  " + repair_headline(report), ""),
    ]
    for subject in subjects(report):
        yield from gap_lines(report, subject)
    yield []
    if not isinstance(repair.confirmed, Absent):
        yield from _confirmed(repair.confirmed)
    for demand in repair.demands:
        yield [
            (f"{'asked':<{LABEL}}", "label"),
            (f"{demand.demand}: ", ""),
            (f"{'yes' if demand.met else 'no'}, {demand.reason}", "good" if demand.met else "bad"),
        ]
    yield []
    yield from _table(repair)
    yield from _result(repair)
    yield from provenance_line(report, exit_note)


def _confirmed(found: RepairConfirmation) -> Iterator[Line]:
    asked = "on the half it was not chosen on" + (", from the files" if found.from_files else "")
    gain = (
        ""
        if isinstance(found.gain, Absent)
        else (f"   {numbers.signed_points(-found.gain.estimate)} pt {span(found.gain)}  gain, two-sided 95 %")
    )
    both = f"{numbers.percent(found.tuned)} → {numbers.percent(found.repaired)}"
    yield [
        (f"{'source':<{LABEL}}", "label"),
        (both + gain, ""),
        (f"   base {numbers.percent(found.base)}", "dim"),
    ]
    if isinstance(found.target_tuned, Absent) or isinstance(found.target_repaired, Absent):
        yield [
            (f"{'target':<{LABEL}}", "label"),
            ("not measured: pass --target to know what the remedy costs", "warn"),
        ]
    else:
        both = f"{numbers.percent(found.target_tuned)} → {numbers.percent(found.target_repaired)}"
        loss = found.target_loss
        told = (
            ""
            if isinstance(loss, Absent)
            else f"   {numbers.signed_points(loss.estimate)} pt {span(loss)}  loss"
        )
        yield [(f"{'target':<{LABEL}}", "label"), (both + told, "")]
    yield [(f"{'':<{LABEL}}", "label"), (f"{found.data}, {counted(found.n, found.unit)} {asked}", "dim")]


def _table(repair: RepairSection) -> Iterator[Line]:
    """What no other beats first, then the rest by what it wins back."""
    rows = shown_remedies(repair, _MOST_ROWS)
    if not rows:
        return
    wide = max(len(one.name) for one in rows) + 2
    with_target = not isinstance(repair.target, Absent)
    yield [
        (f"{'tried':<{wide}}", "label"),
        (f"{'source':<8}{'won back':<9}", "label"),
        (f"{'target':<8}{'loss':<15}" if with_target else "", "label"),
        ("taken back", "label"),
    ]
    for one in rows:
        yield _row(one, wide, with_target=with_target, chosen=one.name == repair.chosen)
    if (more := len(repair.candidates) - len(rows)) > 0:
        yield [("…", "dim"), (f" {more} more in the report", "dim")]
    yield [(f"* {front_words(repair)}", "dim")]
    yield []


def _row(one: RepairCandidate, wide: int, *, with_target: bool, chosen: bool) -> Line:
    target = "·" if isinstance(one.target, Absent) else numbers.percent(one.target)
    marks = [*(("*",) if one.on_front else ()), *(("chosen",) if chosen else ())]
    cells = f"{numbers.percent(one.accuracy):<8}{share_words(one.won_back):<9}"
    if with_target:
        cells += f"{target:<8}{span(one.target_loss):<15}"
    return [
        (f"{one.name:<{wide}}", "good" if chosen else ""),
        (cells, "good" if chosen else "" if one.allowed else "dim"),
        (" ".join([numbers.unit(one.change), *marks]), "dim"),
    ]


def _result(repair: RepairSection) -> Iterator[Line]:
    if repair.written is not None:
        yield [(f"{'wrote':<{LABEL}}", "label"), (repair.written, ""), (f"   {repair.form}", "dim")]
    elif repair.met:
        yield [(f"{'wrote':<{LABEL}}", "label"), ("nothing: no place was named (-o OUT)", "dim")]
    else:
        yield [(f"{'wrote':<{LABEL}}", "label"), ("nothing", "")]
    for note in repair.notes:
        yield [(f"{'note':<{LABEL}}", "label"), (note, "")]
