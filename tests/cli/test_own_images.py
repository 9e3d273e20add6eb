"""Images and arrays for a network of one's own: what does not fit is told of the data, and Dropout(0.0) draws nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.conftest import Run
from torch import nn

NET = """
from torch import nn


def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.0), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ){}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network that takes three channels, in base and tuned, and 120 arrays that base is right on."""
    (tmp_path / "net.py").write_text(NET.format(""))
    (tmp_path / "training.py").write_text(NET.format(".train()"))
    torch.manual_seed(0)
    scope: dict[str, object] = {}
    exec(NET.format(""), scope)
    model: nn.Module = scope["build"]()  # type: ignore[operator]
    weights = model.state_dict()
    save_file(weights, tmp_path / "base.safetensors")
    tuned = {name: tensor + 0.3 * torch.randn_like(tensor) for name, tensor in weights.items()}
    save_file(tuned, tmp_path / "tuned.safetensors")
    images = 3 * torch.randn(120, 3, 8, 8)
    with torch.no_grad():
        answers = model.eval()(images).argmax(1)
    np.savez(tmp_path / "right.npz", x=images.numpy(), y=answers.numpy())
    return tmp_path


def gray(folder: Path) -> str:
    for at in range(12):
        place = folder / "gray" / str(at % 4)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * at, np.uint8)).save(place / f"{at}.png")
    return "gray"


def channels_last(folder: Path) -> str:
    np.savez(folder / "last.npz", x=np.zeros((12, 8, 8, 3), np.float32), y=np.arange(12) % 4)
    return "last.npz"


@pytest.mark.parametrize(("made", "shape"), [(gray, "[1, 8, 8]"), (channels_last, "[8, 8, 3]")])
def test_channels_that_do_not_fit_are_told_of_the_data_and_of_preprocess(
    forgetaudit: Callable[..., Run], folder: Path, made: Callable[[Path], str], shape: str
) -> None:
    data = made(folder)
    words = ("base.safetensors", "tuned.safetensors", "--model", "net.py:build", "--data", data)
    done = forgetaudit("compare", *words, cwd=folder)
    assert done.code == 2
    first, named, given, *_ = done.err.splitlines()
    assert first == "error: the model does not take the examples as they are in the data"
    assert data in named
    assert given.strip() == f"each example was given as float32 {shape}"
    assert "hint: give the model a method `preprocess`" in done.err


@pytest.mark.parametrize("model", ["net.py:build", "training.py:build"])
def test_dropout_of_nothing_draws_no_random_numbers(
    forgetaudit: Callable[..., Run], folder: Path, model: str
) -> None:
    words = ("base.safetensors", "tuned.safetensors", "--model", model, "--data", "right.npz", "--verbose")
    done = forgetaudit("locate", *words, cwd=folder)
    assert done.code == 0, done.err
    assert "random" not in done.out + done.err
    assert "note  " not in done.out
