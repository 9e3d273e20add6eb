"""Whether the loss was located and in which parts, in words that screen and page share."""

from forgetaudit.renderers import numbers
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.preview_words import preview_verdict
from forgetaudit.report.locate import LocateSection, PlayerRow
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.report.report import AuditReport

__all__ = ["located", "located_line", "share_of"]


def located(report: AuditReport) -> list[str]:
    """The answer in one line, one a data set."""
    return ["".join(text for text, _ in located_line(section)) for section in report.locate]


def located_line(section: LocateSection) -> Line:
    """LOCATED or NOT LOCATED, or PREVIEW, and the sentence behind it."""
    if section.preview is not None:
        return preview_verdict(section.preview)
    fell = section.base - section.tuned
    moved = (
        f"source accuracy {'fell' if fell > 0 else 'rose'} {numbers.points(fell)} pt"
        if fell
        else "source accuracy is unchanged"
    )
    blamed = sorted((row for row in section.players if row.blamed), key=_lost, reverse=True)
    if not blamed:
        return [("NOT LOCATED", "warn"), (f"  {moved}; {_why_not(section.drop)}", "")]
    by_rollback = isinstance(blamed[0].shapley, Absent)
    parts = [f"{row.name} {numbers.points(_lost(row))} pt" for row in blamed[:3]]
    more = f", {len(blamed) - 3} more" if len(blamed) > 3 else ""
    words = "rolled back alone, surely wins back" if by_rollback else "sure shares"
    return [("LOCATED", "bad"), (f"  {moved}; {words}: {', '.join(parts)}{more}", "")]


def _why_not(drop: Measured) -> str:
    unsure = not isinstance(drop, Absent) and drop.low is not None and drop.low <= 0
    return "no loss is proved" if unsure else "no single part is sure to carry a share"


def share_of(row: PlayerRow) -> Measured:
    """The Shapley value; without one, what a rollback wins back."""
    return row.rolled_back.change if isinstance(row.shapley, Absent) else row.shapley


def _lost(row: PlayerRow) -> float:
    share = share_of(row)
    return 0.0 if isinstance(share, Absent) else share.estimate
