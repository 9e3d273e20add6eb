"""The forms that a report is written in, by name. What one needs is imported when it is asked for."""

from difflib import get_close_matches

from forgetaudit.errors import UsageError
from forgetaudit.renderers.github import PolicyFile
from forgetaudit.report.report import AuditReport

__all__ = ["FORMATS", "check_format", "written"]

FORMATS = ("json", "txt", "md", "html", "junit", "github", "csv")


def check_format(name: str, option: str, known: tuple[str, ...] = FORMATS) -> None:
    """UsageError, naming the nearest, where there is no such format."""
    if name in known:
        return
    near = (
        get_close_matches(name, known, n=1)
        or [known[at] for at, n in enumerate(known) if name.endswith(n)][:1]
    )
    hint = f"did you mean {near[0]}?" if near else f"the formats are {', '.join(known)}"
    raise UsageError(f"{option}: there is no format {name}", hint=hint)


def written(
    report: AuditReport, format_: str, *, exit_note: str = "", policy: PolicyFile | None = None
) -> str:
    """The report in one of FORMATS."""
    match format_:
        case "json":
            return report.to_json()
        case "md":
            from forgetaudit.renderers.markdown import markdown

            return markdown(report, exit_note)
        case "html":
            from forgetaudit.renderers.html import html

            return html(report, exit_note)
        case "junit":
            from forgetaudit.renderers.junit import junit

            return junit(report)
        case "github":
            from forgetaudit.renderers.github import github

            return github(report, policy)
        case "csv":
            from forgetaudit.renderers.csv_rows import csv_rows

            return csv_rows(report)
        case _:
            from forgetaudit.renderers.terminal import render

            return render(report, exit_note=exit_note)
