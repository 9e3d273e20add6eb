"""Words in, words out: one file a command. `main(argv)` is the only way out of the program.

0 audited · 1 a rule failed · 2 could not audit as asked · 3 inconclusive, where the policy says fail ·
70 a bug · 130 interrupted · 141 closed pipe · 143 terminated.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from forgetaudit.errors import AuditError, UsageError

__all__ = ["main", "script"]

REFUSED, BUG, INTERRUPTED, CLOSED_PIPE, TERMINATED = 2, 70, 130, 141, 143


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that what is open is closed and what is half-written is removed."""


def script() -> None:
    """The entry point `forgetaudit`."""
    raise SystemExit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv` (sys.argv without the program's name) and return its exit code. Raises nothing."""
    try:
        with _sigterm_raises():
            # A key may be pressed while it is imported, too.
            from forgetaudit.cli import console

            console.open_streams()
            code = _run(argv)
            console.flush_out()
            return code
    except AuditError as problem:
        console.error(problem)
        return REFUSED
    except KeyboardInterrupt:
        _note_interrupted()
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except BrokenPipeError:
        console.silence(sys.stdout)
        return CLOSED_PIPE
    except SystemExit as left:
        return _left(left)
    except (OSError, MemoryError) as problem:
        refused = _refused_by_machine(problem)
        if refused is None:
            return _bug()
        console.error(refused)
        return REFUSED
    except Exception:
        return _bug()


def _note_interrupted() -> None:
    """Without our own console, which may be half imported."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("interrupted: nothing was written\n")
        sys.stderr.flush()


def _left(left: SystemExit) -> int:
    """Typer and rich leave by SystemExit where stdout is closed, typer also after shell completion. Nobody else may."""
    from forgetaudit.cli import console

    if isinstance(left.__context__, BrokenPipeError) and _raised_by(left, "typer", "rich"):
        console.silence(sys.stdout)
        return CLOSED_PIPE
    if not _raised_by(left, "typer"):
        return _bug()
    if left.code is None or isinstance(left.code, int):
        return left.code or 0
    return REFUSED


def _raised_by(problem: BaseException, *packages: str) -> bool:
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in packages


def _refused_by_machine(problem: OSError | MemoryError) -> AuditError | None:
    """What the machine has too little of, or does with a file: no bug. None for other errors of the system."""
    from forgetaudit.paths import refusal

    if isinstance(problem, MemoryError):
        return AuditError(
            "the machine has too little memory for this",
            details=[line] if (line := str(problem).partition("\n")[0]) else [],
            hint="pass a smaller --batch-size, or use a machine with more",
        )
    if problem.filename is not None and problem.errno is not None:
        return refusal(os.fsdecode(problem.filename), problem)
    return refusal("what was to be written", problem) if problem.errno == errno.ENOSPC else None


def _bug() -> int:
    from forgetaudit.cli import console

    console.trace(traceback.format_exc())
    console.note("this is a bug in forgetaudit: please report it with the lines above and the command")
    return BUG


def _run(argv: Sequence[str] | None) -> int:
    import typer
    from typer.exceptions import Abort, TyperException

    from forgetaudit.cli import console
    from forgetaudit.cli.app import app_for

    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    _refuse_empty(words)
    command = typer.main.get_command(app_for(words))
    try:
        code = command.main(args=words, prog_name="forgetaudit", standalone_mode=False)
    except Abort as left:
        # Typer makes one of both.
        if isinstance(left.__cause__, EOFError):
            raise left.__cause__ from None
        raise KeyboardInterrupt from None
    except TyperException as problem:
        message = problem.format_message().rstrip(".")
        context = getattr(problem, "ctx", None)
        where = "forgetaudit" if context is None else context.command_path
        raise UsageError(message[:1].lower() + message[1:], hint=f"see {where} --help") from None
    except OSError as problem:
        # The help is written by them, to stdout.
        if _raised_by(problem, "rich", "typer"):
            raise console.unwritable(problem) from problem
        raise
    if code == INTERRUPTED:  # what typer makes of KeyboardInterrupt
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _refuse_empty(words: Sequence[str]) -> None:
    """UsageError for an empty word: an unset variable of a script would else be the present folder, or nothing."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        is_option = name.startswith("--")
        if word and not (is_option and equals and not value):
            continue
        before = words[place - 1] if place else ""
        what = name if is_option else before if before.startswith("-") else f"word {place + 1}"
        raise UsageError(f"{what} is empty", hint="pass a value; perhaps a variable of the shell is not set")


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def terminate(_signum: int, _frame: FrameType | None) -> None:
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not in the main thread: its owner decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
