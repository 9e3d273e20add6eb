"""The JSON files that libraries keep beside weights: read as data, whatever they say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.checkpoints.strict_json import parse_object
from forgetaudit.errors import UnreadableCheckpoint
from forgetaudit.paths import looked_up

__all__ = ["folder_of", "read_sidecar"]

# Tokenizers of large vocabularies reach 30 MB.
MAX_SIDECAR_BYTES = 128 << 20


def folder_of(path: Path) -> Path:
    """The folder whose files speak of the weights at `path`: itself, or the one it lies in."""
    return path if path.is_dir() else path.parent


def read_sidecar(folder: Path, name: str) -> Mapping[str, Any] | None:
    """The JSON object in `folder/name`; None where there is no such file. UnreadableCheckpoint if it is damaged."""
    # The folder may be one that another file names.
    path = looked_up(folder / name)
    if not path.exists():
        return None
    file = RegularFile(path)
    try:
        if file.size > MAX_SIDECAR_BYTES:
            raise UnreadableCheckpoint(
                f"{path} has {file.size:,} bytes, more than {MAX_SIDECAR_BYTES:,}",
                hint="replace it with the file that was saved with the weights",
            )
        return parse_object(file.read(0, file.size), path, "text")
    finally:
        file.close()
