"""The screen of locate: which parts carry the loss, a line for each, ends of the network reset, and the sums."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.headline import subjects
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.phrases import asked, files_compared
from forgetaudit.renderers.preview_lines import preview_table, preview_verdict
from forgetaudit.renderers.screen import finding_lines, provenance_line
from forgetaudit.report.locate import LocateSection, PlayerRow, ResetRow, Sums
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import some

__all__ = ["locate_screen", "located"]


def locate_screen(report: AuditReport, exit_note: str = "") -> Iterator[Line]:
    """Every line, data set by data set."""
    for subject, section in zip(subjects(report), report.locate, strict=True):
        on = f"   {section.data} · {asked(subject.source)}" if subject.source else ""
        yield [("forgetaudit locate  ", "bold"), (f"{files_compared(report, 'tuned')}{on}", "")]
        yield _verdict(section)
        yield []
        if section.preview is not None:
            yield from preview_table(section.preview)
        if not isinstance(section.sums, Absent):
            yield from _table(section)
            yield from _resets(section)
            yield from _sums(section, section.sums)
        yield from finding_lines(report, subject)
    yield from provenance_line(report, exit_note)


def located(report: AuditReport) -> list[str]:
    """The answer in one line, one a data set."""
    return ["".join(text for text, _ in _verdict(section)) for section in report.locate]


def _verdict(section: LocateSection) -> Line:
    if section.preview is not None:
        return preview_verdict(section.preview)
    drop, fell = section.drop, section.base - section.tuned
    moved = (
        f"source accuracy {'fell' if fell > 0 else 'rose'} {numbers.points(fell)} pt"
        if fell
        else "source accuracy is unchanged"
    )
    blamed = sorted((row for row in section.players if row.blamed), key=_share, reverse=True)
    if blamed:
        by_rollback = isinstance(blamed[0].shapley, Absent)
        parts = [f"{row.name} {numbers.points(_share(row))} pt" for row in blamed[:3]]
        more = f", {len(blamed) - 3} more" if len(blamed) > 3 else ""
        words = "rolled back alone, surely wins back" if by_rollback else "sure shares"
        return [("LOCATED", "bad"), (f"  {moved}; {words}: {', '.join(parts)}{more}", "")]
    unsure = not isinstance(drop, Absent) and drop.low is not None and drop.low <= 0
    why = "no loss is proved" if unsure else "no single part is sure to carry a share"
    return [("NOT LOCATED", "warn"), (f"  {moved}; {why}", "")]


def _share(row: PlayerRow) -> float:
    """The Shapley value; without one, what a rollback wins back."""
    known = row.rolled_back.change if isinstance(row.shapley, Absent) else row.shapley
    return 0.0 if isinstance(known, Absent) else known.estimate


def _table(section: LocateSection) -> Iterator[Line]:
    """Share of the drop with its interval, rolled back alone, kept alone; in the order of the network."""
    wide = max(12, *(len(row.name) for row in section.players)) + 2
    yield [
        (f"{'part':<{wide}}", "label"),
        (f"{'share of the drop, 95 %':<27}{'rolled back':<13}{'kept alone':<12}", "label"),
        ("‖Δ‖/‖θ₀‖", "dim"),
    ]
    for row in section.players:
        share = f"{_lost(row.shapley):>6} {_span(row.shapley):<16}" + ("*   " if row.blamed else "    ")
        yield [
            (f"{row.name:<{wide}}", ""),
            (share, "bad" if row.blamed else ""),
            (f"{_gain(row.rolled_back.change, row.rolled_back.sure):<13}", ""),
            (f"{_gain(row.kept_alone.change, row.kept_alone.sure, loss=True):<12}", ""),
            (_number(row.relative), "dim"),
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
        if shown := _few(rows):
            counts = ", ".join(str(len(row.layers)) for row in shown)
            yield _row(
                "reset", f"{words}, {counts} of them: {', '.join(_change(row.gain) for row in shown)} pt"
            )
    if section.resets:
        yield []


def _few(rows: Sequence[ResetRow], most: int = 6) -> list[ResetRow]:
    """All, or evenly spaced ones."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(at * (len(rows) - 1) / (most - 1))] for at in range(most)]


def _sums(section: LocateSection, sums: Sums) -> Iterator[Line]:
    shares = "" if isinstance(sums.shapley, Absent) else f"shares {_limit(sums.shapley)} · "
    singly = f"rolled back {_signed(sums.rolled_back)} · kept alone {_signed(-sums.kept_alone)}"
    yield _row("sums", f"{shares}{singly}, where the drop is {_limit(sums.drop)} pt")
    yield _row("Shapley", f"{section.orders}; {section.n_variants} variants, all paired")
    yield []


def _row(label: str, text: str) -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, "")]


def _lost(value: Measured) -> str:
    """A share of the drop: positive is lost."""
    return "·" if isinstance(value, Absent) else _limit(value.estimate)


def _span(value: Measured) -> str:
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    return f"[{_limit(value.low)}, {_limit(value.high)}]"


def _limit(value: float) -> str:
    return (numbers.MINUS if value < 0 else "") + numbers.points(value)


def _change(gain: Measured) -> str:
    """A gain in accuracy, with its sign."""
    return "·" if isinstance(gain, Absent) else numbers.signed_points(-gain.estimate)


def _gain(value: Measured, sure: bool, *, loss: bool = False) -> str:
    if isinstance(value, Absent):
        return "·"
    said = numbers.signed_points(value.estimate if loss else -value.estimate)
    return f"{said}{' !' if sure else ''}"


def _signed(gain: float) -> str:
    return numbers.signed_points(-gain)


def _number(value: float | Absent) -> str:
    return "·" if isinstance(value, Absent) else numbers.unit(value)
