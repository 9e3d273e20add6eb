"""torch.distributed.checkpoint directories: their pickle is read as data, and nothing in it is ever called."""

import io
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from tests.checkpoints.hand_made import whole
from torch.distributed.checkpoint import metadata as parts
from torch.distributed.checkpoint.filesystem import _StorageInfo

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.inert_pickle import read_inert
from forgetaudit.errors import CheckpointError, UnreadableCheckpoint, UnsafeCheckpoint


def saved(folder: Path, state: dict[str, Any]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(state, storage_writer=dcp.FileSystemWriter(folder))
    return folder


STATE = {
    "model": {
        "a.weight": torch.arange(32.0).reshape(8, 4),
        "turned": torch.arange(30.0).reshape(5, 6).T,
        "half": torch.arange(3).bfloat16(),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
    },
    "optimizer": {"state": {"a": torch.zeros(3)}},
    "step": 5,
}


def test_every_tensor_reads_as_it_was_saved(tmp_path: Path) -> None:
    with open_checkpoint(saved(tmp_path / "x", STATE)) as checkpoint:
        assert set(checkpoint.tensors) == {f"model.{name}" for name in STATE["model"]}
        for name, tensor in STATE["model"].items():
            info = checkpoint.tensors[f"model.{name}"]
            assert info.shape == tuple(tensor.shape)
            assert info.dtype == str(tensor.dtype).removeprefix("torch.")
            stored = tensor.contiguous().reshape(-1).view(torch.uint8)
            assert whole(checkpoint, f"model.{name}") == stored.numpy().tobytes()
        assert "left out" in checkpoint.notes[0]


def hand_made(
    folder: Path, pieces: dict[tuple[int, int], torch.Tensor], size: tuple[int, int], **where: Any
) -> Path:
    """A tensor `w` in several pieces, as ranks save it, by torch's own records."""
    folder.mkdir()
    storage, chunks = {}, []
    with (folder / "__0_0.distcp").open("wb") as file:
        for offset, tensor in pieces.items():
            data = io.BytesIO()
            torch.save(tensor, data)
            chunks.append(parts.ChunkStorageMetadata(torch.Size(offset), tensor.shape))
            index = parts.MetadataIndex("w", torch.Size(offset), len(chunks) - 1)
            said = {
                "relative_path": "__0_0.distcp",
                "offset": file.tell(),
                "length": len(data.getvalue()),
            } | where
            storage[index] = _StorageInfo(**said)
            file.write(data.getvalue())
    properties = parts.TensorProperties(dtype=torch.float32)
    described = parts.TensorStorageMetadata(properties, torch.Size(size), chunks)
    index_ = parts.Metadata(state_dict_metadata={"w": described}, storage_data=storage)
    (folder / ".metadata").write_bytes(pickle.dumps(index_))
    return folder


def test_pieces_of_several_ranks_are_put_together(tmp_path: Path) -> None:
    tensor = torch.randn(6, 5)
    cut = {(0, 0): tensor[:4, :2], (4, 0): tensor[4:, :2], (0, 2): tensor[:, 2:]}
    made = hand_made(tmp_path / "x", {place: part.contiguous() for place, part in cut.items()}, (6, 5))
    with open_checkpoint(made) as checkpoint:
        assert whole(checkpoint, "w") == tensor.numpy().tobytes()


@pytest.mark.parametrize(
    ("pieces", "where", "message"),
    [
        ({(0, 0): torch.ones(4, 5)}, {}, "do not fill it"),
        ({(0, 0): torch.ones(7, 5)}, {}, "lies outside of it"),
        ({(0, 0): torch.ones(6, 5)}, {"relative_path": "../elsewhere.distcp"}, "outside its folder"),
        ({(0, 0): torch.ones(6, 5)}, {"relative_path": "C:\\x.distcp"}, "outside its folder"),
        ({(0, 0): torch.ones(6, 5)}, {"length": 10**12}, "truncated"),
        ({(0, 0): torch.ones(6, 5)}, {"offset": -1}, "not where it is"),
        ({(0, 0): torch.ones(6, 5)}, {"transform_descriptors": ["zstd"]}, "compressed or encrypted"),
    ],
)
def test_an_index_that_lies_is_refused(
    tmp_path: Path, pieces: dict[tuple[int, int], torch.Tensor], where: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(hand_made(tmp_path / "x", pieces, (6, 5), **where))


def test_a_piece_that_is_something_else_than_the_index_says_is_refused(tmp_path: Path) -> None:
    made = hand_made(tmp_path / "x", {(0, 0): torch.ones(6, 5).double()}, (6, 5))
    with open_checkpoint(made) as checkpoint, pytest.raises(UnreadableCheckpoint, match="something else"):
        whole(checkpoint, "w")


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_that_would_run_code_is_named_and_not_run(tmp_path: Path) -> None:
    folder, marker = tmp_path / "x", tmp_path / "ran"
    folder.mkdir()
    (folder / ".metadata").write_bytes(pickle.dumps(Attack(marker)))
    with pytest.raises(UnsafeCheckpoint, match=r"(posix|nt)\.system"):
        open_checkpoint(folder)
    assert not marker.exists()
    pickle.loads((folder / ".metadata").read_bytes())
    assert marker.exists()


def test_allowed_names_are_not_called_either(tmp_path: Path) -> None:
    """An allow-listed class is a word here, whatever arguments it is given."""
    found = read_inert(b"\x80\x02ctorch\nSize\nK\x05\x85R.", {"torch.Size"}, tmp_path)
    assert type(found).__name__ == "Record"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x04N",
        b"\x80\x04h\x05.",
        b"\x80\x04)\x85" + b"\x85" * 5_000 + b".",
        b"\x80\x04" + b"(" * 100_000 + b".",
        b"\x80\x04X\xff\xff\xff\x7fabc.",
        b"\x80\x04]" + b"r\xff\xff\xff\x7f" + b".",
        b"\x80\x04\x8a\xff" + b"\x01" * 255 + b".",
        b"\x80\x04NN\x86NNs.",
    ],
)
def test_damaged_and_hostile_pickles_are_refused_at_once(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / ".metadata").write_bytes(data)
    with pytest.raises(CheckpointError):
        open_checkpoint(folder)


@pytest.mark.parametrize("opcode", [b"Pid\n", b"NQ", b"\x82\x01", b"\x96\xff\xff\xff\xff\xff\x00\x00\x00"])
def test_opcodes_beyond_plain_records_are_refused(tmp_path: Path, opcode: bytes) -> None:
    with pytest.raises(CheckpointError):
        read_inert(b"\x80\x05" + opcode + b".", set(), tmp_path)


def test_an_index_that_claims_terabytes_takes_no_memory(tmp_path: Path) -> None:
    vast = torch.empty(1).expand(1 << 20, 1 << 20)
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "__0_0.distcp").write_bytes(b"\0" * 100)
    chunk = parts.ChunkStorageMetadata(torch.Size((0, 0)), vast.shape)
    described = parts.TensorStorageMetadata(parts.TensorProperties(dtype=torch.float32), vast.shape, [chunk])
    where = _StorageInfo(relative_path="__0_0.distcp", offset=0, length=100)
    index = parts.Metadata(
        state_dict_metadata={"w": described},
        storage_data={parts.MetadataIndex("w", torch.Size((0, 0)), 0): where},
    )
    (folder / ".metadata").write_bytes(pickle.dumps(index))
    with pytest.raises(UnreadableCheckpoint, match="larger than its file"):
        open_checkpoint(folder)
