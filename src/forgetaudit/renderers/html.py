"""The report as one HTML file, with the report itself inside."""

from forgetaudit.renderers.backends.html import page
from forgetaudit.renderers.views.registry import blocks_of, over_all
from forgetaudit.report.embedding import embedded
from forgetaudit.report.report import AuditReport

__all__ = ["html"]


def html(report: AuditReport, exit_note: str = "") -> str:
    """The page. What is left out of a large report is counted where it is; the embedded report is whole."""
    blocks = list(blocks_of(report, exit_note))
    return page(f"forgetaudit {report.command}", blocks, over_all(report, blocks), embedded(report.to_json()))
