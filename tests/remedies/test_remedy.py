"""A remedy is one strength for each tensor: mixed in float64, integers never averaged, what is tied mixed once."""

import math

import pytest
import torch
from tests.reference import remedies as reference
from torch import nn

from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.remedies.remedy import Remedy, applied, change_of, mixed, moved_norms


def remedy(**strengths: float) -> Remedy:
    named = {name.replace("__", "."): value for name, value in strengths.items()}
    return Remedy(name="one", family="mixture", strengths=named)


def pair(model: nn.Module) -> tuple[Variant, Variant]:
    base = make_variant("base", model, model.state_dict())
    torch.manual_seed(1)
    moved: dict[int, torch.Tensor] = {}
    state = {}
    for name, tensor in model.state_dict().items():
        # What is tied stays tied.
        state[name] = moved.setdefault(tensor.data_ptr(), tensor + torch.randn_like(tensor))
    return base, make_variant("tuned", model, state, like=base)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_mixture_is_mergekits_linear_in_float64_rounded_once(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    base, tuned = torch.randn(7, 5).to(dtype), torch.randn(7, 5).to(dtype)
    for alpha in (0.1, 0.5, 0.9):
        expected = reference.linear(
            base.double().flatten().tolist(), tuned.double().flatten().tolist(), alpha
        )
        found = mixed(base, tuned, alpha)
        assert found.dtype is dtype
        assert torch.equal(found.flatten(), torch.tensor(expected, dtype=torch.float64).to(dtype))


def test_the_ends_are_the_checkpoints_themselves_bit_for_bit() -> None:
    base, tuned = torch.tensor([-0.0, 1e-45, math.inf]), torch.tensor([0.0, math.nan, 1.0])
    assert mixed(base, tuned, 1.0) is tuned
    assert mixed(base, tuned, 0.0).view(torch.int32).tolist() == base.view(torch.int32).tolist()


def test_integers_are_never_averaged() -> None:
    base, tuned = torch.tensor([10]), torch.tensor([21])
    assert [mixed(base, tuned, strength).item() for strength in (0.0, 0.3, 1.0)] == [10, 21, 21]


def test_base_is_taken_in_tuneds_type() -> None:
    found = mixed(torch.tensor([1.001]), torch.tensor([2.0], dtype=torch.bfloat16), 0.0)
    assert found.dtype is torch.bfloat16
    assert found.item() == 1.0


def test_what_will_be_rounded_in_the_file_is_rounded_before_it_is_judged() -> None:
    base, tuned = torch.tensor([1.0]), torch.tensor([1.01])
    found = mixed(base, tuned, 0.5, torch.bfloat16)
    assert found.dtype is torch.float32
    assert found.item() == torch.tensor(1.005).bfloat16().item()


def test_tensors_longer_than_a_chunk_are_mixed_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgetaudit.remedies.remedy._CHUNK", 3)
    base, tuned = torch.zeros(8), torch.arange(8.0)
    assert mixed(base, tuned, 0.5).tolist() == [0.5 * value for value in range(8)]


def test_only_what_lies_between_takes_new_memory() -> None:
    base, tuned = pair(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    found = applied(remedy(**{"0__weight": 0.0, "1__weight": 0.5}), base, tuned)
    assert found.tensors["0.weight"] is base.tensors["0.weight"]
    assert found.tensors["0.bias"] is tuned.tensors["0.bias"]
    assert found.tensors["1.weight"] is not tuned.tensors["1.weight"]
    assert isinstance(found.tensors["1.weight"], nn.Parameter)


def test_tied_tensors_are_mixed_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    base, tuned = pair(model)
    found = applied(remedy(**{"0__weight": 0.5, "1__weight": 0.5}), base, tuned)
    assert found.tensors["0.weight"] is found.tensors["1.weight"]


def test_the_way_taken_back_is_none_for_tuned_and_all_for_base() -> None:
    base, tuned = pair(nn.Linear(4, 4))
    norms = moved_norms(base, tuned)
    assert change_of(remedy(), norms, base, tuned) == 0
    assert change_of(remedy(weight=0.0, bias=0.0), norms, base, tuned) == 1
    assert change_of(remedy(weight=0.7, bias=0.7), norms, base, tuned) == pytest.approx(0.3)
    assert change_of(remedy(), {}, base, tuned) == 0


def test_what_is_not_finite_counts_nowhere_in_the_way_taken_back() -> None:
    model = nn.Linear(4, 4)
    base = make_variant("base", model, model.state_dict())
    state = {"weight": torch.full((4, 4), math.nan), "bias": model.bias.detach() + 1}
    tuned = make_variant("tuned", model, state, like=base)
    norms = moved_norms(base, tuned)
    assert set(norms) == {"bias"}
    assert change_of(remedy(weight=0.0), norms, base, tuned) == 0
    assert change_of(remedy(weight=0.0, bias=0.5), norms, base, tuned) == pytest.approx(0.5)
