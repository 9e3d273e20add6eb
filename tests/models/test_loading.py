"""Weights enter strictly, parameters and buffers, and all that does not fit is said at once."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError
from forgetaudit.models.loading import Graft, LoadedState, load_state


def net(classes: int = 3) -> nn.Module:
    model = nn.Sequential()
    model.add_module("body", nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)))
    model.add_module("head", nn.Linear(5, classes))
    return model


def loaded(tmp_path: Path, model: nn.Module, state: dict[str, Tensor], **options: object) -> LoadedState:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    with open_checkpoint(tmp_path / "w.safetensors") as checkpoint:
        return load_state(model, checkpoint, dtype=torch.float32, device=torch.device("cpu"), **options)


HEAD = {"head.weight", "head.bias"}


def test_every_parameter_and_buffer_arrives_bit_for_bit(tmp_path: Path) -> None:
    state = net().state_dict()
    found = loaded(tmp_path, net(), state).state
    assert found.keys() == state.keys()
    assert all(
        torch.equal(found[name], state[name]) and found[name].dtype == state[name].dtype for name in state
    )


def test_weights_come_to_lie_on_aligned_memory(tmp_path: Path) -> None:
    found = loaded(tmp_path, net(), net().state_dict()).state
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found.values())


def test_floating_tensors_take_the_runs_dtype_and_counters_keep_theirs(tmp_path: Path) -> None:
    state = {k: v.bfloat16() if v.is_floating_point() else v for k, v in net().state_dict().items()}
    found = loaded(tmp_path, net(), state).state
    assert found["head.weight"].dtype == torch.float32
    assert found["body.1.num_batches_tracked"].dtype == torch.int64


def test_wrapped_names_are_matched_and_it_is_said(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in net().state_dict().items()}
    found = loaded(tmp_path, net(), state)
    assert found.steps
    assert found.model_names["module.head.weight"] == "head.weight"


def test_everything_that_does_not_fit_is_in_one_message(tmp_path: Path) -> None:
    state = net(classes=7).state_dict()
    state.pop("body.1.running_mean")
    state["extra.weight"] = torch.zeros(3)
    with pytest.raises(MismatchError) as refused:
        loaded(tmp_path, net(), state)
    said = str(refused.value)
    assert "missing in the file (1): body.1.running_mean" in said
    assert "in the file but not in the model (1): extra.weight" in said
    assert "head.weight [7, 5]" in said
    assert "head.bias [7]" in said


def test_only_a_head_may_be_grafted(tmp_path: Path) -> None:
    base = net().state_dict()
    found = loaded(tmp_path, net(), net(classes=7).state_dict(), graft=Graft(names=HEAD, base=base))
    assert set(found.grafted) == HEAD
    assert found.state["head.weight"] is base["head.weight"]
    headless = {k: v for k, v in base.items() if k not in HEAD}
    assert set(loaded(tmp_path, net(), headless, graft=Graft(names=HEAD, base=base)).grafted) == HEAD
    bodyless = {k: v for k, v in base.items() if k != "body.0.weight"}
    with pytest.raises(MismatchError):
        loaded(tmp_path, net(), bodyless, graft=Graft(names=HEAD, base=base))


def test_a_head_that_fits_is_grafted_only_on_request(tmp_path: Path) -> None:
    base, tuned = net().state_dict(), net().state_dict()
    assert loaded(tmp_path, net(), tuned, graft=Graft(names=HEAD, base=base)).grafted == ()
    found = loaded(tmp_path, net(), tuned, graft=Graft(names=HEAD, base=base, always=True))
    assert set(found.grafted) == HEAD
    assert torch.equal(found.state["head.weight"], base["head.weight"])


def test_one_name_of_tied_tensors_is_enough_and_two_missing_are_not(tmp_path: Path) -> None:
    model = nn.Module()
    model.embed, model.out = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
    model.out.weight = model.embed.weight
    assert "embed.weight" in loaded(tmp_path, model, {"embed.weight": torch.ones(6, 4)}).state
    with pytest.raises(MismatchError):
        loaded(tmp_path, model, {"other.weight": torch.ones(6, 4)})


def test_a_counter_of_batches_that_an_old_file_lacks_is_no_obstacle(tmp_path: Path) -> None:
    state = net().state_dict()
    state.pop("body.1.num_batches_tracked")
    assert "body.1.num_batches_tracked" in loaded(tmp_path, net(), state).state


def test_grafting_a_head_does_not_hide_what_lies_outside_it(tmp_path: Path) -> None:
    state = net(classes=7).state_dict() | {"block9.weight": torch.zeros(2)}
    with pytest.raises(MismatchError, match="does not fit the model") as refused:
        loaded(tmp_path, net(), state, graft=Graft(names=HEAD, base=net().state_dict()))
    assert "block9.weight" in str(refused.value)
    inside = net(classes=7).state_dict() | {"head.scale": torch.zeros(2)}
    assert (
        set(loaded(tmp_path, net(), inside, graft=Graft(names=HEAD, base=net().state_dict())).grafted) == HEAD
    )
