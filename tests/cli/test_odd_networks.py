"""Networks that draw random numbers or keep something between calls, through the command line."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import Run

ODD = '''
from types import SimpleNamespace
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)
    def forward(self, x):
        return self.b(self.between(torch.relu(self.a(x))))
    def between(self, y):
        return y

class Drops(Plain):
    def between(self, y):
        return F.dropout(y, 0.1, training=True)

class Tires(Plain):
    """Each call answers with less of the features, until only the bias is left."""
    def __init__(self):
        super().__init__()
        self.state = SimpleNamespace(n=0)
    def between(self, y):
        self.state.n += 1
        return y * 0.7 ** (self.state.n - 1)

CALLS = [0]

class Counts(Plain):
    def between(self, y):
        CALLS[0] += 1
        return y * 0.3 ** CALLS[0]

class Draws(Plain):
    def between(self, y):
        return y + np.random.default_rng().normal()

class DropsNothing(Plain):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.0)
    def between(self, y):
        return self.drop(y)
'''


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("odd_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Base is right on all of 240 examples, tuned on fewer."""
    (tmp_path / "odd.py").write_text(ODD)
    torch.manual_seed(0)
    network, x = imported(tmp_path / "odd.py").Plain(), torch.randn(240, 8)
    with torch.no_grad():
        # About as many of each class.
        network.b.bias -= network(x).mean(0)
        y = network(x).argmax(1)
    state = network.state_dict()
    save_file(state, tmp_path / "base.safetensors")
    moved = {name: tensor + 0.2 * torch.randn(tensor.shape) for name, tensor in state.items()}
    save_file(state | {name: moved[name] for name in ("b.weight", "b.bias")}, tmp_path / "tuned.safetensors")
    np.savez(tmp_path / "val.npz", x=x.numpy(), y=y.numpy())
    return tmp_path


@pytest.fixture
def ask(folder: Path, forgetaudit: Callable[..., Run]) -> Callable[..., Run]:
    def run(command: str, kind: str, *words: str) -> Run:
        pair = ("base.safetensors", "tuned.safetensors", "--data", "val.npz", "--model", f"odd.py:{kind}")
        return forgetaudit(command, *pair, "--no-config", "--batch-size", "40", *words, cwd=folder)

    return run


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "r.json").read_text())
    return found


def plain_accuracy(folder: Path, kind: str, checkpoint: str) -> float:
    """One pass over the data from a fresh start, in the same batches."""
    network = getattr(imported(folder / "odd.py"), kind)().eval()
    network.load_state_dict(load_file(folder / f"{checkpoint}.safetensors"))
    held = np.load(folder / "val.npz")
    x, y = torch.from_numpy(held["x"]), torch.from_numpy(held["y"])
    with torch.no_grad():
        answers = torch.cat([network(x[start : start + 40]).argmax(1) for start in range(0, 240, 40)])
    return float((answers == y).double().mean())


@pytest.mark.parametrize("reuse", [[], ["--no-reuse"]])
def test_a_network_that_remembers_is_measured_as_by_plain_passes_and_passes_no_rule(ask, folder, reuse):
    done = ask("compare", "Tires", "--max-drop", "99pt", "--output", "json=r.json", *reuse)
    assert done.code == 0
    accuracy = report(folder)["source"][0]["accuracy"]
    assert accuracy["base"] == plain_accuracy(folder, "Tires", "base") < 1
    assert accuracy["tuned"] == plain_accuracy(folder, "Tires", "tuned")
    assert (
        "note  asked the same twice, the network answers otherwise: its own forward keeps something"
        in done.out
    )
    assert report(folder)["verdict"]["outcome"] == "inconclusive"


def test_a_random_network_is_noticed_and_its_noise_is_seen(ask, folder):
    words = ("--max-drop", "99pt", "--noise-floor", "--output", "json=r.json", "--on-inconclusive", "fail")
    done = ask("compare", "Drops", *words)
    first = report(folder)["source"][0]["accuracy"]
    assert done.code == 3
    assert "its own forward draws random numbers" in done.out
    assert report(folder)["noise"][0]["n_answers_changed"] > 0
    torch.rand(1)
    ask("compare", "Drops", *words)
    assert report(folder)["source"][0]["accuracy"] == first


@pytest.mark.parametrize("command", ["compare", "locate", "repair"])
def test_what_no_fresh_start_brings_back_is_refused(ask, command):
    done = ask(command, "Draws")
    assert done.code == 2
    assert (
        "the network answers otherwise each time that it is asked the same, from a fresh start, too"
        in done.err
    )
    assert "hint: let forward draw no random numbers" in done.err


@pytest.mark.parametrize(("command", "code"), [("compare", 0), ("locate", 0), ("repair", 1)])
def test_what_is_kept_in_globals_is_kept_apart_and_said(ask, command, code):
    """A repair is not written over it."""
    done = ask(command, "Counts")
    assert done.code == code
    assert "note  asked the same twice, the network answers otherwise" in done.out


def test_a_preview_of_a_random_network_is_refused_and_its_rollbacks_are_not(ask):
    refused = ask("locate", "Drops", "--preview")
    assert refused.code == 2
    assert "a preview cannot take gradients of this network" in refused.err
    done = ask("locate", "Drops")
    assert done.code == 0
    assert "note  asked the same twice" in done.out


@pytest.mark.parametrize("kind", ["Plain", "DropsNothing"])
@pytest.mark.parametrize("command", ["compare", "locate"])
def test_a_network_that_draws_nothing_is_not_accused(ask, command, kind):
    done = ask(command, kind, "-v")
    assert done.code == 0
    assert "random" not in done.err
    assert "asked the same twice" not in done.out
    assert "nothing is reused" not in done.err
