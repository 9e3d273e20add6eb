"""What a distance does not speak of, in adapters measured alone and along a run: named, and held."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tests.models import tiny

Run = Callable[..., Any]


def adapter(folder: Path, **settings: Any) -> Path:
    model = get_peft_model(
        tiny.llama(), LoraConfig(target_modules=["q_proj"], r=2, init_lora_weights=False, **settings)
    )
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"modules_to_save": ["lm_head"]}, "lm_head.weight"),
        ({"modules_to_save": ["embed_tokens", "lm_head"]}, "model.embed_tokens.weight"),
        ({"modules_to_save": ["norm"]}, "model.norm.weight"),
    ],
)
def test_what_an_adapter_saves_whole_is_named_where_no_base_measures_it(
    settings: dict[str, Any], left: str, forgetaudit: Run, tmp_path: Path
) -> None:
    path = adapter(tmp_path / "adapter", **settings)
    done = forgetaudit("weights", path, "--output", f"json={tmp_path / 'r.json'}", cwd=tmp_path)
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "r.json").read_text())
    assert left in report["weights"][0]["total"]["not_compared"]
    (found,) = [one for one in report["findings"] if one["id"] == "tensors-not-compared"]
    assert found["holds"] == "tensors"
    assert left in found["evidence"]["tensors"]
    assert f"{len(found['evidence']['tensors'])} of " in found["title"]
    assert "it replaces base's, and no base was passed" in done.out


def test_an_adapter_of_factors_alone_leaves_nothing(forgetaudit: Run, tmp_path: Path) -> None:
    done = forgetaudit("weights", adapter(tmp_path / "adapter"), cwd=tmp_path)
    assert done.code == 0
    assert "not compared" not in done.out


def test_moves_along_a_run_are_measured_over_all_parameters_or_not_at_all(
    forgetaudit: Run, workplace: Path, sample: Path
) -> None:
    """A way over some of the parameters is shorter than the way, and the distance by its length then too large."""
    run = workplace / "run"
    for step in (20, 40, 60, 80):
        (run / f"checkpoint-{step}").mkdir(parents=True)
        source = sample / "run" / f"checkpoint-{step}" / "model.safetensors"
        shutil.copy(source, run / f"checkpoint-{step}" / "model.safetensors")
    without_head = run / "checkpoint-60" / "model.safetensors"
    tensors = load_file(without_head)
    head = next(name for name in reversed(tensors) if tensors[name].ndim == 2 and len(tensors[name]) == 10)
    save_file({name: tensor for name, tensor in tensors.items() if name != head}, without_head)
    path = workplace / "r.json"
    done = forgetaudit(
        "trace", "base.safetensors", run, "--data", "src_val", "--limit", "40", "--max-distance", "9", "--output",
        f"json={path}", cwd=workplace,
    )  # fmt: skip
    assert f"note  checkpoint-60: 1 of 25 parameters was not compared: {head}" in done.out
    points = json.loads(path.read_text())["trace"]["points"]
    moved = [point["moved"] for point in points]
    assert [isinstance(one, float) for one in moved] == [True, True, False, False]
    assert head in moved[2]["not_measured"]
    assert [isinstance(point["net_over_path"], float) for point in points] == [True, True, False, False]
    assert [point["outcome"] for point in points] == ["pass", "pass", "inconclusive", "pass"]
