"""The screen of locate: which parts carry the loss, a line for each, ends of the network reset, and the sums."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.drop_words import drop_points, gain_points, number, span
from forgetaudit.renderers.headline import subjects
from forgetaudit.renderers.lines import LABEL, Line, evenly
from forgetaudit.renderers.locate_words import located_line
from forgetaudit.renderers.phrases import asked, files_compared
from forgetaudit.renderers.preview_lines import preview_lines
from forgetaudit.renderers.screen import finding_lines, gap_lines, provenance_line
from forgetaudit.report.locate import LocateSection, Sums
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import some

__all__ = ["locate_screen"]


def locate_screen(report: AuditReport, exit_note: str = "") -> Iterator[Line]:
    """Every line, data set by data set."""
    for subject, section in zip(subjects(report), report.locate, strict=True):
        on = f"   {section.data} · {asked(subject.source)}" if subject.source else ""
        yield [("forgetaudit locate  ", "bold"), (f"{files_compared(report, 'tuned')}{on}", "")]
        yield located_line(section)
        yield from gap_lines(report, subject)
        yield []
        if section.preview is not None:
            yield from preview_lines(section.preview)
        if not isinstance(section.sums, Absent):
            yield from _table(section)
            yield from _resets(section)
            yield from _sums(section, section.sums)
        yield from finding_lines(report, subject)
    yield from provenance_line(report, exit_note)


def _table(section: LocateSection) -> Iterator[Line]:
    """Share of the drop with its interval, rolled back alone, kept alone; in the order of the network."""
    wide = max(12, *(len(row.name) for row in section.players)) + 2
    yield [
        (f"{'part':<{wide}}", "label"),
        (f"{'share of the drop, 95 %':<27}{'rolled back':<13}{'kept alone':<12}", "label"),
        ("‖Δ‖/‖θ₀‖", "dim"),
    ]
    for row in section.players:
        share = f"{_lost(row.shapley):>6} {span(row.shapley):<16}" + ("*   " if row.blamed else "    ")
        yield [
            (f"{row.name:<{wide}}", ""),
            (share, "bad" if row.blamed else ""),
            (f"{_gain(row.rolled_back.change, row.rolled_back.sure):<13}", ""),
            (f"{_gain(row.kept_alone.change, row.kept_alone.sure, loss=True):<12}", ""),
            (number(row.relative), "dim"),
        ]
    n = len(section.players)
    yield [(f"points; * surely a loss, ! surely a change, allowing for {n} looks at once", "dim")]
    if section.unmoved:
        yield _row("unmoved", f"{some(section.unmoved, 6)}: every parameter bit-identical, nothing to blame")
    yield []


def _resets(section: LocateSection) -> Iterator[Line]:
    """From each end, how much is won back the more layers are reset."""
    for end, words in (("bottom", "first layers"), ("top", "last layers")):
        rows = [row for row in section.resets if row.end == end]
        if shown := evenly(rows, 6):
            counts = ", ".join(str(len(row.layers)) for row in shown)
            yield _row(
                "reset", f"{words}, {counts} of them: {', '.join(_change(row.gain) for row in shown)} pt"
            )
    if section.resets:
        yield []


def _sums(section: LocateSection, sums: Sums) -> Iterator[Line]:
    shares = "" if isinstance(sums.shapley, Absent) else f"shares {drop_points(sums.shapley)} · "
    singly = f"rolled back {gain_points(sums.rolled_back)} · kept alone {gain_points(-sums.kept_alone)}"
    yield _row("sums", f"{shares}{singly}, where the drop is {drop_points(sums.drop)} pt")
    yield _row("Shapley", f"{section.orders}; {section.n_variants} variants, all paired")
    yield []


def _row(label: str, text: str) -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, "")]


def _lost(value: Measured) -> str:
    """A share of the drop: positive is lost."""
    return "·" if isinstance(value, Absent) else drop_points(value.estimate)


def _change(gain: Measured) -> str:
    """A gain in accuracy, with its sign."""
    return "·" if isinstance(gain, Absent) else gain_points(gain.estimate)


def _gain(value: Measured, sure: bool, *, loss: bool = False) -> str:
    if isinstance(value, Absent):
        return "·"
    said = numbers.signed_points(value.estimate if loss else -value.estimate)
    return f"{said}{' !' if sure else ''}"
