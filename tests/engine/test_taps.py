"""Features: pooled as the layer returned them, or refused by name."""

from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from tests.engine import nets
from torch import Tensor, nn

from forgetaudit.engine.pooling import pool
from forgetaudit.engine.stream import Stream
from forgetaudit.errors import ModelError, UsageError
from forgetaudit.values import NotMeasured


def test_maps_are_averaged_over_positions():
    maps = torch.randn(3, 4, 5, 6)
    assert torch.allclose(pool(maps, "mean", 3, None), maps.mean((2, 3)))


def test_tokens_are_averaged_over_real_ones():
    hidden, mask = torch.randn(2, 4, 3), torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]])
    expected = torch.stack([hidden[0, :2].mean(0), hidden[1, 1:].mean(0)])
    assert torch.allclose(pool(hidden, "mean", 2, mask), expected)


def test_padding_may_hold_nan():
    hidden, mask = torch.ones(2, 3, 4), torch.tensor([[True, True, False], [True, True, True]])
    hidden[0, 2] = torch.nan
    assert torch.equal(pool(hidden, "mean", 2, mask), torch.ones(2, 4))


def test_a_nan_at_a_real_token_stays():
    hidden, mask = torch.ones(2, 3, 4), torch.ones(2, 3)
    hidden[0, 2] = torch.nan
    features = pool(hidden, "mean", 2, mask)
    assert features[0].isnan().all()
    assert torch.equal(features[1], torch.ones(4))


def test_flatten_keeps_every_number():
    maps = torch.randn(3, 4, 5, 6)
    assert torch.equal(pool(maps, "flatten", 3, None), maps.reshape(3, -1))


@pytest.mark.parametrize("how", ["mean", "flatten"])
@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 4), (3, 2, 4, 4)])
def test_features_own_their_memory(how, shape):
    output = torch.randn(shape)
    features = pool(output, how, 3, None)
    before = features.clone()
    output.zero_()
    assert features.dim() == 2
    assert torch.equal(features, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_averaged_in_single(dtype):
    maps = torch.randn(3, 4, 5, 6).to(dtype)
    features = pool(maps, "mean", 3, None)
    assert features.dtype == torch.float32
    assert torch.allclose(features, maps.float().mean((2, 3)))


class Named(NamedTuple):
    last: Tensor
    more: Tensor


@pytest.mark.parametrize(
    "wrap", [lambda x: (x, x + 1), lambda x: {"a": x, "b": x + 1}, lambda x: Named(x, x + 1)]
)
def test_the_first_tensor_of_a_container_counts(wrap):
    hidden = torch.randn(3, 4)
    assert torch.equal(pool(wrap(hidden), "mean", 3, None), hidden)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("text", "no tensor but str"),
        (torch.ones(3, 2, dtype=torch.int64), "torch.int64"),
        (torch.ones(7, 3, 2), "(7, 3, 2), whose first axis is not the 3 examples"),
        (torch.ones(3, 7, 2), "7 tokens for each example, the mask has 5"),
        (torch.ones(()), "()"),
    ],
)
def test_what_cannot_be_pooled_is_said(output, reason):
    refused = pool(output, "mean", 3, torch.ones(3, 5))
    assert isinstance(refused, NotMeasured)
    assert reason in refused.reason


def run(skeleton, layers, batches, **options):
    notes: list[str] = []
    progress = SimpleNamespace(note=notes.append)
    variants = nets.variants_of({"base": skeleton, "tuned": nets.tune(skeleton, ["4.", "head."])}, skeleton)
    stream = Stream(skeleton, variants, layers=layers, progress=progress, **options)
    return stream, list(stream.run(batches)), notes


def test_the_mask_of_the_batch_reaches_the_taps():
    skeleton, (tokens,) = nets.build("transformer"), nets.tokens()
    mask = (torch.arange(9) < torch.arange(4, 10)[:, None]).long()
    _, (step,), _ = run(skeleton, ["embed"], [nets.batch((tokens,), mask=mask)])
    hidden = skeleton.embed(tokens).detach()
    expected = torch.stack([row[: int(m.sum())].mean(0) for row, m in zip(hidden, mask, strict=True)])
    assert torch.allclose(step.features["embed"]["tuned"], expected, atol=1e-6)


def test_a_layer_called_twice_or_never_is_named_and_left_out():
    skeleton = nets.build("nasty")
    stream, (step,), notes = run(skeleton, ["stem", "thrice"], [nets.batch(nets.rows())])
    assert set(step.features) == {"stem"}
    assert stream.not_measured == {"thrice": NotMeasured("the model calls it 3 times in one pass")}
    assert notes == ["no features of layer thrice: the model calls it 3 times in one pass"]
    skeleton = nets.build("transformer")
    stream, (step,), _ = run(skeleton, ["blocks", "norm"], [nets.batch(nets.tokens())])
    assert set(step.features) == {"norm"}
    assert stream.not_measured["blocks"].reason == "the model does not call it as a module"


def test_modules_inside_a_fused_layer_are_reported_and_the_fast_path_stays_on():
    stream, (step,), _ = run(
        nets.build("fast path"), ["encoder.layers.0.linear1"], [nets.batch(nets.tokens())]
    )
    assert not step.features
    assert "does not call it" in stream.not_measured["encoder.layers.0.linear1"].reason


class SometimesSkipped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(12, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x if len(x) == 5 else self.linear(x))


def test_a_layer_skipped_on_a_later_batch_is_given_up_by_name():
    batches = [nets.batch(nets.rows(n)) for n in (6, 5, 6)]
    stream, steps, notes = run(SometimesSkipped(), ["linear"], batches)
    assert ["linear" in step.features for step in steps] == [True, False, False]
    assert "linear" in stream.not_measured
    assert len(notes) == 1


def test_two_names_of_one_module_both_have_its_features():
    skeleton = nn.Sequential(nn.Linear(12, 12))
    skeleton.again = skeleton[0]
    skeleton.forward = lambda x: skeleton[0](x)
    _, (step,), _ = run(skeleton, ["0", "again"], [nets.batch(nets.rows())])
    assert torch.equal(step.features["0"]["base"], step.features["again"]["base"])


def test_an_unknown_layer_is_refused_with_the_nearest_names():
    with pytest.raises(ModelError) as refusal:
        run(nets.build("conv"), ["blocks.7"], [])
    assert "the model has no such layers (1): blocks.7" in str(refusal.value)
    assert "did you mean blocks." in str(refusal.value)


def test_an_unknown_pooling_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="there is no pooling called 'max'"):
        run(nets.build("conv"), [], [], pool="max")


def test_a_hook_of_others_changes_what_the_tap_sees_as_it_changes_what_the_next_layer_sees():
    skeleton = nets.build("conv")
    skeleton.conv.register_forward_hook(lambda module, args, output: output * 2)
    _, (step,), _ = run(skeleton, ["conv"], [nets.batch(nets.images())])
    with torch.no_grad():
        expected = pool(skeleton.conv(nets.images()[0]), "mean", 6, None)
    assert torch.equal(step.features["conv"]["base"], expected)
