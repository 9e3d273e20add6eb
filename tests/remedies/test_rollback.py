"""Variants that take some of their tensors from another."""

import pytest
import torch
from torch import nn

from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.remedies.rollback import combined, moved_slots, tied_in_all, tied_slots


def pair(model: nn.Module, *moved: str) -> tuple[Variant, Variant]:
    base = make_variant("base", model, model.state_dict())
    state = {
        name: tensor + 1 if name in moved else tensor.clone() for name, tensor in model.state_dict().items()
    }
    return base, make_variant("tuned", model, state, like=base)


def tied_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def test_only_what_is_rolled_back_comes_from_base_and_nothing_is_copied() -> None:
    base, tuned = pair(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), "0.weight", "1.weight")
    found = combined("one", tuned, base, ["0.weight"])
    assert found.name == "one"
    assert found.tensors["0.weight"] is base.tensors["0.weight"]
    assert found.tensors["1.weight"] is tuned.tensors["1.weight"]


def test_all_rolled_back_is_base() -> None:
    base, tuned = pair(nn.Linear(3, 3), "weight", "bias")
    assert dict(combined("all", tuned, base, moved_slots(base, tuned)).tensors) == dict(base.tensors)


def test_a_slot_that_is_not_there_is_refused() -> None:
    base, tuned = pair(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="no tensor wight"):
        combined("none", tuned, base, ["wight"])


def test_what_did_not_change_by_a_bit_has_not_moved() -> None:
    base, tuned = pair(nn.Linear(3, 3), "bias")
    assert moved_slots(base, tuned) == {"bias"}


def test_tied_tensors_go_together_and_others_do_not() -> None:
    base, tuned = pair(tied_model(), "0.weight", "1.weight")
    ties = tied_slots(base, tuned)
    assert ties["0.weight"] == ties["1.weight"] == {"0.weight", "1.weight"}
    assert ties["0.bias"] == {"0.bias"}


def test_what_a_fine_tune_untied_still_goes_together() -> None:
    base, tuned = pair(tied_model(), "0.weight")
    assert not torch.equal(tuned.tensors["0.weight"], tuned.tensors["1.weight"])
    assert tied_slots(base, tuned)["1.weight"] == {"0.weight", "1.weight"}


def test_what_only_one_of_two_ties_may_go_apart() -> None:
    base, _ = pair(tied_model(), "0.weight", "1.weight")
    apart = Variant(name="apart", tensors=dict(base.tensors) | {"1.weight": torch.zeros(3, 3)})
    assert tied_slots(base, apart)["0.weight"] == {"0.weight", "1.weight"}
    assert tied_in_all(base, apart)["0.weight"] == {"0.weight"}
    assert tied_in_all(base, base)["0.weight"] == tied_slots(base)["0.weight"]
