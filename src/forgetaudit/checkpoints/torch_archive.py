"""What kind of archive a torch file is, told without loading it."""

import zipfile
from pathlib import Path

from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint

__all__ = ["check_archive"]

# The pickled number every torch.save before 1.6 begins with.
_LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_SAVE_WEIGHTS = (
    "where you trust the file, load it and save only its weights: torch.save(model.state_dict(), FILE)"
)


def check_archive(path: Path) -> None:
    """Refuse what is not a torch.save archive of plain data that can be mapped into memory.

    Raises UnsafeCheckpoint for formats that are code by design, UnreadableCheckpoint for the others.
    """
    if path.suffix == ".safetensors":
        # torch.load would choose its reader by this ending.
        raise UnreadableCheckpoint(
            f"{path} is a torch file under the name of a safetensors file", hint="rename it to end with .pt"
        )
    head = _head(path)
    if head[:1] == b"\x80":
        raise _old_pickle(path, head)
    members = _members(path)
    names = [member.filename for member in members]
    if any("/code/" in name for name in names) or any(name.endswith("constants.pkl") for name in names):
        raise UnsafeCheckpoint(
            f"{path} is a TorchScript archive, which is code; it was not loaded", hint=_SAVE_WEIGHTS
        )
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        raise UnsafeCheckpoint(
            f"{path} is an exported program, which is code; it was not loaded", hint=_SAVE_WEIGHTS
        )
    if any("/.data/extern_modules" in name for name in names):
        raise UnsafeCheckpoint(
            f"{path} is a torch.package, which is code; it was not loaded", hint=_SAVE_WEIGHTS
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise UnreadableCheckpoint(
            f"{path} is a zip archive without torch weights",
            hint="unpack it and name the file with the weights",
        )
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise UnreadableCheckpoint(
            f"{path} has compressed members, such as {packed[0]!r}, which torch.save never writes",
            hint="load it with torch.load(FILE, weights_only=True) where you trust it, and torch.save it again",
        )


def _head(path: Path) -> bytes:
    file = RegularFile(path)
    try:
        return file.read(0, 64)
    finally:
        file.close()


def _members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise UnreadableCheckpoint(
            f"{path} is truncated or damaged: it begins as a torch file and ends as none",
            hint="copy or download the file again; if it is still being written, wait",
        ) from None


def _old_pickle(path: Path, head: bytes) -> Exception:
    if _LEGACY_MAGIC in head:
        return UnreadableCheckpoint(
            f"{path} was saved in the format of torch before 1.6, which cannot be mapped into memory",
            hint="convert it once: torch.save(torch.load(OLD, weights_only=True), NEW)",
        )
    return UnsafeCheckpoint(
        f"{path} is a bare pickle, which can run any code; it was not loaded", hint=_SAVE_WEIGHTS
    )
