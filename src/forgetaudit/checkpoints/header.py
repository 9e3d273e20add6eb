"""The header of a safetensors file, checked before any of it is used.

A file is 8 bytes with the header's length (little endian), the header (JSON: name -> dtype, shape, data_offsets,
and text under __metadata__), and the tensors' bytes without holes, overlaps or anything after them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, TensorInfo
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.checkpoints.strict_json import parse_object
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["LENGTH_BYTES", "MAX_HEADER_BYTES", "MAX_TENSORS", "Header", "read_header"]

LENGTH_BYTES = 8
# Real headers are below 1 MB. A header of 68 MB with a million empty tensors takes a minute and a gigabyte.
MAX_HEADER_BYTES = 32 << 20
MAX_TENSORS = 200_000

_DTYPES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F6_E2M3": "float6_e2m3",
    "F6_E3M2": "float6_e3m2",
    "F4": "float4_e2m1",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}

_COPY_AGAIN = "copy or download the file again; if it is still being written, wait"
_WRITE_AGAIN = "write the file again with the safetensors library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The tensors in file order, where each begins in the file (bytes), and the file's text about itself."""

    tensors: Mapping[str, TensorInfo]
    starts: Mapping[str, int]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    info: TensorInfo
    begin: int
    end: int


def read_header(file: RegularFile) -> Header:
    """Read and check the header. Raises UnreadableCheckpoint naming what is wrong and where."""
    n_header = _header_length(file)
    parsed = parse_object(file.read(LENGTH_BYTES, n_header), file.path, "header")
    metadata = _metadata(parsed.pop("__metadata__", {}), file.path)
    if len(parsed) > MAX_TENSORS:
        raise _refused(file.path, f"its header names {len(parsed):,} tensors, more than {MAX_TENSORS:,}")
    entries = [_entry(name, described, file.path) for name, described in parsed.items()]
    entries.sort(key=lambda entry: (entry.begin, entry.end))
    data_start = LENGTH_BYTES + n_header
    _check_layout(entries, file.size - data_start, file.path)
    return Header(
        tensors={entry.info.name: entry.info for entry in entries},
        starts={entry.info.name: data_start + entry.begin for entry in entries},
        metadata=metadata,
    )


def _header_length(file: RegularFile) -> int:
    if file.size < LENGTH_BYTES:
        raise _refused(file.path, f"it ends after {file.size} bytes, before its header", _COPY_AGAIN)
    n_header = int.from_bytes(file.read(0, LENGTH_BYTES), "little")
    if n_header > MAX_HEADER_BYTES:
        raise _refused(
            file.path, f"it announces a header of {n_header:,} bytes, more than {MAX_HEADER_BYTES:,}"
        )
    if n_header > file.size - LENGTH_BYTES:
        raise UnreadableCheckpoint(
            f"{file.path} is truncated: its header needs {n_header + LENGTH_BYTES:,} bytes, it has {file.size:,}",
            hint=_COPY_AGAIN,
        )
    return n_header


def _metadata(found: object, path: Path) -> dict[str, str]:
    if not isinstance(found, dict):
        raise _refused(path, "__metadata__ is not a JSON object")
    wrong = [key for key, value in found.items() if not isinstance(value, str)]
    if wrong:
        raise _refused(path, f"__metadata__ holds something else than text under {wrong[0]!r}")
    return found


def _entry(name: str, described: object, path: Path) -> _Entry:
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "data_offsets"}:
        raise _refused(path, f"tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype = _dtype(name, described["dtype"], path)
    shape = _counts(described["shape"])
    offsets = _counts(described["data_offsets"])
    if shape is None:
        raise _refused(path, f"tensor {name!r} has a shape that is not a list of counts")
    if offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _refused(path, f"tensor {name!r} has data_offsets that are not a begin and an end")
    begin, end = offsets
    n_bits = math.prod(shape) * DTYPE_BITS[dtype]
    if n_bits != (end - begin) * 8:
        raise _refused(path, f"tensor {name!r} needs {n_bits / 8:,.0f} bytes and is given {end - begin:,}")
    return _Entry(TensorInfo(name=name, dtype=dtype, shape=shape, n_bytes=end - begin), begin, end)


def _dtype(name: str, tag: object, path: Path) -> str:
    if not isinstance(tag, str) or tag not in _DTYPES:
        raise _refused(
            path, f"tensor {name!r} has the unknown dtype {tag!r}", "update forgetaudit, or " + _WRITE_AGAIN
        )
    return _DTYPES[tag]


def _counts(found: object) -> tuple[int, ...] | None:
    # bool is an int to Python and not to the format; 2**63 keeps the arithmetic of hostile shapes short.
    if not isinstance(found, list) or len(found) > 64:
        return None
    if not all(type(item) is int and 0 <= item < 1 << 63 for item in found):
        return None
    return tuple(found)


def _check_layout(entries: list[_Entry], n_data: int, path: Path) -> None:
    here, before = 0, "the header"
    for entry in entries:
        name = entry.info.name
        if entry.begin < here:
            raise _refused(path, f"tensor {name!r} overlaps {before}")
        if entry.begin > here:
            raise _refused(path, f"{entry.begin - here:,} bytes before tensor {name!r} belong to no tensor")
        here, before = entry.end, f"tensor {name!r}"
    if here > n_data:
        raise UnreadableCheckpoint(
            f"{path} is truncated: its tensors need {here:,} bytes, it has {n_data:,}", hint=_COPY_AGAIN
        )
    if here < n_data:
        raise _refused(path, f"{n_data - here:,} bytes follow its last tensor")


def _refused(path: Path, what: str, hint: str = _WRITE_AGAIN) -> UnreadableCheckpoint:
    return UnreadableCheckpoint(f"{path} is not a valid safetensors file: {what}", hint=hint)
