"""JSON out of untrusted files: one meaning or none."""

import json
from pathlib import Path

from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["MAX_CONTAINERS", "parse_array", "parse_object"]

# A header of the most tensors has three for each of them. Thirty megabytes of empty ones would take a gigabyte.
MAX_CONTAINERS = 1_000_000


def parse_object(text: bytes, path: Path, what: str) -> dict[str, object]:
    """The JSON object in `text`; `what` names it in the errors ("header").

    A name that stands twice in one object is refused: readers differ in which of the two they keep.
    """
    parsed = _parsed(text, path, what)
    if not isinstance(parsed, dict):
        raise _damaged(path, what, "object")
    return parsed


def parse_array(text: bytes, path: Path, what: str) -> list[object]:
    """The JSON array in `text`, as strictly."""
    parsed = _parsed(text, path, what)
    if not isinstance(parsed, list):
        raise _damaged(path, what, "array")
    return parsed


def _parsed(text: bytes, path: Path, what: str) -> object:
    """What `text` says; None where it is no JSON."""
    if text.count(b"{") + text.count(b"[") > MAX_CONTAINERS:
        raise UnreadableCheckpoint(
            f"{path} is damaged: its {what} holds more than {MAX_CONTAINERS:,} lists and objects",
            hint="copy or download the file again",
        )
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        # Half of a pair of surrogates is spelt by an escape, and no report can be written with it.
        if b"\\ud" in text or b"\\uD" in text:
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        return found
    except _DuplicateNameError as error:
        raise UnreadableCheckpoint(
            f"{path} is damaged: its {what} names {error.args[0]!r} twice", hint="write the file again"
        ) from None
    except (ValueError, RecursionError):
        return None


def _damaged(path: Path, what: str, kind: str) -> UnreadableCheckpoint:
    return UnreadableCheckpoint(
        f"{path} is damaged: its {what} is not a JSON {kind}", hint="copy or download the file again"
    )


class _DuplicateNameError(Exception):
    pass


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _DuplicateNameError(name)
        seen.add(name)
    return found
