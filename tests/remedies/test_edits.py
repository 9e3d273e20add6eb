"""Edits: what is put in a slot, and directions of a matrix that are damped."""

import math

import numpy as np
import pytest
import torch
from tests.reference import remedies as reference
from torch import nn

from forgetaudit.engine.variants import Variant, make_variant, slots
from forgetaudit.models.layers import find_layers
from forgetaudit.remedies import intruders
from forgetaudit.remedies.depth import Depths, find_depths
from forgetaudit.remedies.edits import Replaced
from forgetaudit.remedies.remedy import Remedy, applied, change_of, moved_norms


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(20, 24)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(24, 24), nn.ReLU()) for _ in range(2))
        self.conv = nn.ModuleList(nn.Sequential(nn.Conv2d(24, 24, 3), nn.ReLU()) for _ in range(2))
        self.head = nn.Linear(24, 3)


def with_intruder(weight: torch.Tensor, size: float, seed: int) -> torch.Tensor:
    """A rank-one change along a random direction, of which every one of base's many has a small part."""
    generator = torch.Generator().manual_seed(seed)
    matrix = weight.flatten(1)
    left, right = (torch.randn(side, generator=generator) for side in matrix.shape)
    # Of random directions among 24, some are nearer than ε to one of base's: take one that is not.
    ours = torch.linalg.svd(matrix.double()).U.float()
    while (ours.T @ left / left.norm()).abs().max() > 0.4:
        left = torch.randn(len(left), generator=generator)
    return (matrix + size * torch.outer(left / left.norm(), right / right.norm())).reshape(weight.shape)


def pair(**moved: torch.Tensor) -> tuple[Net, Variant, Variant]:
    torch.manual_seed(0)
    model = Net()
    base = make_variant("base", model, model.state_dict())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, tensor in moved.items():
        state[name.replace("__", ".")] = tensor
    return model, base, make_variant("tuned", model, state, like=base)


def depths_of(model: nn.Module) -> Depths:
    return find_depths(slots(model), find_layers(model, most=99), [path for path, _ in model.named_modules()])


def intruded() -> tuple[Net, Variant, Variant]:
    _, base, _ = pair()
    return pair(
        blocks__0__0__weight=with_intruder(base.tensors["blocks.0.0.weight"].detach(), 3.0, 1),
        conv__1__0__weight=with_intruder(base.tensors["conv.1.0.weight"].detach(), 3.0, 2),
        stem__weight=with_intruder(base.tensors["stem.weight"].detach(), 3.0, 3),
    )


def test_planted_directions_are_found_in_blocks_and_only_there() -> None:
    model, base, tuned = intruded()
    moved = {"blocks.0.0.weight", "conv.1.0.weight", "stem.weight", "head.weight"}
    found = intruders.find(base, tuned, moved, depths_of(model))
    assert set(found.found) == {"blocks.0.0.weight", "conv.1.0.weight"}
    assert [len(one.values) for one in found.found.values()] == [1, 1]
    assert found.n_matrices == 2


@pytest.mark.parametrize("strength", intruders.LAMBDAS)
def test_damping_is_the_formula_direction_by_direction(strength: float) -> None:
    model, base, tuned = intruded()
    found = intruders.find(base, tuned, frozenset(base.tensors), depths_of(model))
    remedies = {one.name: one for one in intruders.damped(found)}
    made = applied(remedies[f"intruders {strength:g}"], base, tuned)
    for slot in ("blocks.0.0.weight", "conv.1.0.weight"):
        matrices = (side.tensors[slot].detach().double().flatten(1).numpy() for side in (tuned, base))
        expected = reference.damped(*matrices, strength=strength, top=10, epsilon=0.5)
        np.testing.assert_allclose(made.tensors[slot].detach().flatten(1).numpy(), expected, atol=1e-6)
    assert made.tensors["stem.weight"] is tuned.tensors["stem.weight"]


def test_a_small_change_of_many_directions_intrudes_nowhere() -> None:
    model, base, _ = pair()
    torch.manual_seed(4)
    _, base, tuned = pair(
        blocks__0__0__weight=base.tensors["blocks.0.0.weight"].detach() + 1e-3 * torch.randn(24, 24)
    )
    found = intruders.find(base, tuned, {"blocks.0.0.weight"}, depths_of(model))
    assert (found.found, found.n_matrices) == ({}, 1)
    assert list(intruders.damped(found)) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_matrices_that_are_not_finite_are_left_alone(value: float) -> None:
    model, base, tuned = pair(blocks__0__0__weight=torch.full((24, 24), value))
    assert intruders.find(base, tuned, {"blocks.0.0.weight"}, depths_of(model)).found == {}


def test_what_is_put_is_rounded_as_the_file_will_round_it() -> None:
    _, base, tuned = pair(head__bias=torch.ones(3))
    exact = torch.tensor([1.001, 2.0, 3.0], dtype=torch.float64)
    one = Remedy(name="one", family="stitch", strengths={}, edits={"head.bias": Replaced(exact)})
    made = applied(one, base, tuned, stored={"head.bias": torch.bfloat16})
    assert made.tensors["head.bias"].tolist() == [1.0, 2.0, 3.0]
    assert isinstance(made.tensors["head.bias"], nn.Parameter)
    assert applied(one, base, tuned).tensors["head.bias"].tolist() == pytest.approx([1.001, 2, 3])


def test_the_way_taken_back_counts_what_an_edit_makes() -> None:
    _, base, tuned = pair(head__bias=torch.ones(3))
    norms = moved_norms(base, tuned)
    before, after = (side.tensors["head.bias"].detach().double() for side in (base, tuned))
    for exact, expected in ((before, 1.0), (after, 0.0), (after + 2 * (before - after), 2.0)):
        one = Remedy(name="one", family="stitch", strengths={}, edits={"head.bias": Replaced(exact)})
        assert change_of(one, norms, base, tuned) == pytest.approx(expected, abs=1e-12)


def test_an_edit_is_made_on_the_mixture() -> None:
    model, base, tuned = intruded()
    found = intruders.find(base, tuned, frozenset(base.tensors), depths_of(model))
    (undamped,) = [one for one in intruders.damped(found) if one.name == "intruders 0.5"]
    mixed = Remedy(
        name="both", family="mixture", strengths=dict.fromkeys(base.tensors, 0.25), edits=undamped.edits
    )
    made = applied(mixed, base, tuned)
    slot = "blocks.0.0.weight"
    plain = 0.75 * base.tensors[slot].double() + 0.25 * tuned.tensors[slot].double()
    expected = undamped.edits[slot].made(plain.detach()).float()
    assert torch.equal(made.tensors[slot], expected)
