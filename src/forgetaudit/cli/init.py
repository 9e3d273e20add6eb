"""init [REPORT]: a commented forgetaudit.toml and a workflow to begin with; nothing that is there is touched."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit.cli import console
from forgetaudit.cli.outputs import write_whole
from forgetaudit.config.file import CONFIG_NAME
from forgetaudit.errors import OutputError
from forgetaudit.judge.saved import load_report
from forgetaudit.renderers.starter import config_text, workflow_text
from forgetaudit.temporaries import remove_abandoned

__all__ = ["init"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
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
    measured = None if report is None else load_report(report)
    texts = {Path(CONFIG_NAME): config_text(measured, datetime.now(UTC).date())}
    if workflow:
        texts[WORKFLOW] = workflow_text(measured)
    for path in texts:
        # Both files may be whole, and the run that wrote them killed before it had tidied up.
        remove_abandoned(path)
    there = [path for path in texts if path.exists() or path.is_symlink()]
    halfway = len(there) < len(texts) and all(_is_ours(path, texts[path]) for path in there)
    if there and not halfway:
        raise OutputError(
            f"{there[0]} is there already, and was left as it is", hint="move it away first, or edit it"
        )
    for path in texts:
        _refuse_blocked(path)
    for path in there:
        console.note(f"{path} is there from a run that was interrupted")
    for path in (path for path in texts if path not in there):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, texts[path])
    console.write_out(console.as_lines([f"wrote {path}" for path in texts if path not in there]))


def _is_ours(path: Path, text: str) -> bool:
    """Whether an earlier run wrote it and nobody has changed it since: but for its dates, it is `text`."""
    try:
        found = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return False
    return _DATE.sub("", found) == _DATE.sub("", text)


def _refuse_blocked(path: Path) -> None:
    """OutputError where a file stands in the place of a folder, before anything is written beside it."""
    for folder in path.parents:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file, and a folder is to be there", hint="move it away first")
