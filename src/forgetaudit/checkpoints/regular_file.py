"""A regular file, opened read-only and read at positions."""

import os
import stat
from pathlib import Path

from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["RegularFile"]

# O_NONBLOCK: opening a FIFO for reading would wait for its writer, perhaps for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class RegularFile:
    """A regular file opened read-only; anything else (pipe, device, directory) is refused before it is read.

    Positioned reads, not a memory map: a file that shrinks under a map kills the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = _open(path)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise _not_a_file(path, found.st_mode)
        self.size = found.st_size
        self._modified = found.st_mtime_ns

    def read(self, start: int, n_bytes: int) -> bytes:
        """The bytes from `start`; fewer at the end of the file."""
        buffer = bytearray(max(0, min(n_bytes, self.size - start)))
        self.read_into(start, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill `out` with the bytes from `start`. Raises UnreadableCheckpoint where the file has changed."""
        filled = 0
        while filled < len(out):
            n_read = _read_at(self._descriptor(), start + filled, out[filled:])
            if n_read == 0:
                raise self._changed()
            filled += n_read
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise UnreadableCheckpoint where size or time of change are not those found when opening."""
        now = os.fstat(self._descriptor())
        if (now.st_size, now.st_mtime_ns) != (self.size, self._modified):
            raise self._changed()

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _descriptor(self) -> int:
        if self._fd is None:
            raise ValueError(f"{self.path} is closed")
        return self._fd

    def _changed(self) -> UnreadableCheckpoint:
        return UnreadableCheckpoint(
            f"{self.path} changed while it was being read",
            hint="wait until the program that writes it is done, or audit a copy",
        )


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS)
    except FileNotFoundError:
        raise UnreadableCheckpoint(f"{path} does not exist", hint="check the path") from None
    except PermissionError:
        raise UnreadableCheckpoint(
            f"{path} may not be read by this user", hint="ask its owner, or change its permissions"
        ) from None
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{path} cannot be opened: {error.strerror}", hint="name a regular file or a directory of them"
        ) from None


def _not_a_file(path: Path, mode: int) -> UnreadableCheckpoint:
    kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "no regular file")
    return UnreadableCheckpoint(f"{path} is {kind}, not a file", hint="name a regular file with weights")


def _read_at(fd: int, start: int, out: memoryview) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [out], start)
    # Windows has no positioned read.
    os.lseek(fd, start, os.SEEK_SET)
    found = os.read(fd, len(out))
    out[: len(found)] = found
    return len(found)
