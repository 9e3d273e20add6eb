"""`--output FORMAT=PATH`: what is asked for, checked before the work and written whole or not at all.

The step summary of GitHub Actions is written, too, where its variable says where.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forgetaudit.cli import console
from forgetaudit.config import find_config
from forgetaudit.errors import OutputError, UsageError
from forgetaudit.paths import looked_up_output
from forgetaudit.renderers.formats import check_format, written
from forgetaudit.renderers.github import PolicyFile
from forgetaudit.report.report import AuditReport
from forgetaudit.temporaries import room_beside

__all__ = [
    "OutputRequest",
    "parse_outputs",
    "policy_file",
    "refuse_inputs",
    "refuse_unwritable",
    "write_outputs",
    "write_whole",
]

_SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRequest:
    """A report to be written: its format and where."""

    format: str
    path: Path

    @property
    def target(self) -> Path:
        """The file itself: a link stays a link to it."""
        return self.path.resolve()


def parse_outputs(texts: Sequence[str]) -> tuple[OutputRequest, ...]:
    """What `--output` asks for. Refused here, before hours of work, if it could not be written in the end."""
    requests = tuple(_parse(text) for text in texts)
    targets = [request.target for request in requests]
    for request in requests:
        if targets.count(request.target) > 1:
            raise UsageError(
                f"--output names {request.path} twice", hint="give every report a file of its own"
            )
    return requests


def refuse_inputs(requests: Sequence[OutputRequest], inputs: Sequence[Path]) -> None:
    """OutputError where a report would overwrite one of `inputs`, or a file that lies in a folder among them."""
    for request in requests:
        for path in inputs:
            if _overwrites(request.target, Path(os.path.realpath(path))):
                raise OutputError(
                    f"--output {request.format}={request.path} would overwrite {path}, which is read",
                    hint=f"name another file, as in {request.format}=report.{request.format}",
                )


def _overwrites(target: Path, path: Path) -> bool:
    if target == path:
        return True
    # An index stands for the files beside it.
    folder = path if path.is_dir() else path.parent if path.name.endswith(".index.json") else None
    inside = folder is not None and target.is_relative_to(folder)
    return inside and target.exists() and not _is_report(target)


def _is_report(path: Path) -> bool:
    """Whether an earlier run wrote it, so that it may be written again."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return not start or start.startswith(_STARTS) or any(mark in start for mark in _MARKS)


_STARTS = (b"forgetaudit ", b"section,data,variant,", b"::error ", b"::warning ", b"::notice ")
_MARKS = (
    b'"schema": "forgetaudit.report/', b"<!-- forgetaudit:report -->", b'name="generator" content="forgetaudit"',
    b'<testsuites name="forgetaudit ',
)  # fmt: skip


def _parse(text: str) -> OutputRequest:
    format_, equals, where = text.partition("=")
    if not equals or not where:
        raise UsageError(
            f"--output {text} is not FORMAT=PATH", hint=f"write --output json={text or 'report.json'}"
        )
    check_format(format_, f"--output {text}")
    request = OutputRequest(format=format_, path=Path(where))
    refuse_unwritable(f"--output {text}", request)
    return request


def refuse_unwritable(option: str, request: OutputRequest) -> None:
    """OutputError where `option` names what cannot be written as a file."""
    path, format_ = looked_up_output(request.path, option), request.format
    parent = request.target.parent
    if path.is_dir():
        raise OutputError(f"{option}: {path} is a folder", hint=f"name a file: {path / f'report.{format_}'}")
    if not parent.is_dir():
        raise OutputError(f"{option}: there is no folder {parent}", hint="make it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"{option}: {parent} cannot be written to", hint="name another folder")


def write_outputs(report: AuditReport, requests: Sequence[OutputRequest], exit_note: str) -> tuple[str, ...]:
    """Write each, and the step summary; the names of what was written."""
    policy = policy_file(report) if any(request.format == "github" for request in requests) else None
    for request in requests:
        write_whole(request.target, written(report, request.format, exit_note=exit_note, policy=policy))
    return (*(str(request.path) for request in requests), *_write_summary(report, exit_note))


def _write_summary(report: AuditReport, exit_note: str) -> tuple[str, ...]:
    """Added to what other steps said there. A summary that cannot be written costs no verdict."""
    where = os.environ.get(_SUMMARY)
    if not where:
        return ()
    try:
        with Path(where).open("a", encoding="utf-8", newline="\n") as file:
            file.write(written(report, "md", exit_note=exit_note) + "\n")
    except OSError as error:
        console.note(f"the step summary cannot be written: {error}")
        return ()
    return ("the step summary",)


def policy_file(report: AuditReport) -> PolicyFile | None:
    """The config whose rules the report was judged by, where it is the nearest one here."""
    gate = report.inputs.settings.get("gate")
    source = gate.get("source") if isinstance(gate, dict) else None
    path = find_config(Path.cwd())
    if path is None or source not in (None, path.name):
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    inside = path.resolve().is_relative_to(root.resolve())
    shown = path.resolve().relative_to(root.resolve()) if inside else path
    return PolicyFile(path=shown.as_posix(), text=text)


def write_whole(path: Path, text: str) -> None:
    """To a temporary file beside its target, then renamed: an interrupted run leaves the old file or the new one."""
    try:
        with room_beside(path) as room:
            made = room / "report"
            made.write_text(text, encoding="utf-8", newline="\n")
            made.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written", details=[str(error)], hint="free space, or name another file"
        ) from error
