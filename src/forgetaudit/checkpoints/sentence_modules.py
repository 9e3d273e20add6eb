"""modules.json, by which a sentence-transformers folder says what it is made of: read as data, nothing is imported."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.checkpoints.strict_json import parse_array
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint
from forgetaudit.paths import looked_up

__all__ = ["MODULES", "Module", "read_modules"]

MODULES = "modules.json"
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One step from text to embedding: the last part of its class's name, and the folder with its files."""

    kind: str
    folder: Path


def read_modules(root: Path) -> tuple[Module, ...]:
    """The modules of the folder `root` in their order; empty where it has no modules.json.

    UnreadableCheckpoint if that file is damaged, UnsafeCheckpoint where it points outside of `root`.
    """
    path = root / MODULES
    if not path.is_file():
        return ()
    file = RegularFile(path)
    try:
        if file.size > MAX_BYTES:
            raise UnreadableCheckpoint(
                f"{path} has {file.size:,} bytes, more than a list of modules needs",
                hint="copy or download the file again",
            )
        entries = parse_array(file.read(0, file.size), path, "text")
    finally:
        file.close()
    return tuple(_module(entry, root, path) for entry in entries)


def _module(entry: object, root: Path, path: Path) -> Module:
    kind, where = (entry.get("type"), entry.get("path", "")) if isinstance(entry, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(where, str):
        raise UnreadableCheckpoint(
            f"{path} is damaged: a module lacks its type or its path", hint="copy or download the file again"
        )
    parts = PurePosixPath(where)
    if parts.is_absolute() or ".." in parts.parts:
        raise UnsafeCheckpoint(
            f"{path} points outside of its folder: {where}",
            hint="do not use this folder: nothing but a mistake or an attack writes such a path",
        )
    return Module(kind=kind.rpartition(".")[2], folder=looked_up(root / parts))
