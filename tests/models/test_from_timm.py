"""A folder or a file of timm is built by its own config, prepared for by its own transform, and told where it differs."""

import argparse
import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.fixtures import convnets
from transformers import TimmWrapperForImageClassification

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.models.architecture import Graft, Skeleton
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_timm import TimmArchitecture
from forgetaudit.models.loading import LoadedState

FIXTURES = Path(__file__).parent.parent / "fixtures" / "timm-convnext"
HEAD = {"head.fc.weight", "head.fc.bias"}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def folder(tmp_path: Path, name: str = "base", **changes: Any) -> Path:
    """A copy of a fixture with other values in its config; None takes a key away."""
    path = tmp_path / f"{name}{len(list(tmp_path.iterdir()))}"
    shutil.copytree(FIXTURES / name, path)
    config = json.loads((path / "config.json").read_text()) | changes
    (path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return path


def config_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "config.json").read_text())
    return found


def built(path: Path) -> tuple[TimmArchitecture, Skeleton]:
    architecture = TimmArchitecture(find_evidence(path))
    with open_checkpoint(path) as checkpoint:
        return architecture, architecture.build(
            checkpoint, dtype=torch.float32, device=torch.device("cpu"), seed=0
        )


def loaded(base: Path, tuned: Path, *, names: set[str] | None = None) -> LoadedState:
    architecture, skeleton = built(base)
    graft = Graft(names=HEAD if names is None else names, base=skeleton.base.state)
    with open_checkpoint(tuned) as checkpoint:
        return architecture.load(
            skeleton.model, checkpoint, dtype=torch.float32, device=torch.device("cpu"), graft=graft
        )


def picture(mode: str = "L", size: tuple[int, int] = (11, 9)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_weights_and_scores_are_those_of_timms_own_loader(name: str) -> None:
    _, skeleton = built(FIXTURES / name)
    expected = convnets.load_timm(FIXTURES / name)
    model = skeleton.model
    model.load_state_dict(dict(skeleton.base.state))
    assert all(torch.equal(tensor, model.state_dict()[key]) for key, tensor in expected.state_dict().items())
    inputs = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(inputs), expected(inputs))
    assert not model.training


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_an_image_becomes_what_timms_transform_makes_of_it(mode: str) -> None:
    _, skeleton = built(FIXTURES / "base")
    prepare = skeleton.preparation.preprocess
    assert prepare is not None
    expected = convnets.timm_pixels(convnets.load_timm(FIXTURES / "base"), [picture(mode)])[0]
    assert torch.equal(prepare(picture(mode)), expected)
    assert expected.shape == (1, 12, 12)
    for told in ("input_size (1, 12, 12)", "bilinear", "crop_pct 0.9", "[0.305]", "[0.376]"):
        assert told in skeleton.preparation.said


def test_arrays_were_prepared_before() -> None:
    prepare = built(FIXTURES / "base")[1].preparation.preprocess
    assert prepare is not None
    values = np.random.default_rng(0).random((1, 12, 12))
    assert torch.equal(prepare(values), torch.from_numpy(values.astype(np.float32)))


def test_labels_are_found_wherever_timm_writes_them(tmp_path: Path) -> None:
    names = tuple(config_of(FIXTURES / "base")["label_names"])
    # It moves them when a checkpoint that was loaded is saved again.
    assert "label_names" not in config_of(FIXTURES / "tuned")
    by_id = folder(tmp_path, label_names={str(index): name for index, name in enumerate(names)})
    for path in (FIXTURES / "base", FIXTURES / "tuned", by_id):
        assert TimmArchitecture(find_evidence(path)).class_names == names
        assert find_evidence(path).class_names == names
    for nameless in (None, {"0": "zero", "5": "five"}, [1, 2], []):
        assert TimmArchitecture(find_evidence(folder(tmp_path, label_names=nameless))).class_names is None


def test_what_the_two_of_one_training_say_is_no_difference() -> None:
    found = loaded(FIXTURES / "base", FIXTURES / "tuned")
    assert found.notes == ()
    assert found.grafted == ()


def test_other_preprocessing_is_told_with_its_values(tmp_path: Path) -> None:
    settings = config_of(FIXTURES / "tuned")["pretrained_cfg"]
    other = folder(
        tmp_path, "tuned", pretrained_cfg=settings | {"mean": [0.5], "crop_pct": 1.0, "license": "mit"}
    )
    (note,) = loaded(FIXTURES / "base", other).notes
    assert note == (
        "its preprocessing differs: mean [0.305] → [0.5], crop_pct 0.9 → 1.0; base's was used for both"
    )


def test_a_setting_that_is_left_out_is_compared_by_timms_default(tmp_path: Path) -> None:
    settings = config_of(FIXTURES / "tuned")["pretrained_cfg"]
    less = {key: value for key, value in settings.items() if key != "crop_mode"}
    assert loaded(FIXTURES / "base", folder(tmp_path, "tuned", pretrained_cfg=less)).notes == ()
    less = {key: value for key, value in settings.items() if key != "interpolation"}
    (note,) = loaded(FIXTURES / "base", folder(tmp_path, "tuned", pretrained_cfg=less)).notes
    assert "interpolation bilinear → bicubic" in note


def test_other_arguments_of_the_network_are_told(tmp_path: Path) -> None:
    arguments = config_of(FIXTURES / "tuned")["model_args"]
    other = folder(tmp_path, "tuned", model_args=arguments | {"act_layer": "relu", "num_classes": 10})
    (note,) = loaded(FIXTURES / "base", other).notes
    assert note == "its model_args differ: act_layer unset → relu; base's were used for both"


def test_the_arguments_of_the_config_are_honoured(tmp_path: Path) -> None:
    arguments = config_of(FIXTURES / "base")["model_args"]
    path = folder(tmp_path, model_args=arguments | {"act_layer": "relu"})
    model = built(path)[1].model
    assert any(isinstance(module, torch.nn.ReLU) for module in model.modules())
    assert not any(
        isinstance(module, torch.nn.ReLU) for module in built(FIXTURES / "base")[1].model.modules()
    )


def with_head(path: Path, n_classes: int) -> Path:
    """Another head on the same trunk, saved as timm saves it."""
    torch.manual_seed(0)
    network = convnets.load_timm(FIXTURES / "tuned")
    network.reset_classifier(n_classes)
    names = [f"kind {index}" for index in range(n_classes)]
    timm.models.save_for_hf(network, str(path), model_config={"label_names": names}, safe_serialization=True)
    return path


def test_a_head_of_another_size_is_bases_and_the_norm_before_it_tuneds(tmp_path: Path) -> None:
    found = loaded(FIXTURES / "base", with_head(tmp_path / "five", 5))
    assert set(found.grafted) == HEAD
    tuned = load_file(FIXTURES / "tuned" / "model.safetensors")
    assert torch.equal(found.state["head.norm.weight"], tuned["head.norm.weight"])
    assert any("its labels are kind 0, kind 1, kind 2, … 2 more" in note for note in found.notes)


def test_a_head_of_other_classes_is_replaced_although_it_fits(tmp_path: Path) -> None:
    found = loaded(FIXTURES / "base", with_head(tmp_path / "ten", 10))
    assert set(found.grafted) == HEAD
    assert any("base's head was grafted" in note for note in found.notes)


def test_a_lone_file_takes_the_config_beside_it_in_any_format(tmp_path: Path) -> None:
    state = load_file(FIXTURES / "base" / "model.safetensors")
    shutil.copy(FIXTURES / "base" / "config.json", tmp_path)
    save_file(state, tmp_path / "mine.safetensors")
    torch.save(state, tmp_path / "mine.bin")
    torch.save({"epoch": 3, "arch": "convnext_atto", "state_dict": state}, tmp_path / "last.pth.tar")
    expected = built(FIXTURES / "base")[1].base.state
    for name in ("mine.safetensors", "mine.bin", "last.pth.tar"):
        found = built(tmp_path / name)[1].base.state
        assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items()), name


def test_a_config_of_before_pretrained_cfg_is_read_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    flat = {
        "architecture": "test_resnet", "num_classes": 3, "input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3,
        "interpolation": "bicubic", "crop_pct": 1.0, "labels": ["cat", "dog", "owl"], "classifier": "fc",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(flat))
    architecture, skeleton = built(tmp_path)
    assert architecture.class_names == ("cat", "dog", "owl")
    assert "input_size [3, 32, 32]" in skeleton.preparation.said
    assert skeleton.preparation.preprocess is not None
    assert skeleton.preparation.preprocess(picture("RGB")).shape == (3, 32, 32)


def test_another_network_is_named_and_not_listed_tensor_by_tensor(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=10)
    timm.models.save_for_hf(network, str(tmp_path / "other"), safe_serialization=True)
    with pytest.raises(MismatchError, match="base is convnext_atto, tuned is test_resnet") as refused:
        loaded(FIXTURES / "base", tmp_path / "other")
    assert "pass the checkpoint you started from" in str(refused.value.hint)


def test_weights_of_another_depth_do_not_fit(tmp_path: Path) -> None:
    arguments = config_of(FIXTURES / "base")["model_args"]
    with pytest.raises(MismatchError, match="does not fit the model") as refused:
        built(folder(tmp_path, model_args=arguments | {"depths": [1, 1, 1, 1]}))
    assert "stages.2.blocks.1.conv_dw.weight" in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "no_such_net"},
        # A name is not followed to where it points.
        {"architecture": "hf-hub:someone/model"},
        {"architecture": "local-dir:/etc"},
        {"model_args": {"no_such_argument": 1}},
        {"model_args": {"pretrained": True}},
        {"model_args": {"checkpoint_path": "model.safetensors"}},
        {"model_args": {"depths": "many"}},
        {"model_args": 7},
    ],
)
def test_a_config_that_timm_cannot_build_is_refused_with_its_words(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=r"timm [\d.]+ cannot build ") as refused:
        built(folder(tmp_path, **changes))
    assert "Error: " in str(refused.value)
    assert "install the version of timm" in str(refused.value.hint)


def test_a_pretrained_cfg_that_gives_no_transform_is_refused(tmp_path: Path) -> None:
    settings = config_of(FIXTURES / "base")["pretrained_cfg"]
    for changes in ({"interpolation": "by hand"}, {"crop_pct": "all"}):
        with pytest.raises(ModelError, match=r"config\.json gives no transform"):
            built(folder(tmp_path, pretrained_cfg=settings | changes))


def test_the_random_numbers_of_the_caller_stay_as_they_were() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    built(FIXTURES / "base")
    assert torch.equal(torch.rand(2), expected)


def test_a_model_of_timm_that_transformers_saved_is_timms_still(tmp_path: Path) -> None:
    arguments = config_of(FIXTURES / "tuned")["model_args"]
    without = {key: value for key, value in arguments.items() if key not in ("num_classes", "global_pool")}
    plain = folder(tmp_path, "tuned", model_args=without)
    network = TimmWrapperForImageClassification.from_pretrained(plain)
    network.save_pretrained(tmp_path / "wrapped")
    wrapped = config_of(tmp_path / "wrapped")
    assert wrapped["model_type"] == "timm_wrapper"
    # It did not look for them where timm had put them.
    assert wrapped["label_names"][:2] == ["LABEL_0", "LABEL_1"]
    found = loaded(FIXTURES / "base", tmp_path / "wrapped")
    expected = load_file(FIXTURES / "tuned" / "model.safetensors")
    assert all(torch.equal(tensor, found.state[key]) for key, tensor in expected.items())
    assert found.grafted == ()
    assert TimmArchitecture(find_evidence(tmp_path / "wrapped")).name == "timm convnext_atto"


def test_what_timms_training_script_writes_is_read(tmp_path: Path) -> None:
    state = load_file(FIXTURES / "tuned" / "model.safetensors")
    written = {"epoch": 3, "arch": "convnext_atto", "state_dict": state, "args": argparse.Namespace(lr=0.1)}
    averaged = {key: tensor + 1 for key, tensor in state.items()}
    torch.save(written | {"state_dict_ema": averaged, "metric": 0.9}, tmp_path / "model_best.pth.tar")
    found = loaded(FIXTURES / "base", tmp_path / "model_best.pth.tar")
    assert all(torch.equal(tensor, found.state[key]) for key, tensor in state.items())


def test_a_folder_of_timm_without_timm_names_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as where it is not installed
    with pytest.raises(ModelError, match="needs timm, which is not installed") as refused:
        TimmArchitecture(find_evidence(FIXTURES / "base"))
    assert "pip install --no-deps torchvision" in str(refused.value.hint)
