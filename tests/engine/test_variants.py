"""Variants: complete, interned to the bit, in the memory that kernels like."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.engine import nets
from tests.reference.plain_passes import plain_outputs
from torch import Tensor, nn

from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import make_variant, slots
from forgetaudit.errors import MismatchError, ModelError


def outputs(skeleton, variants, batch):
    (step,) = Stream(skeleton, variants).run([batch])
    return step.outputs


def test_slots_are_every_tensor_tied_names_and_non_persistent_buffers_included():
    skeleton = nets.Transformer(tied=True)
    found = slots(skeleton)
    assert found["head.weight"].tensor is found["embed.weight"].tensor
    assert set(found) == {*skeleton.state_dict(), "position"}
    assert not found["position"].is_persistent
    assert not found["position"].is_parameter


def test_a_tied_name_missing_from_the_checkpoint_takes_its_twins_tensor():
    skeleton = nets.build("tied")
    tuned = nets.tune(skeleton, ["embed."])
    state = tuned.state_dict()
    for missing in ("head.weight", "embed.weight"):
        partial = {name: tensor for name, tensor in state.items() if name != missing}
        variant = make_variant("tuned", skeleton, partial)
        assert variant.tensors["head.weight"] is variant.tensors["embed.weight"]
        batch = nets.batch(nets.tokens())
        expected = plain_outputs(tuned, [(batch.args, {})], 0)[0]
        assert torch.equal(outputs(skeleton, [variant], batch)["tuned"], expected)


def test_a_fine_tune_that_untied_its_head_is_expressed_on_a_tied_skeleton():
    skeleton, untied = nets.build("tied"), nets.Transformer().eval()
    variant = make_variant("tuned", skeleton, untied.state_dict())
    assert variant.tensors["head.weight"] is not variant.tensors["embed.weight"]
    untied.position = skeleton.position
    batch = nets.batch(nets.tokens())
    expected = plain_outputs(untied, [(batch.args, {})], 0)[0]
    assert torch.equal(outputs(skeleton, [variant], batch)["tuned"], expected)


def test_non_persistent_buffers_are_the_skeletons():
    skeleton = nets.build("transformer")
    variant = make_variant("base", skeleton, skeleton.state_dict())
    assert torch.equal(variant.tensors["position"], skeleton.position)


def with_weight(model: nn.Module, change) -> dict[str, Tensor]:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["fc.weight"] = change(state["fc.weight"])
    return state


def test_bit_identical_tensors_are_one_object_also_with_nan():
    skeleton = nets.build("conv")

    def poison(weight: Tensor) -> Tensor:
        weight[0, 0] = torch.nan
        return weight

    base = make_variant("base", skeleton, with_weight(skeleton, poison))
    tuned = make_variant("tuned", skeleton, with_weight(skeleton, poison), like=base)
    assert all(tuned.tensors[name] is base.tensors[name] for name in base.tensors)


def test_minus_zero_is_not_zero_and_another_nan_is_not_this_one():
    skeleton = nets.build("conv")

    def variant(name, like=None, **bits):
        def change(weight: Tensor) -> Tensor:
            weight.view(torch.int32)[0, 0] = bits["as_integer"]
            return weight

        return make_variant(name, skeleton, with_weight(skeleton, change), like=like)

    for one, other in ((0, -(2**31)), (0x7FC00000, 0x7FC00001)):
        base = variant("base", as_integer=one)
        tuned = variant("tuned", like=base, as_integer=other)
        assert tuned.tensors["fc.weight"] is not base.tensors["fc.weight"]
        assert tuned.tensors["fc.bias"] is base.tensors["fc.bias"]


def test_one_changed_bit_anywhere_is_noticed():
    skeleton = nn.Linear(64, 65)
    base = make_variant("base", skeleton, skeleton.state_dict())
    for place in (0, 1, 2079, 4158, 4159):
        state = {name: tensor.clone() for name, tensor in skeleton.state_dict().items()}
        state["weight"].view(-1).view(torch.int32)[place] ^= 1
        tuned = make_variant("tuned", skeleton, state, like=base)
        assert tuned.tensors["weight"] is not base.tensors["weight"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.bool])
def test_tensors_keep_their_dtype_and_are_interned_in_it(dtype):
    skeleton = nn.Module()
    skeleton.register_buffer("x", torch.zeros(3, 4))
    state = {"x": torch.ones(3, 4).to(dtype)}
    base = make_variant("base", skeleton, state)
    tuned = make_variant("tuned", skeleton, {"x": state["x"].clone()}, like=base)
    assert base.tensors["x"].dtype == dtype
    assert tuned.tensors["x"] is base.tensors["x"]


def test_unaligned_and_transposed_checkpoint_tensors_get_aligned_memory_and_the_skeletons_strides(tmp_path):
    skeleton = nets.build("transformer")
    save_file(skeleton.state_dict(), tmp_path / "base.safetensors")
    state = load_file(tmp_path / "base.safetensors")
    state["blocks.0.up.weight"] = state["blocks.0.up.weight"].t().contiguous().t()
    variant = make_variant("base", skeleton, state)
    for name, tensor in variant.tensors.items():
        assert tensor.data_ptr() % 64 == 0
        assert tensor.stride() == slots(skeleton)[name].tensor.stride()
        assert torch.equal(tensor, slots(skeleton)[name].tensor)


def test_parameters_stay_parameters_and_learn_or_not_as_the_skeletons():
    skeleton = nets.build("conv")
    skeleton.fc.weight.requires_grad_(False)
    variant = make_variant("base", skeleton, skeleton.state_dict())
    assert isinstance(variant.tensors["fc.weight"], nn.Parameter)
    assert not variant.tensors["fc.weight"].requires_grad
    assert variant.tensors["fc.bias"].requires_grad
    assert not isinstance(variant.tensors["bn.running_mean"], nn.Parameter)


def test_a_state_that_does_not_fit_is_refused_with_the_names():
    skeleton = nets.build("conv")
    state = dict(skeleton.state_dict())
    del state["conv.weight"]
    state["more"] = torch.zeros(1)
    state["fc.bias"] = torch.zeros(7)
    with pytest.raises(MismatchError) as refusal:
        make_variant("tuned", skeleton, state)
    message = str(refusal.value)
    assert "the tensors of tuned do not fit the model" in message
    assert "missing (1): conv.weight" in message
    assert "unknown to the model (1): more" in message
    assert "of another shape (1): fc.bias (7,) for (5,)" in message


def test_one_module_under_two_names_cannot_have_two_weights():
    skeleton = nn.Module()
    skeleton.a = skeleton.b = nn.Linear(3, 3)
    make_variant("base", skeleton, skeleton.state_dict())
    with pytest.raises(MismatchError, match=r"one tensor in the model, two in the checkpoint"):
        make_variant("tuned", skeleton, {**skeleton.state_dict(), "b.weight": torch.zeros(3, 3)})


class KeepsWeightInAList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 4)
        self.weights = [self.embed.weight]

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embed(tokens) @ self.weights[0].t()


def test_a_weight_that_also_hangs_in_a_list_is_exchanged_there_too():
    skeleton = KeepsWeightInAList()
    state = {"embed.weight": torch.randn(20, 4)}
    batch = nets.batch(nets.tokens())
    found = outputs(skeleton, [make_variant("tuned", skeleton, state)], batch)["tuned"]
    assert torch.equal(found, state["embed.weight"][batch.args[0]] @ state["embed.weight"].t())
    assert skeleton.weights[0] is skeleton.embed.weight


@pytest.mark.parametrize("keep", [lambda weight: weight.detach().t(), lambda weight: (weight,)])
def test_a_weight_kept_where_it_cannot_be_exchanged_is_refused(keep):
    skeleton = nets.between(nn.Linear(12, 12))
    skeleton[2].kept = keep(skeleton[2].weight)
    with pytest.raises(ModelError, match=r"module '2' keeps 2.weight a second time, as 'kept'"):
        slots(skeleton)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_scripted_module_is_refused():
    with pytest.raises(ModelError, match="TorchScript"):
        slots(torch.jit.script(nn.Linear(2, 2)))
