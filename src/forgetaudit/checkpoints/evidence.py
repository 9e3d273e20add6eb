"""What a file is, judged by its bytes; what it is not is said in words."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from forgetaudit.checkpoints.header import LENGTH_BYTES, MAX_HEADER_BYTES
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["Kind", "recognise"]

_HEAD_BYTES = 512
_DOWNLOAD_AGAIN = "download the file again, logged in if it needs that"

_Test = Callable[[bytes], bool]


class Kind(StrEnum):
    """The kinds of file that can be read."""

    SAFETENSORS = "safetensors"
    TORCH = "torch"
    INDEX = "index"


def recognise(path: Path) -> Kind:
    """What the file at `path` is. Raises UnreadableCheckpoint, with the next action, where it is no checkpoint."""
    file = RegularFile(path)
    try:
        head, size = file.read(0, _HEAD_BYTES), file.size
    finally:
        file.close()
    if size == 0:
        raise UnreadableCheckpoint(
            f"{path} is empty (0 bytes)", hint="copy it again, or train and save again"
        )
    # First, because the length a safetensors file begins with can look like any other magic number.
    if _is_safetensors(head, size):
        return Kind.SAFETENSORS
    for is_this, words, hint in _OTHERS:
        if is_this(head):
            raise UnreadableCheckpoint(f"{path} is {words} ({size:,} bytes), not weights", hint=hint)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or _is_pickle(head):
        return Kind.TORCH
    if path.suffix == ".safetensors":
        return Kind.SAFETENSORS
    if head.lstrip().startswith(b"{"):
        return Kind.INDEX
    raise _no_checkpoint(path, head)


def _is_safetensors(head: bytes, size: int) -> bool:
    # The header may be padded, but it begins with its brace; as text the first 8 bytes would be a huge number.
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    return head[LENGTH_BYTES : LENGTH_BYTES + 1] == b"{" and length <= max(MAX_HEADER_BYTES, size)


def _is_pickle(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def _no_checkpoint(path: Path, head: bytes) -> UnreadableCheckpoint:
    is_text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    words = "is a text file, not weights" if is_text else "is no kind of checkpoint known here"
    return UnreadableCheckpoint(
        f"{path} {words}",
        details=[f"it begins with {head[:24]!r}"],
        hint="name a safetensors file, a shard index (.json), a torch file, or a directory holding one of them",
    )


def _begins(*magics: bytes) -> _Test:
    return lambda head: head.startswith(magics)


def _is_page(head: bytes) -> bool:
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n")
        .lower()
        .startswith((b"<!doctype html", b"<html", b"<?xml", b"<head"))
    )


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


_OTHERS: tuple[tuple[_Test, str, str], ...] = (
    (_begins(b"version https://git-lfs"), "a git-lfs pointer", "fetch the weights: git lfs pull"),
    (_is_page, "an HTML page, perhaps of an error", _DOWNLOAD_AGAIN),
    (
        _begins(b"GGUF"),
        "a GGUF file",
        "its distance from a base would measure quantisation; give the safetensors weights it was made from",
    ),
    (
        _begins(b"\x89HDF\r\n\x1a\n"),
        "an HDF5 file (Keras)",
        "save the model's weights with PyTorch or as safetensors",
    ),
    (_begins(b"\x93NUMPY"), "a NumPy array", "save the weights as safetensors"),
    (_begins(b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"), "a compressed file", "unpack it first"),
    (_is_tar, "a tar archive", "unpack it first and name the directory"),
)
