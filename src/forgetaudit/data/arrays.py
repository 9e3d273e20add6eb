"""NumPy archives → arrays with one row an example; what their headers claim is checked before memory is taken."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from forgetaudit.data.files import reading
from forgetaudit.errors import DataError, listing

__all__ = ["read_arrays"]

# What deflates by a hundred is a trap, or zeros; below a quarter of a gigabyte memory is no matter.
LARGE = 1 << 28
MOST_DEFLATED = 100
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(path: Path) -> tuple[Mapping[str, NDArray[np.generic]], Mapping[str, str]]:
    """The arrays of an .npz file, each with one row per example along its first dimension; and why others are none.

    DataError where arrays differ in length, or are larger than the file can hold.
    """
    unread: dict[str, str] = {}
    with reading(path):
        _check_headers(path)
        arrays = {}
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                held = file[name]
                if isinstance(held, np.ndarray) and held.ndim:
                    arrays[name] = held
                else:
                    unread[name] = "is one value, not a row for each example"
    if len({len(array) for array in arrays.values()}) > 1:
        shapes = [f"{name} {list(array.shape)}" for name, array in arrays.items()]
        hint = "store arrays with one row per example each"
        raise DataError(f"the arrays in {path.name} differ in length", details=[", ".join(shapes)], hint=hint)
    return arrays, unread


def _check_headers(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            if member.filename.endswith(".npy"):
                _check_header(archive, member)
    swollen = sum(member.file_size for member in members)
    if swollen > LARGE and swollen > MOST_DEFLATED * path.stat().st_size:
        names = [f"{member.filename} {member.file_size:,} bytes" for member in members]
        raise DataError(
            f"{path.name} has {path.stat().st_size:,} bytes and would take {swollen:,}",
            details=[listing("arrays", names)],
            hint="if it is yours, save it with np.savez, which does not compress",
        )


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """ValueError where the shape is not that of the bytes, which would otherwise be asked of memory first."""
    with archive.open(member) as file:
        read_header = HEADERS.get(npy.read_magic(file))
        if read_header is None:
            raise ValueError(f"{member.filename} has a header of an unknown version")
        shape, _, dtype = read_header(file)
        n_bytes = member.file_size - file.tell()
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != n_bytes:
        raise ValueError(f"{member.filename} claims the shape {list(shape)[:6]} and has {n_bytes:,} bytes")
