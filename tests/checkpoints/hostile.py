"""Opens whatever bytes it is given, as a user would, and reads all of it: refusing is right, anything else is not."""

import struct
from pathlib import Path

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import CheckpointError

# What a valid file can be turned into by a few bytes, is most of what an attacker would try.
SEEDS = (
    struct.pack("<Q", 66) + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'.ljust(66) + bytes(8),
    struct.pack("<Q", 130)
    + b'{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},'
    b'"b":{"dtype":"F4","shape":[2],"data_offsets":[8,9]}}'.ljust(130)[:130]
    + bytes(9),
    b'{"metadata":{},"weight_map":{"a":"model-0.safetensors"}}',
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(tR.",
    b"PK\x03\x04" + bytes(26) + b"archive/data.pkl",
    b"PK\x05\x06" + bytes(18),
    b"version https://git-lfs.github.com/spec/v1\n",
)


def opened(path: Path) -> bool:
    """Whether it opens as a checkpoint and reads to its end. Everything but CheckpointError gets through."""
    try:
        with open_checkpoint(path) as checkpoint:
            for name, info in checkpoint.tensors.items():
                buffer = memoryview(bytearray(min(info.n_bytes, 1 << 16)))
                for start in range(0, info.n_bytes, 1 << 16):
                    n_here = min(1 << 16, info.n_bytes - start)
                    checkpoint.read(name, start, buffer[:n_here])
    except CheckpointError as refusal:
        if not (refusal.fact and refusal.hint):
            raise AssertionError("a refusal without words") from refusal
        return False
    return True


def attacked(folder: Path, data: bytes) -> None:
    """The bytes as a file of each name, as an index, and as the index of a distributed checkpoint."""
    for name in ("model.safetensors", "model.pt", "model.safetensors.index.json"):
        (folder / name).write_bytes(data)
        opened(folder / name)
    distributed = folder / "distributed"
    distributed.mkdir(exist_ok=True)
    (distributed / ".metadata").write_bytes(data)
    opened(distributed)
