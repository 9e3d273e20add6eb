"""What to run next where a loss is proved: the command that tests where it sits, and the one that tests what helps."""

from collections.abc import Collection

from forgetaudit.renderers.headline import Subject
from forgetaudit.renderers.phrases import findings_of
from forgetaudit.report.report import AuditReport

__all__ = ["next_steps"]

# By what was found, the remedies that speak to it; the first that applies.
_REMEDIES = {
    "frozen-buffers-moved": ("--families buffers", "what base's statistics win back, or new ones"),
    "loss-in-head": ("--families head,stitch", "what base's head wins back, or a new one"),
    "head-only": ("--families head,stitch", "what base's head wins back, or a new one"),
    "low-rank-update": ("--families mixture,intruders", "what less of the adapter wins back"),
}


def next_steps(report: AuditReport, subject: Subject) -> tuple[tuple[str, str], ...]:
    """Commands, each with what it tells; none where nothing is lost for sure, or the weights were not compared."""
    data = subject.source.data if subject.source else None
    found = {finding.id for finding in findings_of(report, subject.variant, data)}
    if report.command != "compare" or "drop-proved" not in found or not subject.weights:
        return ()
    # Where it sits is known by proof if nothing else moved.
    where = () if "loss-in-head" in found else (("forgetaudit locate …", "which parts carry the loss"),)
    return (*where, _repair(found))


def _repair(found: Collection[str]) -> tuple[str, str]:
    told = next((remedy for ident, remedy in _REMEDIES.items() if ident in found), None)
    if told is None:
        return "forgetaudit repair …", "what of it can be won back"
    return f"forgetaudit repair … {told[0]}", told[1]
