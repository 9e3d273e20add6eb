"""What came of a repair, in a sentence."""

from forgetaudit.renderers import numbers
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

__all__ = ["repair_headline"]


def repair_headline(report: AuditReport) -> str:
    """What came of it, in a sentence."""
    repair = report.repair
    if repair is None:
        raise ValueError("the report is of no repair")
    found = repair.confirmed
    if isinstance(found, Absent):
        return f"nothing was written: {repair.demands[0].reason}"
    change = "·" if isinstance(found.gain, Absent) else f"{numbers.signed_points(-found.gain.estimate)} pt"
    share = "" if isinstance(found.won_back, Absent) else f", {100 * found.won_back:.0f} % of what was lost"
    target = ""
    if not isinstance(found.target_loss, Absent):
        target = f"; target {numbers.signed_points(found.target_loss.estimate)} pt"
    if not repair.met:
        return f"nothing was written: {repair.chosen} was not confirmed ({change}{target})"
    done = "wins back" if repair.written else "would win back"
    return f"{repair.chosen} {done} {change.removeprefix('+')}{share}{target}"
