"""A file of one JSON object a line, read in one pass with its hash; everything else is named for what it is."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from forgetaudit.errors import DataError

__all__ = ["Fingerprint", "Line", "read_lines"]

Line = tuple[int, Mapping[str, Any]]

_AGAIN = "run lm-eval with --log_samples and --output_path, and pass the samples_*.jsonl that it writes"


class Fingerprint:
    """What identifies the bytes read so far. Mutable: `read_lines` adds to it."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.n_bytes = 0

    def add(self, raw: bytes) -> None:
        """Take in the next bytes of the file."""
        self._sha256.update(raw)
        self.n_bytes += len(raw)

    @property
    def sha256(self) -> str:
        """In hexadecimal digits."""
        return self._sha256.hexdigest()


def read_lines(path: Path, fingerprint: Fingerprint, advance: Callable[[int], None]) -> Iterator[Line]:
    """Number (from 1) and object of every line that is not blank; `advance` is told the bytes of each.

    DataError where there is no such file, or it holds anything else.
    """
    try:
        _check(path)
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                fingerprint.add(raw)
                advance(len(raw))
                if raw.strip():
                    yield number, _object(path, number, raw)
    except OSError as error:
        raise DataError(f"{path} cannot be read", details=[str(error)], hint="check the file") from error
    if fingerprint.n_bytes == 0:
        raise DataError(f"{path} is empty", hint=_AGAIN)


def _check(path: Path) -> None:
    if path.is_dir():
        # lm-eval writes into a folder of the model's name.
        found = sorted(str(log) for log in path.rglob("samples_*.jsonl"))
        raise DataError(
            f"{path} is a folder", details=found[:5], hint="name one file in it" if found else _AGAIN
        )
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, sorted(beside), n=2)
        raise DataError(
            f"there is no log {path}", hint=f"did you mean {' or '.join(near)}?" if near else "check the path"
        )
    if not path.is_file():
        raise DataError(f"{path} is not a regular file", hint="write it to a file first, and pass that")


def _object(path: Path, number: int, raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _not_a_log(path, number, raw, error) from error
    if isinstance(found, list):
        raise _a_list(path)
    if not isinstance(found, dict):
        raise DataError(f"{path}: line {number} is not a JSON object", hint=_AGAIN)
    return found


def _a_list(path: Path) -> DataError:
    return DataError(
        f"{path} is one JSON list, not one object a line",
        details=["lm-eval wrote such logs before 0.4.3, without doc_hash"],
        hint="run both models again with a newer lm-eval",
    )


def _not_a_log(path: Path, number: int, raw: bytes, error: Exception) -> DataError:
    start = raw.lstrip()
    if number == 1 and start.startswith(b"["):
        return _a_list(path)
    if number == 1 and start.startswith(b"{") and len(start.strip()) == 1:
        return DataError(
            f"{path} is one indented JSON object: a summary of results, not samples", hint=_AGAIN
        )
    if number == 1 and start.startswith(b"version https://git-lfs"):
        return DataError(f"{path} is a git-lfs pointer, not the file itself", hint="run git lfs pull")
    if number == 1 and start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"(\xb5/\xfd")):
        return DataError(f"{path} is compressed", hint="unpack it, and pass what was in it")
    if not raw.endswith(b"\n") and number > 1:
        return DataError(
            f"{path} breaks off in line {number}",
            details=[str(error)],
            hint="copy it again, or run lm-eval again",
        )
    return DataError(f"{path}: line {number} is not JSON", details=[str(error)], hint=_AGAIN)
