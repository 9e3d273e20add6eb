"""The families: what each one leaves of fine-tuning, by depth and by part, on networks as they are."""

import pytest
import torch
from tests.reference import remedies as reference
from torch import nn

from forgetaudit.engine.variants import make_variant, slots
from forgetaudit.models.layers import find_layers
from forgetaudit.remedies import families
from forgetaudit.remedies.depth import Depths, find_depths
from forgetaudit.remedies.rollback import tied_slots


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.map = nn.Linear(4, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(2, 4)
        self.blocks = nn.ModuleList(Block() for _ in range(4))
        self.head = nn.Linear(4, 3)


def depths_of(model: nn.Module) -> Depths:
    return find_depths(
        slots(model), find_layers(model, most=1000), [path for path, _ in model.named_modules()]
    )


@pytest.mark.parametrize(("alpha", "beta"), families.RAMPS)
def test_a_ramp_is_the_formula_of_lines(alpha: float, beta: float) -> None:
    ramps = dict(zip(families.RAMPS, families.ramps(depths_of(Net())), strict=True))
    expected = reference.lines(alpha, beta, n_blocks=4)
    found = ramps[alpha, beta]
    assert [found.strength(f"blocks.{number}.map.weight") for number in range(4)] == pytest.approx(expected)
    assert found.strength("stem.weight") == pytest.approx(expected[0])
    assert found.strength("head.weight") == pytest.approx(expected[-1])


def test_one_block_has_no_ramp() -> None:
    assert families.ramps(Depths(part={}, stage={}, depth={}, n_blocks=1, buffers=frozenset())) == ()


def test_mixtures_lie_between_base_and_tuned_which_are_known_already() -> None:
    found = families.mixtures(["a", "b"])
    assert [one.strength("a") for one in found] == pytest.approx([0.1 * step for step in range(1, 10)])
    assert {one.family for one in found} == {"mixture"}
    assert families.mixtures(["a"], family="adapter")[4].name == "adapter 0.5"


def test_a_rollback_takes_a_part_whole_and_nothing_else() -> None:
    depths = depths_of(Net())
    found = families.rollback(["blocks.2"], depths)
    assert all(
        found.strength(slot) == (0.0 if slot.startswith("blocks.2.") else 1.0) for slot in slots(Net())
    )


def test_buffers_are_what_no_optimizer_moves_and_the_head_is_the_head() -> None:
    depths = depths_of(Net())
    rolled = {slot for slot, strength in families.buffers(depths).strengths.items() if strength == 0}
    assert rolled == {name for name, _ in Net().named_buffers()}
    assert set(families.head(depths).strengths) == {"head.weight", "head.bias"}


def test_what_is_shared_has_the_strength_of_its_first_slot() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    base = make_variant("base", model, model.state_dict())
    one = families.Remedy(name="one", family="rollback", strengths={"1.weight": 0.0, "1.bias": 0.0})
    found = families.tied_together(one, tied_slots(base), list(base.tensors))
    assert found.strength("1.weight") == found.strength("0.weight") == 1.0
    assert found.strength("1.bias") == 0.0


def test_a_tensor_outside_every_layer_goes_with_the_layer_before_it() -> None:
    model = Net()
    model.register_parameter("scale", nn.Parameter(torch.ones(1)))
    assert depths_of(model).part["scale"] == "stem"
