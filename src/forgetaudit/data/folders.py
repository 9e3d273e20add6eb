"""What a plain directory holds: class folders of images, or data files of one kind, perhaps in splits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forgetaudit.data.images import IMAGE_SUFFIXES
from forgetaudit.data.labels import natural_order
from forgetaudit.data.sources import ImageFolder
from forgetaudit.data.splits import SPLIT_NAMES
from forgetaudit.data.tables import TABLE_SUFFIXES
from forgetaudit.errors import DataError

__all__ = ["NO_SPLITS", "Folder", "look_into", "read_image_folder"]

# The name of the only "split" of a directory that has none.
NO_SPLITS = ""

# What the Hub's tools leave beside the data.
DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """For every split the data files, or the folder that holds the class folders."""

    kind: Literal["images", "tables", "arrays"]
    splits: Mapping[str, Sequence[Path]]


def look_into(directory: Path, where: str) -> Folder:
    """What kind of data `directory` holds. DataError where it is none, or more than one kind."""
    folders, files = _visible(directory)
    folders = [folder for folder in folders if _holds_images(folder)]
    suffixes = [_kind(file) for file in files]
    seen = {kind: suffixes.count(kind) for kind in sorted({*suffixes} - {None}, key=str)}
    if folders:
        seen["folders of images"] = len(folders)
    if not seen:
        raise _nothing(directory, where)
    if len(seen) > 1 and seen.pop("txt", 0):
        # A README.txt or classes.txt beside the data is about them.
        suffixes = [None if kind == "txt" else kind for kind in suffixes]
    if len(seen) > 1:
        told = ", ".join(f"{kind} ({count})" for kind, count in seen.items())
        hint = f"name what is meant, such as --data {where.rstrip('/')}/{_first_named(files, folders)}"
        raise DataError(f"{where} holds more than one kind of data", details=[told], hint=hint)
    if folders and all(folder.name.lower() in SPLIT_NAMES for folder in folders):
        return Folder(kind="images", splits={folder.name: (folder,) for folder in folders})
    if folders or "images" in seen:
        return Folder(kind="images", splits={NO_SPLITS: (directory,)})
    data = [file for file, kind in zip(files, suffixes, strict=True) if kind]
    return Folder(kind="arrays" if "npz" in seen else "tables", splits=_by_split(data))


def read_image_folder(root: Path) -> tuple[ImageFolder, str]:
    """The images below `root`, their classes the folders right below it; and a sentence about them.

    Classes in natural order, files by class and then in natural order. Images right in `root` have no class.
    """
    folders, files = _visible(root)
    folders = [folder for folder in folders if folder.name != "__pycache__"]
    loose = [file for file in files if _is_image(file)]
    if loose:
        return ImageFolder(paths=loose, classes=None, class_names=None), "images without class folders"
    paths, classes, n_empty = [], [], 0
    for index, folder in enumerate(folders):
        found = sorted(filter(_is_image, folder.rglob("*")), key=lambda path: natural_order(path.as_posix()))
        paths += found
        classes += [index] * len(found)
        n_empty += not found
    names = tuple(folder.name for folder in folders)
    decision = "images in class folders" + (f", {n_empty} of them empty" if n_empty else "")
    return ImageFolder(paths=paths, classes=classes, class_names=names), decision


def _visible(directory: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files in natural order, without hidden ones."""
    entries = [entry for entry in directory.iterdir() if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: natural_order(entry.name))
    return [entry for entry in entries if entry.is_dir()], [entry for entry in entries if entry.is_file()]


def _kind(file: Path) -> str | None:
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "images"
    known = suffix in TABLE_SUFFIXES or suffix == ".npz"
    return suffix.removeprefix(".") if known and file.name not in DESCRIPTIONS else None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _holds_images(folder: Path) -> bool:
    return any(_is_image(path) for path in folder.rglob("*"))


def _by_split(files: Sequence[Path]) -> dict[str, list[Path]]:
    """test.parquet and test-00000-of-00002.parquet belong to test, where every file is named so."""
    names = [re.sub(r"-\d+-of-\d+$", "", file.stem) for file in files]
    if not all(name.lower() in SPLIT_NAMES for name in names):
        return {NO_SPLITS: list(files)}
    splits: dict[str, list[Path]] = {}
    for name, file in zip(names, files, strict=True):
        splits.setdefault(name, []).append(file)
    return splits


def _first_named(files: Sequence[Path], folders: Sequence[Path]) -> str:
    data = [file for file in files if _kind(file) not in (None, "images")]
    return (data or folders or files)[0].name


def _nothing(directory: Path, where: str) -> DataError:
    entries = sorted(entry.name for entry in directory.iterdir())
    if not entries:
        return DataError(f"the directory {where} is empty", hint="pass a directory that holds data")
    more = f", … {len(entries) - 5} more" if len(entries) > 5 else ""
    return DataError(
        f"{where} holds no data that can be read",
        details=[f"it holds {', '.join(entries[:5])}{more}"],
        hint="pass a data set saved with save_to_disk, a folder of class folders, or a "
        "jsonl, json, csv, tsv, parquet, arrow, npz or txt file",
    )
