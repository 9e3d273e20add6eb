"""Two paths and a data set, nothing else: ConvNeXts of transformers and of timm, whose forgetting is real."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import Run
from tests.fixtures import convnets
from torch import Tensor
from transformers import AutoImageProcessor, ConvNextForImageClassification, pipeline

from forgetaudit.data.batches import Batch
from forgetaudit.tasks.classification import Classification

FIXTURES = Path(__file__).parent / "fixtures"
DIGITS = FIXTURES / "data" / "digits_val.parquet"
SCORES = json.loads((FIXTURES / "manifest.json").read_text())["scores"]
STAGES = ["stem", "block", "block", "block", "block", "block", "head"]

Compare = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def compared(forgetaudit: Callable[..., Run], tmp_path: Path) -> Compare:
    """Compares two paths, in an empty folder without a config: the run and its JSON report."""

    def run(*words: str | Path) -> tuple[Run, dict[str, Any]]:
        here = tmp_path / "empty"
        here.mkdir(exist_ok=True)
        done = forgetaudit("compare", *words, "--output", "json=report.json", cwd=here)
        report = here / "report.json"
        return done, json.loads(report.read_text()) if report.exists() else {}

    return run


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Labels and predictions of every batch that is scored: base's, then tuned's, then base's of the next."""
    seen: list[tuple[Tensor, Tensor]] = []
    score = Classification.score

    def listening(self: Classification, outputs: Any, batch: Batch) -> Any:
        found = score(self, outputs, batch)
        assert batch.labels is not None
        seen.append((batch.labels.clone(), torch.from_numpy(found.predicted.copy())))
        return found

    monkeypatch.setattr(Classification, "score", listening)
    return seen


def rows() -> tuple[list[Any], list[str]]:
    """Images, and labels by name."""
    data = datasets.Dataset.from_parquet(str(DIGITS), keep_in_memory=True)
    names = data.features["label"].names
    return list(data["image"]), [names[label] for label in data["label"]]


@torch.no_grad()
def plainly(family: str, name: str, images: list[Any]) -> tuple[Tensor, list[str]]:
    """What a plain loop through the library's own loader and transform predicts, and its labels in order."""
    folder = FIXTURES / family / name
    if family == "timm-convnext":
        network = convnets.load_timm(folder)
        pixels = convnets.timm_pixels(network, images)
        return network(pixels).argmax(dim=1), list(network.pretrained_cfg["label_names"])
    network = ConvNextForImageClassification.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor([image.convert("RGB") for image in images], return_tensors="pt")["pixel_values"]
    return network(pixels).logits.argmax(dim=1), [network.config.id2label[place] for place in range(10)]


@pytest.mark.parametrize("family", ["convnext", "timm-convnext"])
def test_every_answer_is_that_of_a_plain_loop(
    compared: Compare, answered: list[tuple[Tensor, Tensor]], family: str
) -> None:
    done, report = compared(FIXTURES / family / "base", FIXTURES / family / "tuned", "--data", DIGITS)
    assert done.code == 0
    images, labels = rows()
    right = {}
    for name, told in (("base", answered[0::2]), ("tuned", answered[1::2])):
        expected, names = plainly(family, name, images)
        wanted = torch.tensor([names.index(label) for label in labels])
        assert torch.equal(torch.cat([one for one, _ in told]), wanted)
        assert torch.equal(torch.cat([one for _, one in told]), expected)
        right[name] = expected == wanted
    (source,) = report["source"]
    assert source["flips"]["forgotten"] == int((right["base"] & ~right["tuned"]).sum())
    assert source["flips"]["gained"] == int((right["tuned"] & ~right["base"]).sum())
    for name in ("base", "tuned"):
        expected = SCORES[f"{family}/{name}"]["digits_val"]
        assert source["accuracy"][name] == pytest.approx(expected["accuracy"], abs=2 / 797)
        assert source["nll"][name] == pytest.approx(expected["log_loss"], abs=0.01)
    assert source["accuracy"]["drop"]["low"] > 0.3


def test_the_librarys_pipeline_answers_the_same(
    compared: Compare, answered: list[tuple[Tensor, Tensor]]
) -> None:
    folder = FIXTURES / "convnext" / "tuned"
    compared(FIXTURES / "convnext" / "base", folder, "--data", DIGITS)
    told = torch.cat([one for _, one in answered[1::2]])[:60].tolist()
    ask = pipeline("image-classification", model=str(folder), device="cpu")
    names = [ask(image)[0]["label"] for image in rows()[0][:60]]
    assert [ask.model.config.label2id[name] for name in names] == told


@pytest.mark.parametrize(
    ("family", "name", "stem", "head"),
    [
        ("convnext", "ConvNextForImageClassification", "convnext.embeddings", "classifier"),
        ("timm-convnext", "timm convnext_atto", "stem", "head.fc"),
    ],
)
def test_stem_stages_and_head_are_told(
    compared: Compare, family: str, name: str, stem: str, head: str
) -> None:
    done, report = compared(
        FIXTURES / family / "base", FIXTURES / family / "tuned", "--data", DIGITS, "--limit", "200"
    )
    (weights,) = report["weights"]
    assert [layer["stage"] for layer in weights["layers"]] == STAGES
    assert (weights["layers"][0]["layer"], weights["layers"][-1]["layer"]) == (stem, head)
    drifts = [layer["cka"]["estimate"] for layer in report["features"][0]["layers"]]
    assert len(drifts) == len(STAGES) - 1
    assert drifts[0] > 0.95 > drifts[-1]
    assert report["inputs"]["model"]["name"] == name
    assert "config.json" in report["inputs"]["model"]["evidence"]
    assert weights["total"]["n_identical"] == 0
    assert f"\n{stem} " in done.out


@pytest.mark.parametrize(
    ("family", "frozen"),
    [
        ("convnext", ("convnext.embeddings", "convnext.encoder.stages.0", "convnext.encoder.stages.1")),
        ("timm-convnext", ("stem", "stages.0", "stages.1")),
    ],
)
def test_a_frozen_trunk_is_known_not_to_have_drifted_and_reuse_changes_no_digit(
    compared: Compare, tmp_path: Path, family: str, frozen: tuple[str, ...]
) -> None:
    base, tuned = FIXTURES / family / "base", tmp_path / "tuned"
    shutil.copytree(FIXTURES / family / "tuned", tuned)
    kept = {
        key: tensor
        for key, tensor in load_file(base / "model.safetensors").items()
        if key.startswith(tuple(f"{name}." for name in frozen))
    }
    state = load_file(tuned / "model.safetensors") | kept
    save_file(state, tuned / "model.safetensors", metadata={"format": "pt"})
    words = (base, tuned, "--data", DIGITS, "--limit", "200")
    (_, with_reuse), (_, without) = compared(*words), compared(*words, "--no-reuse")
    for report in (with_reuse, without):
        report.pop("run")
        report["inputs"]["settings"].pop("reuse")
    assert with_reuse == without
    drifts = {layer["layer"]: layer["cka"] for layer in with_reuse["features"][0]["layers"]}
    assert {name for name, cka in drifts.items() if cka["kind"] == "exact"} == set(frozen)


def test_two_lone_files_of_timm_with_a_config_beside_them_are_enough(
    compared: Compare, tmp_path: Path
) -> None:
    for name in ("base", "tuned"):
        shutil.copy(FIXTURES / "timm-convnext" / name / "model.safetensors", tmp_path / f"{name}.safetensors")
    torch.save(load_file(tmp_path / "tuned.safetensors"), tmp_path / "pytorch_model.bin")
    shutil.copy(FIXTURES / "timm-convnext" / "base" / "config.json", tmp_path)
    base = tmp_path / "base.safetensors"
    (_, one), (_, two) = (
        compared(base, tmp_path / name, "--data", DIGITS)
        for name in ("tuned.safetensors", "pytorch_model.bin")
    )
    for report in (one, two):
        n_right = report["source"][0]["flips"]["gained"] + report["source"][0]["flips"]["kept"]
        assert n_right == pytest.approx(SCORES["timm-convnext/tuned"]["digits_val"]["n_right"], abs=2)


def test_tuned_is_prepared_for_as_base_and_it_is_said(compared: Compare, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "timm-convnext" / "tuned", tmp_path / "tuned")
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.9]
    (tmp_path / "tuned" / "config.json").write_text(json.dumps(config))
    base = FIXTURES / "timm-convnext" / "base"
    (_, one), (_, two) = (
        compared(base, tuned, "--data", DIGITS)
        for tuned in (FIXTURES / "timm-convnext" / "tuned", tmp_path / "tuned")
    )
    assert one["source"][0]["flips"] == two["source"][0]["flips"]
    notes = [note for note in two["inputs"]["model"]["notes"] if "differs" in note]
    assert notes == ["tuned: its preprocessing differs: mean [0.305] → [0.9]; base's was used for both"]


def test_a_replaced_head_of_timm_is_bases_and_said(compared: Compare, tmp_path: Path) -> None:
    network = convnets.load_timm(FIXTURES / "timm-convnext" / "tuned")
    network.reset_classifier(3)
    convnets.save_for_hf(network, str(tmp_path / "three"), safe_serialization=True)
    done, report = compared(FIXTURES / "timm-convnext" / "base", tmp_path / "three", "--data", DIGITS)
    assert done.code == 0
    assert set(report["variants"][1]["grafted"]) == {"head.fc.weight", "head.fc.bias"}
    assert report["source"][0]["accuracy"]["drop"]["low"] > 0.2


def test_base_without_a_head_has_no_answers_to_forget(compared: Compare, tmp_path: Path) -> None:
    network = convnets.load_timm(FIXTURES / "timm-convnext" / "base")
    network.reset_classifier(0)
    convnets.save_for_hf(network, str(tmp_path / "headless"), safe_serialization=True)
    done, _ = compared(tmp_path / "headless", tmp_path / "headless", "--data", DIGITS, "--max-drop", "2pt")
    assert done.code == 2
    assert "of which no task here tells right from wrong" in done.err
    assert "--model path.py:build" in done.err


@pytest.mark.parametrize("family", ["vit", "timm-convnext"])
def test_the_command_runs_by_itself_whatever_torchvision_is_installed(family: str, tmp_path: Path) -> None:
    """In a process where nobody has repaired anything before."""
    words = [FIXTURES / family / "base", FIXTURES / family / "tuned", "--data", DIGITS, "--limit", "100"]
    program = [sys.executable, "-m", "forgetaudit", "compare", *map(str, words)]
    run = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "source accuracy fell" in run.stdout
    assert "Traceback" not in run.stderr
