"""Safetensors files written byte by byte, so that a test can get any of them wrong."""

import json
import struct
from pathlib import Path


def entry(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def write(path: Path, header, data: bytes = b"\0" * 8, *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def whole(checkpoint, name: str) -> bytes:
    """All bytes of one tensor."""
    out = bytearray(checkpoint.tensors[name].n_bytes)
    checkpoint.read(name, 0, memoryview(out))
    return bytes(out)
