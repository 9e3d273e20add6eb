"""init [REPORT]: a commented forgetaudit.toml and a workflow to begin with; nothing that is there is touched."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit.cli import console
from forgetaudit.cli.outputs import write_whole
from forgetaudit.config.file import CONFIG_NAME
from forgetaudit.errors import OutputError
from forgetaudit.renderers.starter import config_text, workflow_text
from forgetaudit.report.report import AuditReport

__all__ = ["init"]

WORKFLOW = Path(".github") / "workflows" / "forgetaudit.yml"


def init(
    report: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REPORT]",
            help="The JSON of a first run, for limits that its data can decide.",
            show_default=False,
        ),
    ] = None,
    workflow: Annotated[
        bool, typer.Option("--workflow/--no-workflow", help="A GitHub Actions workflow, too.")
    ] = True,
) -> None:
    """Write a commented forgetaudit.toml here, and a GitHub Actions workflow."""
    measured = None if report is None else AuditReport.load(report)
    texts = {Path(CONFIG_NAME): config_text(measured, datetime.now(UTC).date())}
    if workflow:
        texts[WORKFLOW] = workflow_text(measured)
    for path in texts:
        if path.exists() or path.is_symlink():
            raise OutputError(
                f"{path} is there already, and was left as it is", hint="move it away first, or edit it"
            )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    console.write_out(console.as_lines([f"wrote {path}" for path in texts]))
