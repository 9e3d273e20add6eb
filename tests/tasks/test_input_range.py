"""The range in which pixels reach the network is told where few networks are trained on it, and only there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from forgetaudit import compare
from forgetaudit.cli import main
from forgetaudit.data.examples import Example, Input
from forgetaudit.gaps import gaps_in
from forgetaudit.tasks.classification import Classification

BYTES = np.rint(load_digits().images[:4] * 255 / 16).astype(np.uint8)


def gaps_of(*inputs: Input, preprocess: object = None) -> list[str]:
    task = Classification(("a", "b"), preprocess)  # type: ignore[arg-type]
    task.collate([Example(id=str(n), input=content, label=0) for n, content in enumerate(inputs)])
    return [gap.what for gap in gaps_in(task.decisions())]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_bytes_in_arrays_are_told(dtype: str) -> None:
    (what,) = gaps_of(*BYTES.astype(dtype))
    assert what.startswith(
        f"4 inputs (array of {dtype}) hold 0 to 255 and were given to the network as 0 to 255"
    )


def test_what_preprocess_scales_is_no_matter() -> None:
    assert gaps_of(*BYTES, preprocess=lambda content: torch.from_numpy(content / np.float32(255))) == []


@pytest.mark.parametrize(
    "content",
    [
        BYTES[0] / 255,
        np.random.default_rng(0).normal(0, 100, (8, 8)),
        np.arange(10) % 2,
        Image.fromarray(BYTES[0]),
        Image.fromarray((BYTES[0] / 255).astype(np.float32)),
        Image.fromarray(BYTES[0].astype(np.int32) * 257),
    ],
)
def test_other_ranges_are_not_told(content: Input) -> None:
    assert gaps_of(content) == []


def test_bytes_in_deep_and_floating_images_are_told() -> None:
    (dark,) = gaps_of(Image.fromarray(BYTES[0].astype(np.int32)))
    assert dark.startswith(
        "1 input (image of mode I) hold 0 to 239 and were given to the network as 0 to 0.00365"
    )
    (bright,) = gaps_of(Image.fromarray(BYTES[0].astype(np.float32)))
    assert bright.startswith(
        "1 input (image of mode F) hold 0 to 239 and were given to the network as 0 to 239"
    )
    deep = Image.fromarray(BYTES[0].astype(np.int32) * 100 + 256)
    (white,) = gaps_of(deep, preprocess=lambda image: torch.ones(3, 8, 8))
    assert "as 1 to 1" in white


class Scans(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(64, 24)
        self.b = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.tanh(2 - 8 * (self.a(x.flatten(1)))))


def test_a_base_that_collapses_on_bytes_is_explained_by_them(tmp_path: Path) -> None:
    digits = load_digits()
    images = np.rint(digits.images[:600] * 255 / 16).astype(np.uint8)
    torch.manual_seed(0)
    net = Scans()
    pixels, labels = torch.from_numpy(images / np.float32(255)), torch.from_numpy(digits.target[:600])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(pixels), labels).backward()
        optimizer.step()
    # Far from what it knows the network says one thing of everything.
    with torch.no_grad():
        net.a.weight.add_(0.5)
        net.a.bias.sub_(0.5 * pixels.flatten(1).sum(1).mean())
    for name in ("base", "tuned"):
        save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    np.savez(tmp_path / "val.npz", x=images, y=digits.target[:600])
    report = compare(
        tmp_path / "base.safetensors",
        tmp_path / "tuned.safetensors",
        data=str(tmp_path / "val.npz"),
        model=Scans,
    )
    assert report.verdict.exit_code == 2
    unusable = report.source[0].unusable
    assert unusable is not None
    assert unusable.id == "base-at-chance"
    assert "600 inputs (array of uint8) hold 0 to 255" in unusable.reason


NET = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 10))
def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(100, 10))
"""


@pytest.mark.parametrize(
    ("maker", "shape"), [("build", (1, 8, 8)), ("flat", (1, 8, 8)), ("build", (3, 9, 9))]
)
def test_a_mismatch_of_channels_or_sizes_names_preprocess_and_what_was_given(
    tmp_path: Path, maker: str, shape: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(NET)
    space: dict[str, object] = {}
    exec(NET, space)
    for name in ("base", "tuned"):
        save_file(space[maker]().state_dict(), tmp_path / f"{name}.safetensors")  # type: ignore[operator]
    np.savez(tmp_path / "val.npz", x=np.zeros((6, *shape), np.float32), y=np.arange(6) % 2)
    words = [str(tmp_path / f"{name}.safetensors") for name in ("base", "tuned")]
    words += ["--model", f"{tmp_path}/net.py:{maker}", "--data", str(tmp_path / "val.npz"), "--no-config"]
    assert main(["compare", *words]) == 2
    said = capsys.readouterr().err
    assert f"each example was given as float32 {[*shape]}" in " ".join(said.split())
    assert "preprocess" in said
    assert "torch/nn" not in said
