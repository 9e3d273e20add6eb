"""What the files beside the weights say is read as data, and what cannot be built is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from forgetaudit.errors import AuditError, ModelError
from forgetaudit.models.evidence import find_evidence, is_adapter


def folder(tmp_path: Path, **files: Any) -> Path:
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


VIT = {"architectures": ["ViTForImageClassification"], "model_type": "vit"}


def test_a_config_of_transformers_names_the_class(tmp_path: Path) -> None:
    found = find_evidence(folder(tmp_path, config=VIT))
    assert (found.library, found.model) == ("transformers", "ViTForImageClassification")
    assert "config.json" in found.sentence


def test_a_file_takes_the_config_beside_it(tmp_path: Path) -> None:
    folder(tmp_path, config=VIT)
    assert find_evidence(tmp_path / "tuned.safetensors").model == "ViTForImageClassification"


def test_timm_is_told_first_because_its_folders_look_like_transformers_too(tmp_path: Path) -> None:
    config = {"architecture": "vit_tiny", "pretrained_cfg": {}, **VIT}
    assert find_evidence(folder(tmp_path, config=config)).library == "timm"


def test_labels_stand_in_the_order_of_their_ids(tmp_path: Path) -> None:
    labels = {str(index): f"class {index}" for index in reversed(range(12))}
    found = find_evidence(folder(tmp_path, config=VIT | {"id2label": labels}))
    assert found.class_names == tuple(f"class {index}" for index in range(12))


@pytest.mark.parametrize(
    "labels", [None, {}, {"0": "LABEL_0", "1": "LABEL_1"}, {"0": "a", "2": "c"}, {"0": 1}, ["a", "b"]]
)
def test_placeholders_and_gaps_are_no_names(tmp_path: Path, labels: Any) -> None:
    assert find_evidence(folder(tmp_path, config=VIT | {"id2label": labels})).class_names is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there is no config.json"),
        ({"config": {"hidden": 3}}, "names no network"),
        ({"config": {"architectures": []}}, "names no network"),
        ({"config": {}, "model_index": {}}, "is a diffusers model"),
        ({"config": {"_class_name": "UNet2DModel"}}, "is a diffusers model (UNet2DModel)"),
        ({"config": VIT | {"quantization_config": {"quant_method": "gptq"}}}, "quantised weights (gptq)"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError) as refused:
        find_evidence(folder(tmp_path, **files))
    assert said in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1, "a": 2}', "\x00"])
def test_a_damaged_config_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(AuditError, match=r"config\.json is damaged"):
        find_evidence(tmp_path)


def test_an_adapter_is_told_from_a_whole_model_that_kept_its_adapters_config(tmp_path: Path) -> None:
    folder(tmp_path, adapter_config={"peft_type": "LORA"})
    assert is_adapter(tmp_path)
    assert is_adapter(tmp_path / "adapter_model.safetensors")
    assert not is_adapter(tmp_path / "merged.safetensors")
    (tmp_path / "model.safetensors").touch()
    assert not is_adapter(tmp_path)
