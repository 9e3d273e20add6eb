"""Where words go: the report to stdout; progress, notes and errors to stderr."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from forgetaudit.errors import AuditError
from forgetaudit.renderers.numbers import size
from forgetaudit.renderers.terminal import printable

__all__ = ["StderrProgress", "error", "note", "terminal_traits", "write_out"]


def write_out(text: str) -> None:
    """The report, whole, to stdout."""
    sys.stdout.write(text)
    sys.stdout.flush()


def note(text: str) -> None:
    """One line to stderr."""
    _to_stderr(printable(text))


def error(problem: AuditError) -> None:
    """Fact, details, hint."""
    hint = [f"hint: {problem.hint}"] if problem.hint else []
    lines = "\n".join([f"error: {problem.fact}", *problem.details, *hint]).splitlines()
    for line in (lines[0], *(f"  {line}" for line in lines[1:])):
        _to_stderr(printable(line))


def _to_stderr(line: str) -> None:
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stderr.flush()


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
            with _bar() as bar:
                task = bar.add_task(title, total=total)
                yield lambda done: bar.advance(task, done)
        else:
            yield _Tenths(title, total, unit).advance


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=RichConsole(stderr=True),
        transient=True,
    )


class _Tenths:
    """Says `evaluating 30 % (600 of 2,000 examples)` in a log, at most ten times."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done, self._said = 0, 0
        self._start = time.monotonic()

    def advance(self, done: int) -> None:
        self._done += done
        tenth = 10 * self._done // max(self._total, 1)
        if tenth > self._said and time.monotonic() - self._start > 2:
            self._said = tenth
            note(f"{self._title} {10 * tenth} % ({self._amounts()})")

    def _amounts(self) -> str:
        if self._unit == "bytes":
            return f"{size(self._done)} of {size(self._total)}"
        return f"{self._done:,} of {self._total:,} {self._unit}"
