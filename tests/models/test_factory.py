"""A network from a callable: found, called, and refused with the reason."""

import random
import sys
from pathlib import Path

import pytest
import torch

from forgetaudit.errors import ModelError
from forgetaudit.models.factory import build_model

SOURCE = """
import torch
from torch import nn
import neighbour

def build():
    print("noise of the user's own")
    return nn.Linear(neighbour.WIDTH, 2)

def with_preprocess():
    net = build()
    net.preprocess = lambda image: image
    return net

def raises():
    raise RuntimeError("no such thing")

def number():
    return 3

def needs(width, *rest, depth=1):
    return build()

width = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(SOURCE)
    (tmp_path / "neighbour.py").write_text("WIDTH = 3")
    (tmp_path / "broken.py").write_text("import torch\nx = = 1\n")
    return tmp_path


def refused(folder: Path, factory: str) -> str:
    with pytest.raises(ModelError) as problem:
        build_model(factory, directory=folder, evidence="--model")
    return str(problem.value)


def test_a_file_beside_its_neighbours_is_built_and_prints_only_to_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = build_model("net.py:build", directory=folder, evidence="--model")
    assert built.model.in_features == 3
    assert not built.model.training
    assert built.preprocess is None
    assert capsys.readouterr() == ("", "noise of the user's own\n")
    assert not (folder / "__pycache__").exists()


def test_nothing_of_the_process_is_changed(folder: Path) -> None:
    path, state, python_state = list(sys.path), torch.get_rng_state(), random.getstate()
    build_model("net.py:build", directory=folder, evidence="--model")
    assert sys.path == path
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == python_state


def test_a_networks_own_preprocessing_is_found(folder: Path) -> None:
    assert build_model("net.py:with_preprocess", directory=folder, evidence="").preprocess is not None


def test_an_installed_module_and_a_function_serve_as_well(folder: Path) -> None:
    assert build_model("torch.nn:Identity", directory=folder, evidence="").name == "torch.nn:Identity"
    assert build_model(torch.nn.Identity, directory=folder, evidence="").name == "Identity"


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("net.py", "is not of the form path.py:callable"),
        (":build", "is not of the form path.py:callable"),
        ("nett.py:build", "did you mean net.py?"),
        ("no.such.module:f", "there is no module no"),
        ("net.py:biuld", "did you mean build?"),
        ("net.py:width", "has no callable width"),
        ("net.py:raises", "RuntimeError: no such thing"),
        ("net.py:raises", "net.py:16"),
        ("net.py:number", "returned a int, not an nn.Module"),
        ("net.py:needs", "needs arguments: width"),
        ("broken.py:build", "SyntaxError"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_reason(folder: Path, factory: str, said: str) -> None:
    assert said in refused(folder, factory)
