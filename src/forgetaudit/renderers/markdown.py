"""The report as GitHub's Markdown."""

from forgetaudit.renderers.backends.markdown import MARKER, MOST_CHARACTERS, page
from forgetaudit.renderers.views.registry import blocks_of, over_all
from forgetaudit.report.report import AuditReport

__all__ = ["MARKER", "MOST_CHARACTERS", "markdown"]


def markdown(report: AuditReport, exit_note: str = "") -> str:
    """In fewer than MOST_CHARACTERS characters; the first line is the verdict."""
    blocks = list(blocks_of(report, exit_note))
    return page(blocks, over_all(report, blocks))
