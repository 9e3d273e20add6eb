"""Words in, words out: one file a command. `main(argv)` is the only way out of the program.

0 audited · 1 a rule failed · 2 could not audit as asked · 3 inconclusive, where the policy says fail ·
70 a bug · 130 interrupted · 141 closed pipe · 143 terminated.
"""

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
    from forgetaudit.cli import console

    try:
        with _sigterm_raises():
            code = _run(argv)
            sys.stdout.flush()
            return code
    except AuditError as problem:
        console.error(problem)
        return REFUSED
    except KeyboardInterrupt:
        console.note("interrupted: nothing was written")
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except SystemExit as left:
        # How typer leaves when stdout is closed.
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        # Python flushes stdout once more at exit; give it somewhere to flush to.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except Exception:
        traceback.print_exc()
        console.note("this is a bug in forgetaudit: please report it with the lines above and the command")
        return BUG


def _run(argv: Sequence[str] | None) -> int:
    import typer
    from typer.exceptions import Abort, TyperException

    from forgetaudit.cli.app import app

    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    command = typer.main.get_command(app)
    try:
        code = command.main(args=words, prog_name="forgetaudit", standalone_mode=False)
    except Abort:
        raise KeyboardInterrupt from None
    except TyperException as problem:
        message = problem.format_message().rstrip(".")
        context = getattr(problem, "ctx", None)
        where = "forgetaudit" if context is None else context.command_path
        raise UsageError(message[:1].lower() + message[1:], hint=f"see {where} --help") from None
    return code if isinstance(code, int) else 0


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
