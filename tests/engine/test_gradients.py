"""Gradients by the tensors of a variant: as finite differences have them, running statistics too; nothing stays."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from tests.reference.plain_passes import everything_on
from tests.reference.slopes import slope
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from forgetaudit.data.batches import Batch
from forgetaudit.engine.gradients import Gradients
from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.errors import ModelError

EPS = 0.1


class Net(nn.Module):
    """Convolution, a norm with running statistics, an activation in place, and a linear head."""

    def __init__(self, norm: nn.Module | None = None, **more: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4, eps=EPS) if norm is None else norm
        self.more = nn.ModuleDict(more)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        for module in self.more.values():
            x = module(x)
        return self.head(self.relu(x).mean(dim=(2, 3)))


class Affine(nn.Module):
    """What a FrozenBatchNorm is: arithmetic on buffers."""

    def __init__(self, counts: bool = False) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(4))
        self.register_buffer("running_mean", torch.zeros(4))
        self.counts = counts

    def forward(self, x: Tensor) -> Tensor:
        if self.counts:
            self.weight.add_(0)
        return (x - self.running_mean[:, None, None]) * self.weight[:, None, None]


def filled(model: nn.Module, seed: int = 0) -> nn.Module:
    """With every float drawn, variances positive, in float64."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
            if "var" in name:
                tensor.abs_().add_(0.5)
    return model.double().eval()


def data(n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(9)
    images = torch.randn(n, 2, 6, 6, generator=generator, dtype=torch.float64)
    return Batch(ids=tuple(map(str, range(n))), args=(images,), labels=torch.arange(n) % 3)


def loss(outputs: Tensor, batch: Batch) -> Tensor:
    assert batch.labels is not None
    return cross_entropy(outputs, batch.labels, reduction="sum")


def ends(make: Any) -> tuple[nn.Module, Mapping[str, Tensor], Mapping[str, Tensor]]:
    skeleton = filled(make())
    base = {name: tensor.clone() for name, tensor in skeleton.state_dict().items()}
    return (
        skeleton,
        base,
        {name: tensor.clone() for name, tensor in filled(make(), seed=1).state_dict().items()},
    )


def taken(
    skeleton: nn.Module, state: Mapping[str, Tensor], wanted: set[str] | None = None
) -> tuple[dict[str, Tensor], Gradients]:
    variant = make_variant("here", skeleton, state)
    gradients = Gradients(skeleton, set(state) if wanted is None else wanted)
    return gradients.of(variant, data(), loss), gradients


def wanted_slope(skeleton: nn.Module, base: Any, tuned: Any, name: str) -> float:
    batch = data()
    return slope(skeleton, base, base, tuned, {name}, lambda net: loss(net(*batch.args), batch))


NORMS = {
    "batch norm": lambda: nn.BatchNorm2d(4, eps=EPS),
    "batch norm without parameters": lambda: nn.BatchNorm2d(4, eps=EPS, affine=False),
    "instance norm": lambda: nn.InstanceNorm2d(4, eps=EPS, affine=True, track_running_stats=True),
    "instance norm without parameters": lambda: nn.InstanceNorm2d(4, eps=EPS, track_running_stats=True),
    "a norm of one's own": Affine,
}


@pytest.mark.parametrize("norm", NORMS)
def test_every_gradient_is_that_of_finite_differences_running_statistics_too(norm: str) -> None:
    skeleton, base, tuned = ends(lambda: Net(NORMS[norm]()))
    found, _ = taken(skeleton, base)
    floats = [name for name, tensor in base.items() if tensor.is_floating_point()]
    assert set(found) == set(floats)
    for name in floats:
        along = float((found[name] * (tuned[name] - base[name])).sum())
        assert along == pytest.approx(wanted_slope(skeleton, base, tuned, name), rel=1e-6, abs=1e-8), name


def test_a_norm_that_runs_twice_has_both_of_its_gradients() -> None:
    def make() -> Net:
        norm = nn.BatchNorm2d(4, eps=EPS)
        return Net(norm, again=norm)

    skeleton, base, tuned = ends(make)
    found, _ = taken(skeleton, base)
    name = "norm.running_var"
    along = float((found[name] * (tuned[name] - base[name])).sum())
    both = {name, "more.again.running_var"}
    batch = data()
    there = {**base, "more.again.running_var": base[name]}
    tuned = {**tuned, "more.again.running_var": tuned[name]}
    wanted = slope(skeleton, there, there, tuned, both, lambda net: loss(net(*batch.args), batch))
    assert along == pytest.approx(wanted, rel=1e-6)


def test_norms_that_share_their_parameters_have_statistics_of_their_own() -> None:
    def make() -> Net:
        first, second = nn.BatchNorm2d(4, eps=EPS), nn.BatchNorm2d(4, eps=EPS)
        second.weight, second.bias = first.weight, first.bias
        return Net(first, other=second)

    skeleton, base, tuned = ends(make)
    found, _ = taken(skeleton, base)
    for name in (
        "norm.running_mean",
        "more.other.running_mean",
        "norm.running_var",
        "more.other.running_var",
    ):
        along = float((found[name] * (tuned[name] - base[name])).sum())
        assert along == pytest.approx(wanted_slope(skeleton, base, tuned, name), rel=1e-6), name


def test_what_is_tied_has_one_gradient_the_sum_of_both_uses() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4, bias=False)
            self.last = nn.Linear(4, 4, bias=False)
            self.last.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x).tanh())

    skeleton = filled(Tied())
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    variant = make_variant("here", skeleton, skeleton.state_dict())
    batch = Batch(ids=tuple("abcde"), args=(x,))
    found = Gradients(skeleton, {"first.weight", "last.weight"}).of(
        variant, batch, lambda out, _: out.square().sum()
    )
    assert list(found) == ["first.weight"]
    weight = skeleton.get_parameter("first.weight").detach().clone().requires_grad_()
    ((x @ weight.T).tanh() @ weight.T).square().sum().backward()
    assert torch.allclose(found["first.weight"], weight.grad)  # type: ignore[arg-type]


def test_only_what_is_wanted_has_a_gradient() -> None:
    skeleton, base, _ = ends(Net)
    found, _ = taken(skeleton, base, {"conv.weight", "norm.running_mean"})
    assert set(found) == {"conv.weight", "norm.running_mean"}
    assert taken(skeleton, base, {"norm.num_batches_tracked"})[0] == {}


def test_buffers_that_the_network_cannot_differentiate_are_left_out_and_named() -> None:
    skeleton, base, _ = ends(lambda: Net(Affine(counts=True)))
    found, gradients = taken(skeleton, base)
    assert set(gradients.left_out) == {"norm.weight", "norm.running_mean"}
    assert "norm.weight" not in found
    assert "conv.weight" in found


def variant_of(skeleton: nn.Module) -> Variant:
    return make_variant("here", skeleton, {name: t.clone() + 0 for name, t in skeleton.state_dict().items()})


@pytest.mark.parametrize("fails", [False, True])
def test_the_skeleton_and_the_variant_are_left_as_they_were(fails: bool) -> None:
    class Restless(Net):
        def __init__(self) -> None:
            super().__init__(nn.BatchNorm2d(4, eps=EPS, affine=False))
            self.register_buffer("seen", torch.zeros(1, dtype=torch.int64))
            self.scale = torch.ones(1, dtype=torch.float64)
            self.calls: list[int] = []

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            self.scale += 0
            self.calls.append(1)
            random.random(), torch.rand(1)
            answer = super().forward(x)
            if fails:
                raise RuntimeError("no more")
            return answer

    skeleton = filled(Restless()).train()
    variant = variant_of(skeleton)
    variant = Variant(
        name="here",
        tensors={n: t.requires_grad_() if n == "head.weight" else t for n, t in variant.tensors.items()},
    )
    before, values = everything_on(skeleton), {n: t.clone() for n, t in variant.tensors.items()}
    states = random.getstate(), torch.get_rng_state()
    batch = data()
    given = batch.args[0].clone()
    with torch.no_grad():
        if fails:
            with pytest.raises(ModelError, match="failed with the weights of here, on examples 0 to 5"):
                Gradients(skeleton, {"conv.weight", "norm.running_var"}).of(variant, batch, loss)
        else:
            Gradients(skeleton, {"conv.weight", "norm.running_var"}).of(variant, batch, loss)
        assert not torch.is_grad_enabled()
    assert everything_on(skeleton) == before
    assert skeleton.training
    assert (random.getstate(), torch.get_rng_state().tolist()) == (states[0], states[1].tolist())
    assert all(torch.equal(tensor, values[name]) for name, tensor in variant.tensors.items())
    assert all(tensor.grad is None for tensor in (*skeleton.parameters(), *variant.tensors.values()))
    assert torch.equal(batch.args[0], given)


def test_a_network_that_gives_no_gradient_is_refused() -> None:
    class Silent(Net):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    skeleton, base, _ = ends(Silent)
    with pytest.raises(ModelError, match="has no gradient by its weights"):
        taken(skeleton, base, {"conv.weight"})


def test_a_loss_that_is_no_number_is_refused() -> None:
    skeleton, base, _ = ends(Net)
    with pytest.raises(ModelError, match="loss is no single number"):
        Gradients(skeleton, {"conv.weight"}).of(
            make_variant("here", skeleton, base), data(), lambda out, _: out
        )
