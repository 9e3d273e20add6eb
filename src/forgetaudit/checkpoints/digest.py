"""A fingerprint of the files that a checkpoint was read from."""

import hashlib
from pathlib import Path

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.values import NotMeasured

__all__ = ["ALWAYS_HASHED_BYTES", "digest"]

ALWAYS_HASHED_BYTES = 1_000_000_000
_BLOCK_BYTES = 1 << 20


def digest(checkpoint: Checkpoint, *, whole: bool) -> str | NotMeasured:
    """SHA-256 in hex of the checkpoint's file, equal to what `sha256sum` prints.

    Of several files it is the SHA-256 of the text `sha256sum` prints for them, index first, in their folder. Beyond
    1 GB in total nothing is read unless `whole` is true.
    """
    n_bytes = sum(path.stat().st_size for path in checkpoint.files)
    if n_bytes > ALWAYS_HASHED_BYTES and not whole:
        return NotMeasured(f"{n_bytes:,} bytes are hashed only on request")
    if len(checkpoint.files) == 1:
        return _sha256(checkpoint.files[0])
    lines = "".join(f"{_sha256(path)}  {path.name}\n" for path in checkpoint.files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _sha256(path: Path) -> str:
    state = hashlib.sha256()
    file = RegularFile(path)
    try:
        for start in range(0, file.size, _BLOCK_BYTES):
            state.update(file.read(start, _BLOCK_BYTES))
        file.check_unchanged()
    finally:
        file.close()
    return state.hexdigest()
