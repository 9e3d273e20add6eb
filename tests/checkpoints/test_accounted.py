"""Every tensor of a file is among those that are read, or named as one that is not: whichever reader opens it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import Tensor

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.gaps import gaps_in

Put = Callable[[Path], Path]


def weights() -> dict[str, Tensor]:
    return {"stem.weight": torch.randn(4, 4), "body.weight": torch.randn(4, 4), "__x": torch.randn(4, 3)}


def plain(path: Path) -> Path:
    save_file(weights(), path / "a.safetensors", metadata={"__note": "text"})
    return path / "a.safetensors"


def in_torch(**others: Any) -> Put:
    def put(path: Path) -> Path:
        torch.save(weights() | others, path / "a.pt")
        return path / "a.pt"

    return put


def under(key: str, **others: Any) -> Put:
    def put(path: Path) -> Path:
        torch.save({key: weights(), **others}, path / "a.pt")
        return path / "a.pt"

    return put


def numbered(path: Path) -> Path:
    torch.save({**weights(), 0: torch.randn(3, 3)}, path / "a.pt")
    return path / "a.pt"


def sharded(path: Path) -> Path:
    save_file({"stem.weight": torch.randn(4, 4)}, path / "model-00001-of-00002.safetensors")
    rest = {"body.weight": torch.randn(4, 4), "__x": torch.randn(4, 3), "forgotten.weight": torch.randn(2, 2)}
    save_file(rest, path / "model-00002-of-00002.safetensors")
    index = dict.fromkeys(("body.weight", "__x"), "model-00002-of-00002.safetensors")
    index["stem.weight"] = "model-00001-of-00002.safetensors"
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return path


def distributed(path: Path) -> Path:
    dcp.save({**weights(), "optimal.weight": torch.randn(2, 2)}, checkpoint_id=path / "dcp", no_dist=True)
    return path / "dcp"


# What is put into a file, and what of it nobody can read as weights of the network.
READERS: dict[str, tuple[Put, tuple[str, ...]]] = {
    "safetensors": (plain, ()),
    "torch": (in_torch(), ()),
    "a nested set": (in_torch(head={"weight": torch.randn(4, 4)}), ("head",)),
    "a deeper set": (in_torch(parts={"head": {"weight": torch.randn(4, 4)}}), ("parts",)),
    "a list": (in_torch(layers=[torch.randn(4, 4)]), ("layers",)),
    "a number for a name": (numbered, ("0",)),
    "a target network": (in_torch(target_net={"weight": torch.randn(4, 4)}), ("target_net",)),
    "a trained head": (under("model", trained_head={"weight": torch.randn(4, 4)}), ("trained_head",)),
    "a tensor beside the set": (under("state_dict", head=torch.randn(4, 4)), ("head",)),
    "a list beside the set": (under("state_dict", towers=[torch.randn(4, 4)]), ("towers",)),
    "shards": (sharded, ("forgotten.weight",)),
    "distributed": (distributed, ()),
}  # fmt: skip


def unaccounted(opened: Checkpoint, left: tuple[str, ...]) -> Iterator[str]:
    """What was put in, is not read, and is not named by a gap that holds rules back."""
    said = " ".join(str(gap) for gap in gaps_in(opened.notes) if gap.holds != "nothing")
    yield from (name for name in weights() if name not in opened.tensors)
    yield from (name for name in left if name not in said)


@pytest.mark.parametrize("reader", READERS)
def test_every_tensor_is_read_or_named(reader: str, tmp_path: Path) -> None:
    put, left = READERS[reader]
    with open_checkpoint(put(tmp_path)) as opened:
        assert list(unaccounted(opened, left)) == []


def test_a_module_that_begins_as_optimizers_do_is_read(tmp_path: Path) -> None:
    with open_checkpoint(distributed(tmp_path)) as opened:
        assert "optimal.weight" in opened.tensors


def test_the_walk_can_fail(tmp_path: Path) -> None:
    class Silent:
        """A reader that drops what it does not know."""

        def __init__(self) -> None:
            self.tensors = {"stem.weight": None}
            self.notes = ("left out, as no tensors: head",)

    found = list(unaccounted(Silent(), ("head",)))  # type: ignore[arg-type]
    assert found == ["body.weight", "__x", "head"]


@pytest.mark.parametrize(
    "kept",
    [
        {"optimizer": {"state": {0: {"exp_avg": torch.randn(4)}}, "param_groups": []}},
        {"rng_state": torch.zeros(8, dtype=torch.uint8)},
        {"lr_scheduler": {"last": [torch.randn(2)]}},
        {"epoch": torch.tensor(3), "best": 0.5},
        {"args": {"a": 1}, "train_loss": 0.1},
    ],
)
def test_what_training_keeps_beside_weights_is_no_gap(kept: dict[str, Any], tmp_path: Path) -> None:
    for put in (under("state_dict", **kept), in_torch(**{k: v for k, v in kept.items() if k != "epoch"})):
        with open_checkpoint(put(tmp_path)) as opened:
            assert gaps_in(opened.notes) == ()
