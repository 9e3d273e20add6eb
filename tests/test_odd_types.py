"""Complex and double-precision weights, lazy modules and modules under two names: run as they are, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import forgetaudit
from forgetaudit.errors import AuditError, MismatchError, ModelError
from forgetaudit.models.layers import find_layers
from forgetaudit.models.loading import converted
from forgetaudit.models.quantised import quantisation_of
from forgetaudit.plan import Settings
from forgetaudit.remedies.remedy import mixed
from forgetaudit.report.report import AuditReport


class Spectral(nn.Module):
    """A complex mixing matrix between two real layers, and a buffer of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 8), nn.Linear(8, 2)
        self.mix = nn.Parameter(torch.randn(8, 8, dtype=torch.complex64))
        self.register_buffer("steps", torch.arange(8))

    def forward(self, x: Tensor) -> Tensor:
        assert self.mix.is_complex()
        assert self.get_buffer("steps").dtype == torch.int64
        hidden: Tensor = self.one(x).to(self.mix.dtype) @ self.mix
        found: Tensor = self.two(hidden.abs())
        return found


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.two(torch.relu(self.norm(self.one(x))))
        return found


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.wrapped = nn.Sequential(self.one, nn.ReLU())
        self.two = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.two(self.wrapped(self.one(x)))
        return found


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    network = kind()
    if kind is Lazy:
        network(torch.zeros(4, 4))
    return network.eval()


def doubled(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


def pair(
    folder: Path, kind: type[nn.Module], *, double: bool = False, small: float = 0.2
) -> dict[str, Tensor]:
    """Base and tuned on disk, and data that base answers without a fault; what is returned is by how much they differ."""
    network = made(kind)
    state = {name: doubled(t) if double else t for name, t in network.state_dict(keep_vars=True).items()}
    moved: dict[int, Tensor] = {}
    torch.manual_seed(1)
    for tensor in state.values():
        if tensor.ndim > 1 and id(tensor) not in moved:
            moved[id(tensor)] = small * torch.randn_like(tensor)
    tuned = {name: (t + moved[id(t)] if id(t) in moved else t).detach().clone() for name, t in state.items()}
    torch.save({name: t.detach() for name, t in state.items()}, folder / "base.pt")
    torch.save(tuned, folder / "tuned.pt")
    x = np.random.default_rng(0).normal(size=(300, 4))
    with torch.no_grad():
        y = network(torch.tensor(x, dtype=torch.float32)).argmax(1).numpy()
    np.savez(folder / "d.npz", x=x, y=y)
    return {str(number): tensor for number, tensor in enumerate(moved.values())}


def compared(folder: Path, kind: type[nn.Module], **settings: Any) -> AuditReport:
    return forgetaudit.compare(
        folder / "base.pt",
        folder / "tuned.pt",
        data=str(folder / "d.npz"),
        model=kind,
        settings=Settings(**settings),
    )


def truth(folder: Path, kind: type[nn.Module], dtype: torch.dtype) -> float:
    network = made(kind)
    state = torch.load(folder / "tuned.pt")
    if dtype == torch.float64:
        network._apply(doubled)  # type: ignore[no-untyped-call]
    network.load_state_dict(state)
    data = np.load(folder / "d.npz")
    with torch.no_grad():
        answers = network(torch.tensor(data["x"], dtype=dtype)).argmax(1).numpy()
    return float((answers == data["y"]).mean())


@pytest.mark.parametrize(("double", "dtype"), [(False, "float32"), (True, "float32"), (True, "float64")])
def test_complex_parameters_are_run_complex_and_measured_by_their_modulus(
    tmp_path: Path, double: bool, dtype: str
) -> None:
    moved = pair(tmp_path, Spectral, double=double)
    report = compared(tmp_path, Spectral, dtype=dtype)
    assert report.source[0].accuracy.base == 1  # type: ignore[union-attr,index]
    assert report.source[0].accuracy.tuned == pytest.approx(truth(tmp_path, Spectral, getattr(torch, dtype)))  # type: ignore[union-attr,index]
    distance = sum(float(one.abs().square().sum()) for one in moved.values()) ** 0.5
    assert report.weights[0].total.distance == pytest.approx(distance, rel=1e-6)  # type: ignore[union-attr,index]
    narrowed = [found.title for found in report.findings if found.id == "run-in-less-precision"]
    assert bool(narrowed) == (double and dtype == "float32")


def test_what_differs_below_float32_is_said_to_be_run_in_it(tmp_path: Path) -> None:
    pair(tmp_path, Spectral, double=True, small=1e-12)
    report = compared(tmp_path, Spectral)
    assert "tuned holds 5 tensors in double precision, run in float32" in {f.title for f in report.findings}
    assert report.weights[0].total.distance == pytest.approx(0, abs=1e-9)  # type: ignore[union-attr,index]
    assert not report.weights[0].identical  # type: ignore[union-attr,index]


@pytest.mark.parametrize("double", [False, True])
def test_a_repair_mixes_complex_numbers_and_writes_every_type_as_it_was(tmp_path: Path, double: bool) -> None:
    pair(tmp_path, Spectral, double=double)
    report = forgetaudit.repair(
        tmp_path / "base.pt",
        tmp_path / "tuned.pt",
        data=str(tmp_path / "d.npz"),
        model=Spectral,
        out=tmp_path / "out.pt",
        win_back="10%",
        families=["mixture"],
        settings=Settings(dtype="float64" if double else None),
    )
    assert report.repair is not None
    assert report.repair.met
    base, tuned, out = (torch.load(tmp_path / f"{name}.pt") for name in ("base", "tuned", "out"))
    assert {name: t.dtype for name, t in out.items()} == {name: t.dtype for name, t in tuned.items()}
    share = ((out["one.weight"] - base["one.weight"]) / (tuned["one.weight"] - base["one.weight"])).median()
    wanted = base["mix"] + share * (tuned["mix"] - base["mix"])
    assert torch.allclose(out["mix"], wanted, atol=1e-4)


def test_a_repair_of_averaged_weights_writes_these_and_leaves_the_raw_ones(tmp_path: Path) -> None:
    pair(tmp_path, Spectral)
    averaged = torch.load(tmp_path / "tuned.pt")
    raw = {
        name: tensor + 1 if tensor.is_floating_point() else tensor.clone()
        for name, tensor in averaged.items()
    }
    torch.save({"state_dict": raw, "state_dict_ema": averaged}, tmp_path / "tuned.pt")
    report = forgetaudit.repair(
        tmp_path / "base.pt",
        tmp_path / "tuned.pt",
        data=str(tmp_path / "d.npz"),
        model=Spectral,
        out=tmp_path / "out.pt",
        win_back="10%",
        families=["mixture"],
        settings=Settings(weights="ema"),
    )
    assert report.repair is not None
    assert report.repair.met
    out = torch.load(tmp_path / "out.pt")
    assert all(torch.equal(out["state_dict"][name], tensor) for name, tensor in raw.items())
    assert not torch.equal(out["state_dict_ema"]["one.weight"], averaged["one.weight"])


def test_mixtures_of_complex_numbers_are_exact() -> None:
    base, tuned = torch.randn(5, 3, dtype=torch.complex64), torch.randn(5, 3, dtype=torch.complex64)
    exact = 0.7 * base.to(torch.complex128) + 0.3 * tuned.to(torch.complex128)
    assert torch.equal(mixed(base, tuned, 0.3), exact.to(torch.complex64))


def test_a_slot_that_cannot_hold_what_the_file_has_is_refused() -> None:
    with pytest.raises(MismatchError, match="complex64 in the file, which the network's float32 cannot hold"):
        converted(torch.ones(2, dtype=torch.complex64), torch.float32, torch.float32, "mix")
    with pytest.raises(MismatchError, match="float32 in the file, which the network's int64 cannot hold"):
        converted(torch.tensor([0.5]), torch.int64, torch.float32, "steps")
    assert converted(torch.tensor([2.0]), torch.int64, torch.float32).tolist() == [2]
    half = converted(torch.ones(2, dtype=torch.complex64), torch.complex64, torch.bfloat16)
    assert half.dtype == torch.complex64


def test_double_precision_is_no_quantisation(tmp_path: Path) -> None:
    from forgetaudit.checkpoints.formats import open_checkpoint

    torch.save({"a": torch.ones(2, dtype=torch.float64)}, tmp_path / "a.pt")
    with open_checkpoint(tmp_path / "a.pt") as checkpoint:
        assert quantisation_of(checkpoint) is None


@pytest.mark.parametrize("prefix", ["", "module."])
def test_lazy_modules_take_their_shapes_from_the_file(tmp_path: Path, prefix: str) -> None:
    pair(tmp_path, Lazy)
    for name in ("base", "tuned"):
        state = torch.load(tmp_path / f"{name}.pt")
        torch.save({f"{prefix}{key}": tensor for key, tensor in state.items()}, tmp_path / f"{name}.pt")
    report = compared(tmp_path, Lazy)
    assert report.source[0].accuracy.base == 1  # type: ignore[union-attr,index]
    assert {layer.layer for layer in report.features[0].layers} == {"one", "norm"}  # type: ignore[union-attr,index]


def test_lazy_modules_that_the_file_does_not_know_are_refused(tmp_path: Path) -> None:
    pair(tmp_path, Spectral)
    with pytest.raises(ModelError, match="the network is lazy") as refused:
        compared(tmp_path, Lazy)
    assert "in build()" in str(refused.value.hint)


def test_a_file_of_lazy_parameters_is_refused_in_words(tmp_path: Path) -> None:
    pair(tmp_path, Lazy)
    torch.save(Lazy().state_dict(), tmp_path / "tuned.pt")
    with pytest.raises(AuditError):
        compared(tmp_path, Lazy)


def test_a_module_under_two_names_counts_once(tmp_path: Path) -> None:
    moved = pair(tmp_path, Twice)
    assert [layer.name for layer in find_layers(made(Twice))] == ["one", "two"]
    total = compared(tmp_path, Twice).weights[0].total  # type: ignore[union-attr,index]
    distance = sum(float(one.square().sum()) for one in moved.values()) ** 0.5
    assert total.distance == pytest.approx(distance, rel=1e-5)
    assert total.n_elements == 4 * 4 + 4 + 4 * 2 + 2


def test_a_head_that_shares_its_weights_is_a_layer_of_its_own() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.block, self.head = (
                nn.Embedding(9, 4),
                nn.Linear(4, 4),
                nn.Linear(4, 9, bias=False),
            )
            self.head.weight = self.tokens.weight

    assert [layer.name for layer in find_layers(Tied())] == ["tokens", "block", "head"]
