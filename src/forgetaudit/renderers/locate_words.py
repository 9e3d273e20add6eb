"""Whether the loss was located and in which parts, in words that screen and page share."""

from forgetaudit.renderers import numbers
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.preview_words import preview_verdict
from forgetaudit.report.locate import LocateSection, PartRow
from forgetaudit.report.parts import Absent, Estimate, Measured
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
        return [("NOT LOCATED", "warn"), (f"  {moved}; {_why_not(section)}", "")]
    by_rollback = not _has_limits(blamed[0].shapley)
    parts = [f"{row.name} {numbers.points(_lost(row))} pt" for row in blamed[:3]]
    more = f", {len(blamed) - 3} more" if len(blamed) > 3 else ""
    words = "rolled back alone, surely wins back" if by_rollback else "sure shares"
    first = _largest(section, but="" if by_rollback else blamed[0].name)
    return [("LOCATED", "bad"), (f"  {moved}; {first}{words}: {', '.join(parts)}{more}", "")]


def _largest(section: LocateSection, *, but: str = "") -> str:
    """The part with the largest share, sure or not; nothing where that is `but`, which stands first anyway."""
    shares = [
        (row.shapley.estimate, row.name) for row in section.players if isinstance(row.shapley, Estimate)
    ]
    if not shares or max(shares)[0] <= 0:
        return ""
    share, name = max(shares, key=lambda pair: pair[0])
    if name == but:
        return ""
    return f"largest share {name} {numbers.points(share)} pt; "


def _has_limits(share: Measured) -> bool:
    return isinstance(share, Estimate) and share.low is not None


def _why_not(section: LocateSection) -> str:
    drop = section.drop
    if not isinstance(drop, Absent) and drop.low is not None and drop.low <= 0:
        return "no loss is proved"
    return f"{_largest(section)}no single part is sure to carry a share"


def share_of(row: PartRow) -> Measured:
    """The Shapley value; without one, what a rollback wins back."""
    return row.rolled_back.change if isinstance(row.shapley, Absent) else row.shapley


def _lost(row: PartRow) -> float:
    share = row.shapley if _has_limits(row.shapley) else row.rolled_back.change
    return 0.0 if isinstance(share, Absent) else share.estimate
