"""What a plain directory holds: class folders of images, or data files of one kind, perhaps in splits."""

import os
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
from forgetaudit.errors import DataError, listing
from forgetaudit.gaps import Gap, Notes
from forgetaudit.wording import counted, some

__all__ = ["NO_SPLITS", "Folder", "look_into", "read_image_folder"]

# The name of the only "split" of a directory that has none.
NO_SPLITS = ""

# What the Hub's tools leave beside the data.
DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json"})
# What operating systems and editors leave in any folder.
LEFTOVERS = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r", "__pycache__"})
# What lies beside images and is about them.
BESIDE_IMAGES = frozenset(
    {".txt", ".md", ".json", ".jsonl", ".csv", ".xml", ".yaml", ".yml", ".html", ".py", ".log"}
)
PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".7z", ".lz4"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """For every split the data files, or the folder that holds the class folders; `notes` say what else is there."""

    kind: Literal["images", "tables", "arrays"]
    splits: Mapping[str, Sequence[Path]]
    notes: Notes = ()


def look_into(directory: Path, where: str) -> Folder:
    """What kind of data `directory` holds. DataError where it is none, or more than one kind."""
    folders, files = _visible(directory)
    others = [folder for folder in folders if not _holds_images(folder)]
    folders = [folder for folder in folders if folder not in others]
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
        held = ", ".join(f"{kind} ({count})" for kind, count in seen.items())
        hint = f"name what is meant, such as --data {where.rstrip('/')}/{_first_named(files, folders)}"
        raise DataError(f"{where} holds more than one kind of data", details=[held], hint=hint)
    if folders and all(folder.name.lower() in SPLIT_NAMES for folder in folders):
        return Folder(kind="images", splits={folder.name: (folder,) for folder in folders})
    if folders or "images" in seen:
        return Folder(kind="images", splits={NO_SPLITS: (directory,)})
    data = [file for file, kind in zip(files, suffixes, strict=True) if kind]
    _refuse_unusable(data, where)
    notes = _notes_beside_tables([file for file in files if file not in data], others, where)
    return Folder(kind="arrays" if "npz" in seen else "tables", splits=_by_split(data, where), notes=notes)


def read_image_folder(root: Path) -> tuple[ImageFolder, Notes]:
    """The images below `root`, their classes the folders right below it; and sentences about them.

    Classes in natural order, files by class and then in natural order. Images right in `root` have no class.
    DataError naming what looks like an image and cannot be read as one: a link that leads nowhere, a folder.
    """
    folders, files = _visible(root)
    folders = [folder for folder in folders if folder.name.lower() not in LEFTOVERS]
    loose = [file for file in files if _named_as_image(file)]
    _refuse_unusable(loose, root.name)
    if loose:
        _refuse_mixed(root, loose, [folder for folder in folders if _holds_images(folder)])
        left = _refuse_strange_files(root, list(root.iterdir()))
        return ImageFolder(paths=loose, classes=None, class_names=None), (
            "images without class folders",
            *left,
        )
    paths, classes, n_empty = [], [], 0
    below = [entry for entry in root.iterdir() if entry not in folders]
    for index, folder in enumerate(folders):
        entries = sorted(folder.rglob("*"), key=lambda path: natural_order(path.as_posix()))
        found = [path for path in entries if _named_as_image(path)]
        _refuse_unusable(found, root.name)
        paths += found
        classes += [index] * len(found)
        n_empty += not found
        below += entries
    names = tuple(folder.name for folder in folders)
    decision = "images in class folders" + (f", {n_empty} of them empty" if n_empty else "")
    left = _refuse_strange_files(root, below)
    return ImageFolder(paths=paths, classes=classes, class_names=names), (decision, *left)


def _refuse_unusable(files: Sequence[Path], where: str) -> None:
    """A file that is passed over would leave a smaller data set, and nobody would know."""
    bad = [f"{_short(file)} ({why})" for file in files if (why := _unusable(file)) is not None]
    if bad:
        raise DataError(
            f"{len(bad):,} of {len(files):,} files of {where} cannot be read",
            details=[listing("files", bad, shown=3)],
            hint="restore them, or take them out of the folder",
        )


def _unusable(file: Path) -> str | None:
    if file.is_symlink() and not file.exists():
        return "a link that leads nowhere"
    if not file.is_file():
        return "a folder" if file.is_dir() else "not a regular file"
    if not os.access(file, os.R_OK):
        return "no permission"
    return "empty" if file.stat().st_size == 0 else None


def _refuse_mixed(root: Path, loose: Sequence[Path], folders: Sequence[Path]) -> None:
    if folders:
        raise DataError(
            f"{root.name} holds {counted(len(loose), 'image')} beside {counted(len(folders), 'folder')} of images",
            details=[f"such as {loose[0].name} and {folders[0].name}"],
            hint="move every image into the folder of its class",
        )


def _refuse_strange_files(root: Path, entries: Sequence[Path]) -> Notes:
    """Files that are no images: harmless ones are counted, DataError for what may hold examples."""
    files = [
        path for path in entries if not _named_as_image(path) and (not path.is_dir() or path.parent == root)
    ]
    harmless = [path for path in files if _hidden(path, root) or path.name.lower() in LEFTOVERS]
    beside = [path for path in files if path not in harmless and path.suffix.lower() in BESIDE_IMAGES]
    strange = [_short(path) for path in files if path not in harmless and path not in beside]
    if strange:
        raise DataError(
            f"{len(strange):,} files of {root.name} are of no kind of image that is read",
            details=[listing("files", strange, shown=3)],
            hint=f"convert them ({', '.join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))}), or move them away",
        )
    left = [*harmless, *beside]
    hidden_images = [
        path for path in harmless if path.suffix.lower() in IMAGE_SUFFIXES and path.name[:2] != "._"
    ]
    gap = (_files_not_read(hidden_images, root.name, "hidden images"),) if hidden_images else ()
    quiet = [path.name for path in left if path not in hidden_images]
    return (*((f"not read, as they are no images: {some(quiet)}",) if quiet else ()), *gap)


def _notes_beside_tables(files: Sequence[Path], folders: Sequence[Path], where: str) -> Notes:
    """DataError for packed data, which may be a part of these; a gap for folders; a sentence for the rest."""
    packed = [file.name for file in files if file.suffix.lower() in PACKED]
    if packed:
        raise DataError(
            f"{where} holds {counted(len(packed), 'packed file')} beside its data",
            details=[listing("files", packed, shown=3)],
            hint="unpack them, or take them out of the folder",
        )
    unread = [folder for folder in folders if any(_kind(path) for path in folder.rglob("*"))]
    gap = (_files_not_read(unread, where, "folders"),) if unread else ()
    return (
        *((f"not read, as they are no data: {some([file.name for file in files])}",) if files else ()),
        *gap,
    )


def _files_not_read(left: Sequence[Path], where: str, kind: str) -> Gap:
    return Gap(
        ident="files-not-read",
        what=f"{kind} of {where} were not read: {some([path.name for path in left])}",
        advice="name what is meant with --data, or take the rest out of the folder",
        holds="nothing",
        evidence={"n_left": len(left)},
    )


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _visible(directory: Path) -> tuple[list[Path], list[Path]]:
    """Folders and all else in natural order, without hidden ones."""
    entries = [entry for entry in directory.iterdir() if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: natural_order(entry.name))
    folders = [entry for entry in entries if entry.is_dir() and not _named_as_image(entry)]
    return folders, [entry for entry in entries if entry not in folders]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") or part.lower() in LEFTOVERS for part in path.relative_to(root).parts)


def _kind(file: Path) -> str | None:
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "images"
    known = suffix in TABLE_SUFFIXES or suffix == ".npz"
    return suffix.removeprefix(".") if known and file.name not in DESCRIPTIONS else None


def _named_as_image(path: Path) -> bool:
    """By its name alone: whether it can be read is for a refusal to say."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _holds_images(folder: Path) -> bool:
    return any(_named_as_image(path) for path in folder.rglob("*"))


def _by_split(files: Sequence[Path], where: str) -> dict[str, list[Path]]:
    """test.parquet and test-00000-of-00002.parquet belong to test, where every file is named so."""
    _refuse_missing_parts(files, where)
    names = [re.sub(r"-\d+-of-\d+$", "", file.stem) for file in files]
    if not all(name.lower() in SPLIT_NAMES for name in names):
        return {NO_SPLITS: list(files)}
    splits: dict[str, list[Path]] = {}
    for name, file in zip(names, files, strict=True):
        splits.setdefault(name, []).append(file)
    return splits


def _refuse_missing_parts(files: Sequence[Path], where: str) -> None:
    """A name such as test-00001-of-00003 says how many there are."""
    parts: dict[tuple[str, int], set[int]] = {}
    for file in files:
        if numbered := re.fullmatch(r"(.*)-(\d+)-of-(\d+)", file.stem):
            name, part, n_parts = numbered.groups()
            parts.setdefault((name, int(n_parts)), set()).add(int(part))
    for (name, n_parts), there in parts.items():
        if len(there) < n_parts:
            raise DataError(
                f"{where} holds {len(there):,} of the {n_parts:,} parts of {name}",
                hint="copy the missing parts beside them, or rename those that are all there is",
            )


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
