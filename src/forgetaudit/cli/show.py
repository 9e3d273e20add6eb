"""show REPORT: a saved report in any form. It judges nothing, and ends with 0."""

import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from forgetaudit.cli import console
from forgetaudit.cli.outputs import OutputRequest, policy_file, refuse_inputs, refuse_unwritable, write_whole
from forgetaudit.errors import UsageError
from forgetaudit.judge.saved import load_report
from forgetaudit.renderers.formats import written
from forgetaudit.renderers.terminal import render
from forgetaudit.report.report import AuditReport

__all__ = ["show"]

Format = Literal["terminal", "md", "html", "junit", "github", "csv", "json", "txt"]

_BY_SUFFIX: dict[str, Format] = {
    ".md": "md", ".html": "html", ".htm": "html", ".xml": "junit", ".csv": "csv", ".json": "json", ".txt": "txt",
}  # fmt: skip

Report = Annotated[
    Path,
    typer.Argument(metavar="REPORT", help="A report: its JSON, or its page in HTML.", show_default=False),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="How it is shown; seen in the ending of --output otherwise, else for a terminal.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Write it there instead.", show_default=False),
]


def show(report: Report, format_: FormatOption = None, output: Output = None) -> None:
    """Show a saved report: on the screen, as Markdown, HTML, JUnit, annotations, CSV or JSON."""
    chosen = _chosen(format_, output)
    request = None if output is None else OutputRequest(format=chosen, path=output)
    if request is not None:
        refuse_unwritable(f"--output {output}", request)
        refuse_inputs((request,), (report,))
    found = load_report(report)
    if request is None:
        console.write_out(_on_screen(found) if chosen == "terminal" else _text(found, chosen))
    else:
        write_whole(request.target, _text(found, chosen))
        console.note(f"wrote {output}")


def _chosen(format_: Format | None, output: Path | None) -> Format:
    if format_ is not None:
        return format_
    if output is None:
        return "terminal"
    if output.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[output.suffix.lower()]
    raise UsageError(
        f"--output {output} does not say in which format",
        hint=f"pass --format, one of {', '.join(get_args(Format))}",
    )


def _text(report: AuditReport, chosen: Format) -> str:
    policy = policy_file(report) if chosen == "github" else None
    return written(report, "txt" if chosen == "terminal" else chosen, policy=policy)


def _on_screen(report: AuditReport) -> str:
    width, colour, unicode = console.terminal_traits(sys.stdout)
    code = report.exit_code
    note = f"0 (show; the verdict asks for {code})" if code else ""
    return render(report, width=width, colour=colour, unicode=unicode, exit_note=note)
