"""Hidden folders in which files are made before they get their name; those of killed runs go with the next run.

A run holds a lock on its folder for as long as it lives, and the system lets go of it however the run ends. So a
folder whose lock is free belongs to nobody. A number of a process would not say so: containers that share a disk
count their processes alike.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: what killed runs left stays there
    fcntl = None  # type: ignore[assignment]

__all__ = ["hidden_name", "remove_abandoned", "room_beside"]

_MARK = ".forgetaudit-unfinished-"
# A name may have 255 bytes, and the mark and the random end need some of them.
_MOST_NAME_BYTES = 180


@contextmanager
def room_beside(target: Path) -> Iterator[Path]:
    """An empty hidden folder beside `target`, removed at the end; what killed runs left there for it goes first.

    OSError where the folder of `target` does not take it.
    """
    remove_abandoned(target)
    room, lock = _locked_room(target.parent, hidden_name(target, _MARK))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def hidden_name(target: Path, mark: str) -> str:
    """`.NAME` and the mark: of a long name its beginning and a digest, because no name may have over 255 bytes."""
    name = os.fsencode(target.name)
    if len(name) > _MOST_NAME_BYTES:
        start = name[:_MOST_NAME_BYTES].decode(errors="ignore")
        return f".{start}-{hashlib.sha256(name).hexdigest()[:12]}{mark}"
    return f".{target.name}{mark}"


def _locked_room(folder: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        room = Path(tempfile.mkdtemp(dir=folder, prefix=prefix))
        lock = _lock(room, wait=True)
        # Between the two lines above another run may have found the folder without its lock, and removed it.
        if room.is_dir():
            return room, lock
        if lock is not None:
            os.close(lock)


def remove_abandoned(target: Path) -> None:
    """What killed runs left beside `target`, where the lock says so: where there are no locks, nothing is removed."""
    prefix = hidden_name(target, _MARK)
    with suppress(OSError):
        rooms = [one for one in target.parent.iterdir() if one.name.startswith(prefix)]
        for room in [one for one in rooms if not one.is_symlink()]:
            lock = _lock(room, wait=False)
            if lock is not None:
                shutil.rmtree(room, ignore_errors=True)
                os.close(lock)


def _lock(room: Path, *, wait: bool) -> int | None:
    """The descriptor that holds the lock; None where another has it, or there are no locks."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(room, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
