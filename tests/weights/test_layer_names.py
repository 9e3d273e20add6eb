"""Layers and stages are told by names, and no name is taken for more than it says."""

import json
import struct
from pathlib import Path

import pytest

from forgetaudit.weights.layer_names import layer_names, natural

ROOT = Path(__file__).parents[1]


def names_in(path: Path) -> list[str]:
    with path.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return [name for name in header if name != "__metadata__"]


@pytest.mark.parametrize(
    ("folder", "stages"),
    [
        ("llama", {"model.embed_tokens": "stem", "model.layers.0": "block", "model.layers.1": "block", "model.norm": "rest", "lm_head": "head"}),
        ("gpt2", {"transformer.wpe": "stem", "transformer.wte": "stem", "transformer.h.0": "block", "transformer.h.1": "block", "transformer.ln_f": "rest"}),
        ("vit", {"vit.embeddings": "stem", "vit.encoder.layer.0": "block", "vit.encoder.layer.1": "block", "vit.encoder.layer.2": "block", "vit.layernorm": "rest", "classifier": "head"}),
    ],
)  # fmt: skip
def test_real_networks_are_seen_as_stem_blocks_and_head(folder: str, stages: dict[str, str]) -> None:
    assert layer_names(names_in(ROOT / "fixtures" / folder / "base" / "model.safetensors")).stages == stages


def test_blocks_inside_of_stages_are_the_blocks() -> None:
    names = [
        f"stages.{s}.blocks.{b}.{part}.weight" for s in (0, 1) for b in (0, 1) for part in ("conv", "norm")
    ]
    places = layer_names([*names, "stages.1.downsample.0.weight", "stages.1.downsample.1.weight"])
    assert places.blocks == (
        "stages.0.blocks.0",
        "stages.0.blocks.1",
        "stages.1.blocks.0",
        "stages.1.blocks.1",
    )
    assert places.stages["stages.1.downsample"] == "rest"


def test_two_numbered_convolutions_are_no_blocks() -> None:
    places = layer_names(["conv1.weight", "conv2.weight", "bn1.weight", "bn2.weight", "fc.weight"])
    assert places.blocks == ()


def test_a_single_numbered_module_is_no_block() -> None:
    assert layer_names(["layers.0.a.weight", "layers.0.b.weight", "out.weight"]).blocks == ()


def test_a_tensor_without_a_module_has_a_layer_all_the_same() -> None:
    assert layer_names(["cls_token", "layers.0.weight"]).stages[""] == "stem"


def test_the_tenth_layer_comes_after_the_ninth() -> None:
    assert sorted(["layers.10", "layers.9"], key=natural) == ["layers.9", "layers.10"]
