"""`--output FORMAT=PATH`: what is asked for, checked before the work and written whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from forgetaudit.errors import OutputError, UsageError
from forgetaudit.renderers.terminal import render
from forgetaudit.report.report import AuditReport

__all__ = ["OutputRequest", "parse_outputs", "write_outputs"]

FORMATS = ("json", "txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRequest:
    """A report to be written: its format and where."""

    format: str
    path: Path


def parse_outputs(texts: Sequence[str]) -> tuple[OutputRequest, ...]:
    """What `--output` asks for. Refused here, before hours of work, if it could not be written in the end."""
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> OutputRequest:
    format_, equals, where = text.partition("=")
    if not equals or not where:
        raise UsageError(
            f"--output {text} is not FORMAT=PATH", hint=f"write --output json={text or 'report.json'}"
        )
    if format_ not in FORMATS:
        near = get_close_matches(format_, FORMATS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the formats are {' and '.join(FORMATS)}"
        raise UsageError(f"--output {text}: there is no format {format_}", hint=hint)
    path = Path(where)
    if path.is_dir():
        raise OutputError(
            f"--output {text}: {path} is a folder", hint=f"name a file: {path / f'report.{format_}'}"
        )
    if not path.parent.is_dir():
        raise OutputError(f"--output {text}: there is no folder {path.parent}", hint="make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"--output {text}: {path.parent} cannot be written to", hint="name another folder")
    return OutputRequest(format=format_, path=path)


def write_outputs(report: AuditReport, requests: Sequence[OutputRequest], exit_note: str) -> tuple[str, ...]:
    """Write each; the names of what was written."""
    for request in requests:
        text = report.to_json() if request.format == "json" else render(report, exit_note=exit_note)
        _write_whole(request.path, text)
    return tuple(str(request.path) for request in requests)


def _write_whole(path: Path, text: str) -> None:
    """To a temporary file beside its target, then renamed: an interrupted run leaves the old file or the new one."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            # mkstemp makes it private; a report is as readable as any file its user makes.
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written", details=[str(error)], hint="free space, or name another file"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
