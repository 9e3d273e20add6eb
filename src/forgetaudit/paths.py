"""Paths that a user wrote: looked up once, and refused in words where the system does not take them.

`Path.exists` and its like raise for a name that is too long, for a loop of links and for a folder that may not be
entered, and opening a pipe waits for a writer that may never come. So whatever is named by a person passes here first.
"""

import errno
import stat
from contextlib import suppress
from pathlib import Path

from forgetaudit.errors import OutputError, UsageError

__all__ = ["as_path", "clipped_path", "looked_up", "looked_up_output", "read_text", "refusal"]

_HINTS = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.ENAMETOOLONG: "check the path: no file can have such a name",
    errno.ELOOP: "remove the link that leads back to itself",
    errno.EACCES: "ask its owner, or change its permissions",
    errno.EPERM: "ask its owner, or change its permissions",
    errno.ENOSPC: "free space, or name another place",
    errno.EDQUOT: "free space, or name another place",
    errno.EMFILE: "close other programs, or raise the limit of open files (ulimit -n)",
}
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
# The longest names that systems take are 255 bytes, and the longest paths 4,096: more would fill the screen.
_SHOWN = 120
# Far above every report and config, and far below what would take the machine's memory.
_MOST_TEXT_BYTES = 1 << 28


def looked_up(path: Path, named: str = "") -> Path:
    """`path`, which the system can look up, whether or not anything is there; a file or a folder where there is.

    `named` is the option that it was passed with. UsageError where the name is too long, its links go round, it may
    not be looked at, or it is a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return path
    except OSError as error:
        raise refusal(path, error, named) from None
    except ValueError:
        raise UsageError(_error_text(path, named, "holds a NUL character"), hint="check the path") from None
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            raise UsageError(
                _error_text(path, named, f"is {kind}, not a file"), hint="name a regular file or a folder"
            )
    return path


def looked_up_output(path: Path, option: str) -> Path:
    """The same for a path that is to be written: OutputError, also where a pipe or a device would be replaced."""
    try:
        return looked_up(path, f"{clipped_path(option)}:")
    except UsageError as error:
        raise OutputError(error.fact, details=error.details, hint="name another file") from None


def as_path(text: str, directory: Path = Path(), named: str = "") -> Path:
    """The path that `text` names from `directory`, with `~` as the home it stands for, looked up.

    A `~name` that is no user's is a name like others, as a shell has it.
    """
    path = Path(text)
    with suppress(RuntimeError, ValueError):
        path = path.expanduser()
    return looked_up(directory / path, named)


def read_text(path: Path, named: str = "") -> str:
    """The text of a regular file. UsageError where it is none, where it cannot be read, or is not UTF-8."""
    looked_up(path, named)
    try:
        if path.stat().st_size > _MOST_TEXT_BYTES:
            raise UsageError(
                _error_text(path, named, f"has over {_MOST_TEXT_BYTES:,} bytes"),
                hint="check which file was named",
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise refusal(path, error, named, done="read") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            _error_text(path, named, "cannot be read: it is not text in UTF-8"),
            details=[str(error)],
            hint="check the path",
        ) from None


def refusal(path: Path | str, error: OSError, named: str = "", *, done: str = "used") -> UsageError:
    """What the system said of `path`, in words: it cannot be `done`."""
    reason = error.strerror or str(error) or type(error).__name__
    return UsageError(
        _error_text(path, named, f"cannot be {done}: {reason}"),
        hint=_HINTS.get(error.errno or 0, "check the path, and the disk that it is on"),
    )


def clipped_path(path: Path | str) -> str:
    """The path, or of a very long one its beginning."""
    text = str(path)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"


def _error_text(path: Path | str, named: str, what: str) -> str:
    return f"{named} {clipped_path(path)} {what}".lstrip()
