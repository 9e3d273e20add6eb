"""Who can have caused the loss."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from forgetaudit.audits.locate.parts import MOST_PLAYERS, find_players, find_stretches
from forgetaudit.engine.variants import make_variant
from forgetaudit.models.layers import find_layers


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)


class Net(nn.Module):
    def __init__(self, n_blocks: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.stem = nn.Linear(4, 4)
        self.blocks = nn.ModuleList([Block() for _ in range(n_blocks)])
        self.head = nn.Linear(4, 2)


def network(n_blocks: int = 3, *moved: str) -> Any:
    model = Net(n_blocks)
    state = model.state_dict()
    chosen = moved or tuple(state)
    tuned = {n: t + 1 if any(n.startswith(m) for m in chosen) else t.clone() for n, t in state.items()}
    base = make_variant("base", model, state)
    variants = (base, make_variant("tuned", model, tuned, like=base))
    return SimpleNamespace(skeleton=model, variants=variants, layers=find_layers(model))


def test_blocks_head_statistics_and_the_rest_play_and_share_every_tensor_that_moved() -> None:
    players = find_players(network(), ())
    assert [player.name for player in players] == [
        "stem", "blocks.0", "blocks.1", "blocks.2", "head", "running statistics", "rest",
    ]  # fmt: skip
    slots = [slot for player in players for slot in player.slots]
    assert sorted(slots) == sorted(Net(3).state_dict())
    assert all("running" in s or "num_batches" in s for s in players[-2].slots)
    assert players[-1].slots == {"scale"}


def test_only_what_moved_plays() -> None:
    assert [player.name for player in find_players(network(3, "blocks.1.linear"), ())] == ["blocks.1"]
    assert find_players(network(3, "nothing"), ()) == ()


def test_deep_networks_have_neighbouring_blocks_joined_and_lose_none() -> None:
    deep = network(60)
    players = find_players(deep, ())
    assert len(players) <= MOST_PLAYERS
    blocks = [player for player in players if player.kind == "block"]
    assert [name for player in blocks for name in player.layers] == [f"blocks.{i}" for i in range(60)]
    assert max(len(p.layers) for p in blocks) - min(len(p.layers) for p in blocks) <= 1
    assert blocks[0].name == "blocks.0 … blocks.2"


@pytest.mark.parametrize("end", ["bottom", "top"])
def test_ends_are_reset_with_their_running_statistics(end: str) -> None:
    found = network()
    stretches = [s for s in find_stretches(found, find_players(found, ())) if s.end == end]
    assert [len(stretch.layers) for stretch in stretches] == [1, 2, 3, 4]
    longest = stretches[-1]
    assert "blocks.2.norm.running_mean" in longest.slots
    assert ("head.weight" in longest.slots) is (end == "top")
    assert ("stem.weight" in longest.slots) is (end == "bottom")


def test_one_part_has_no_ends() -> None:
    found = network(3, "head")
    assert find_stretches(found, find_players(found, ())) == ()
