"""Where words go: the report to stdout; progress, notes and errors to stderr."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from forgetaudit.errors import AuditError, OutputError
from forgetaudit.renderers.escapes import clipped, printable
from forgetaudit.renderers.numbers import size
from forgetaudit.renderers.terminal import one_line

__all__ = [
    "StderrProgress",
    "as_lines",
    "error",
    "flush_out",
    "note",
    "open_streams",
    "silence",
    "terminal_traits",
    "trace",
    "unwritable",
    "write_out",
]


# Beyond, nobody reads what is to be done about it.
_MOST_DETAILS = 12
_MOST_CHARACTERS = 1000


def open_streams() -> None:
    """OutputError where stdout is closed, before hours of work. What goes to a closed stderr is lost, as asked."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        raise OutputError(
            "stdout is closed, so the report cannot be shown",
            hint="send it to /dev/null if you do not want it",
        )


def write_out(text: str) -> None:
    """The report, whole, to stdout; what its encoding cannot hold, as escapes.

    BrokenPipeError where nobody reads any more, OutputError where it cannot be written otherwise.
    """
    with _stdout_fails_as_output_error():
        sys.stdout.write(_encodable(text, sys.stdout))
        sys.stdout.flush()


def as_lines(lines: Iterable[str]) -> str:
    """Lines for stdout, as the screen shows a line: control characters as escapes, ASCII where only that is shown."""
    _, _, unicode = terminal_traits(sys.stdout)
    return "".join(f"{one_line(line, unicode=unicode)}\n" for line in lines)


def flush_out() -> None:
    """What other libraries wrote to stdout is there. Errors as `write_out` has them."""
    with _stdout_fails_as_output_error():
        sys.stdout.flush()


@contextmanager
def _stdout_fails_as_output_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as problem:
        raise unwritable(problem) from problem


def unwritable(problem: Exception) -> OutputError:
    """What to raise where stdout failed. Nothing more is sent there."""
    silence(sys.stdout)
    return OutputError(
        "the report cannot be written to stdout",
        details=[str(problem)],
        hint="free space, or send it elsewhere",
    )


def silence(stream: TextIO) -> None:
    """Lead a broken stream to nowhere: Python flushes it once more at exit, and would end with a code of its own."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def note(text: str) -> None:
    """One line to stderr."""
    _to_stderr(printable(text))


def error(problem: AuditError) -> None:
    """Fact, details, hint."""
    hint = [f"hint: {problem.hint}"] if problem.hint else []
    more = len(problem.details) - _MOST_DETAILS
    details = [*problem.details[:_MOST_DETAILS], *([f"… {more} more lines"] if more > 0 else [])]
    lines = "\n".join(
        clipped(text, _MOST_CHARACTERS) for text in (f"error: {problem.fact}", *details, *hint)
    ).splitlines()
    for line in (lines[0], *(f"  {line}" for line in lines[1:])):
        _to_stderr(printable(line))


def trace(text: str) -> None:
    """A traceback, to stderr."""
    for line in text.splitlines():
        _to_stderr(printable(line))


def _to_stderr(line: str) -> None:
    """Nothing to tell it with is no reason for another exit code."""
    try:
        sys.stderr.write(_encodable(f"{line}\n", sys.stderr))
        sys.stderr.flush()
    except (OSError, ValueError):
        silence(sys.stderr)


def terminal_traits(stream: TextIO) -> tuple[int | None, bool, bool]:
    """Width (None in a pipe: lines stay whole), whether colour is wanted, whether more than ASCII can be shown."""
    is_terminal = stream.isatty()
    colour = (is_terminal and "NO_COLOR" not in os.environ) or bool(os.environ.get("FORCE_COLOR"))
    try:
        "→−█‖θ₀".encode(stream.encoding or "ascii")
        unicode = True
    except UnicodeEncodeError:
        unicode = False
    width = RichConsole(file=stream).width if is_terminal else None
    return width, colour and os.environ.get("TERM") != "dumb", unicode


class StderrProgress:
    """A bar on a terminal; elsewhere a line every tenth, and none for what takes less than two seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, text: str) -> None:
        """A note, unless quiet."""
        if not self._quiet:
            note(text)

    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """See `forgetaudit.progress.Progress`."""
        if self._quiet:
            yield lambda done: None  # noqa: ARG005
        elif sys.stderr.isatty():
            with _bar(unit) as bar:
                task = bar.add_task(title, total=total)
                yield lambda done: bar.advance(task, done)
        else:
            yield _Tenths(title, total, unit).advance


def _bar(unit: str) -> Progress:
    amounts = [DownloadColumn()] if unit == "bytes" else []
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *amounts,
        TimeRemainingColumn(),
        console=RichConsole(stderr=True),
        transient=True,
    )


def _duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _Tenths:
    """Says `evaluating 30 % (600 of 2,000 examples, 40 s left)` in a log, at most ten times."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done, self._said = 0, 0
        self._start = time.monotonic()

    def advance(self, done: int) -> None:
        self._done += done
        tenth = 10 * self._done // max(self._total, 1)
        seconds = time.monotonic() - self._start
        if tenth > self._said and seconds > 2:
            self._said = tenth
            left = seconds * (self._total - self._done) / self._done
            note(f"{self._title} {10 * tenth} % ({self._amounts()}, {_duration(left)} left)")

    def _amounts(self) -> str:
        if self._unit == "bytes":
            return f"{size(self._done)} of {size(self._total)}"
        return f"{self._done:,} of {self._total:,} {self._unit}"
