"""The files that libraries keep beside weights may hold anything, and what reads them expects what was written once.

No list of checks is as long as the list of what can be wrong, so this is the one place where an error over the
contents of such a file, of the library's code or of ours, becomes a note to a person.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forgetaudit.errors import AuditError, ModelError

__all__ = ["first_line", "refuse_fatal_tokenizer", "refused_in_words"]

_RESTORE = "restore the files that were saved with the weights"


@contextmanager
def refused_in_words(fact: str, hint: str = _RESTORE) -> Iterator[None]:
    """Whatever is raised inside, as ModelError with `fact`; what is in words already passes.

    A panic of a library in Rust is no Exception, and no wish of the user's to stop either.
    """
    try:
        yield
    except AuditError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ModelError(fact, details=[first_line(error)], hint=hint) from error


def first_line(error: BaseException) -> str:
    """`ValueError: what it says`, of many lines the first."""
    said = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {said}"


# An exception is no matter here: the library raises it once more, where it can be caught.
_READ = """
import sys
from tokenizers import Tokenizer
try:
    made = Tokenizer.from_file(sys.argv[1])
    made.no_padding()
    made.no_truncation()
    made.encode("a")
except BaseException:
    pass
"""


def refuse_fatal_tokenizer(path: Path) -> None:
    """ModelError where reading `path` ends the process instead of raising, as some contents do in tokenizers 0.23.

    A process of its own reads it first: nothing else survives that. It takes about 70 ms, and as long as reading.
    """
    if not sys.executable:
        return
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _READ, str(path)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except OSError:  # no second process is to be had
        return
    if done.returncode:
        raise ModelError(
            f"{path} ends the process that reads it (exit code {done.returncode})",
            details=["tried in a process of its own, with the package tokenizers"],
            hint=_RESTORE,
        )
