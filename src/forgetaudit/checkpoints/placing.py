"""A file or folder put in its place: whole or not at all, and never over another that was not to be replaced.

What is made lies beside its target under a hidden name until it is complete, and is then renamed. A folder that is to
be replaced is set aside first, and is put back where that fails; where the program was killed in between, by whoever
writes there next.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forgetaudit.errors import OutputError
from forgetaudit.paths import looked_up_output
from forgetaudit.temporaries import hidden_name, room_beside

__all__ = ["Place", "refuse_full"]

_ASIDE = ".forgetaudit-set-aside"
# The card, and what a file system needs for itself.
_SPARE_BYTES = 1 << 20


class Place:
    """Where something is to be written. `force`: what is there may be replaced. OutputError where it cannot be."""

    def __init__(self, path: Path, option: str, *, force: bool, folder: bool) -> None:
        self.path = path
        self.target = path.absolute()
        self._option = option
        looked_up_output(path, option)
        self._aside = self.target.with_name(hidden_name(self.target, _ASIDE))
        parent = self.target.parent
        if not parent.is_dir():
            raise OutputError(f"{option} {path}: there is no folder {parent}", hint="make it first")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"{option} {path}: {parent} cannot be written to", hint="name another folder")
        self._put_back()
        if not self._taken():
            return
        if self.target.is_symlink() or self.target.is_dir() != folder:
            kind = "a link" if self.target.is_symlink() else "a folder" if self.target.is_dir() else "a file"
            wanted = "a folder" if folder else "a file"
            raise OutputError(
                f"{option} {path} is {kind}, and {wanted} is to be written, as tuned is one",
                hint="name what is not there yet",
            )
        if not force:
            raise OutputError(
                f"{option} {path} is there already", hint="name another place, or pass --force to replace it"
            )

    @contextmanager
    def filling(self) -> Iterator[Path]:
        """A path to write to; it becomes the target at the end, or is gone where anything was raised."""
        try:
            with room_beside(self.target) as room:
                made = room / self.target.name
                yield made
                self._sync(made)
                self._put(made)
        except OSError as error:
            raise self._refusal(error) from error

    def _put(self, made: Path) -> None:
        if not self.target.is_dir():
            made.replace(self.target)
        else:
            self.target.rename(self._aside)
            try:
                made.rename(self.target)
            except BaseException:
                self._aside.rename(self.target)
                raise
        self._sync_folder(self.target.parent)
        shutil.rmtree(self._aside, ignore_errors=True)

    def _put_back(self) -> None:
        """What an earlier run set aside, and was killed before it could finish."""
        if not self._aside.is_dir():
            return
        if self._taken():
            shutil.rmtree(self._aside, ignore_errors=True)
        else:
            self._aside.rename(self.target)

    def _taken(self) -> bool:
        return self.target.exists() or self.target.is_symlink()

    def _sync(self, made: Path) -> None:
        """On the disk before it has its name, so that not even a power cut leaves half of it under that name."""
        for path in (made, *made.rglob("*")) if made.is_dir() else (made,):
            if path.is_dir():
                self._sync_folder(path)
            else:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        if made.is_file():
            made.chmod(0o666 & ~_umask())
        else:
            made.chmod(0o777 & ~_umask())

    @staticmethod
    def _sync_folder(path: Path) -> None:
        # Not every system lets folders be opened.
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _refusal(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._option} {self.path} cannot be written",
            details=[str(error), "nothing was left there, and what was there is there still"],
            hint="free space, or name another place",
        )


def refuse_full(place: Place, n_bytes: int) -> None:
    """OutputError where the disk has less than `n_bytes` free, and some to spare."""
    needed = n_bytes + n_bytes // 100 + _SPARE_BYTES
    free = shutil.disk_usage(place.target.parent).free
    if free < needed:
        raise OutputError(
            f"{place.path} needs {needed / 1e6:,.0f} MB, and {place.target.parent} has {free / 1e6:,.0f} MB free",
            hint="free space, or name a place on another disk",
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
