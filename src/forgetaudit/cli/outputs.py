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

__all__ = ["OutputRequest", "parse_outputs", "refuse_inputs", "write_outputs"]

FORMATS = ("json", "txt")


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
        start = path.read_bytes()[:200]
    except OSError:
        return False
    return not start or b'"schema": "forgetaudit.report/' in start or start.startswith(b"forgetaudit ")


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
    request = OutputRequest(format=format_, path=path)
    _refuse_unwritable(text, request)
    return request


def _refuse_unwritable(text: str, request: OutputRequest) -> None:
    path, format_ = request.path, request.format
    try:
        parent = request.target.parent
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(
            f"--output {text}: {path} cannot be found", details=[str(error)], hint="name another file"
        ) from error
    if path.is_dir():
        raise OutputError(
            f"--output {text}: {path} is a folder", hint=f"name a file: {path / f'report.{format_}'}"
        )
    if path.exists() and not path.is_file():
        raise OutputError(
            f"--output {text}: {path} is a device or a pipe, which a report would replace",
            hint="name a file; the screen goes to stdout",
        )
    if not parent.is_dir():
        raise OutputError(f"--output {text}: there is no folder {parent}", hint="make it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"--output {text}: {parent} cannot be written to", hint="name another folder")


def write_outputs(report: AuditReport, requests: Sequence[OutputRequest], exit_note: str) -> tuple[str, ...]:
    """Write each; the names of what was written."""
    for request in requests:
        text = report.to_json() if request.format == "json" else render(report, exit_note=exit_note)
        _write_whole(request.target, text)
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
