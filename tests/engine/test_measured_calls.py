"""Calls that tell what went on inside: the input of one module, and how the inputs of norms are spread."""

import copy

import pytest
import torch
from tests.engine import nets
from torch import nn

from forgetaudit.engine.measured_calls import ObservedCall, SpreadCall, observing, tracked_norms
from forgetaudit.engine.passes import run_plainly
from forgetaudit.engine.stream import Stream


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5)
        self.map, self.last = nn.Linear(5, 4), nn.BatchNorm1d(4)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x)).relu().mean((2, 3))
        scores: torch.Tensor = self.head(self.drop(self.last(self.map(x))))
        return scores


def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def images(n: int) -> torch.Tensor:
    return torch.randn(n, 2, 6, 6, generator=torch.Generator().manual_seed(1)) * 3 + 1


def stream(model: Net, call: object) -> Stream:
    return Stream(model, nets.variants_of({"one": model}, model), reuse=False, call=call)  # type: ignore[arg-type]


def measured(model: Net, x: torch.Tensor, size: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    call = SpreadCall(run_plainly)
    for _ in stream(model, call).run(nets.batch((part,)) for part in x.split(size)):
        pass
    found = {}
    for path, spread in call.read().items():
        variance = (spread.square - spread.mean.square()) * spread.n / (spread.n - 1)
        found[path] = spread.mean, variance
    return found


def test_one_batch_is_what_a_training_step_of_pytorch_measures() -> None:
    model, x = net(), images(40)
    trained = copy.deepcopy(model)
    for norm in tracked_norms(trained).values():
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        trained(x)
    for path, (mean, variance) in measured(model, x, 40).items():
        norm = trained.get_submodule(path)
        torch.testing.assert_close(mean.float(), norm.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(variance.float(), norm.running_var, rtol=1e-4, atol=1e-5)


def test_the_first_norm_is_exact_over_any_batches() -> None:
    model, x = net(), images(41)
    with torch.no_grad():
        features = model.conv(x).double().transpose(0, 1).flatten(1)
    # The last batch has one row, and is left out.
    mean, variance = measured(model, x, 8)["norm"]
    kept = features[:, : 40 * 16]
    torch.testing.assert_close(mean, kept.mean(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(variance, kept.var(1), rtol=1e-6, atol=1e-6)


def test_the_model_is_left_as_it_was() -> None:
    model, x = net(), images(16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measured(model, x, 8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert [norm.momentum for norm in tracked_norms(model).values()] == [0.1, 0.1]
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_model_is_left_as_it_was_by_a_failure_too() -> None:
    model = net()
    with pytest.raises(RuntimeError):
        SpreadCall(run_plainly)(model, torch.randn(4, 3, 6, 6))
    assert not any(module.training or module._forward_pre_hooks for module in model.modules())
    assert model.norm.momentum == 0.1


def test_what_goes_into_a_module_is_heard_beside_what_the_model_returns() -> None:
    model, x = net(), images(6)
    (step,) = stream(model, observing(run_plainly, "head")).run([nets.batch((x,))])
    heard = step.outputs["one"]
    assert isinstance(heard, ObservedCall)
    (features,) = heard.inputs
    with torch.no_grad():
        assert torch.equal(heard.outputs, model(x))
        assert torch.equal(model.head(features), heard.outputs)


def test_norms_without_statistics_are_not_tracked() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.LayerNorm(3), nn.BatchNorm1d(3))
    assert list(tracked_norms(model)) == ["2"]
