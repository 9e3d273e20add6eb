"""inspect says what a checkpoint is without running any of it; doctor says what is installed and what is broken."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Run
from tests.models import tiny

Forgetaudit = Callable[..., Run]


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    tiny.vit().save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def test_a_saved_model_is_told_with_its_evidence_and_classes(forgetaudit: Forgetaudit, vit: Path) -> None:
    done = forgetaudit("inspect", vit, cwd=vit)
    assert done.code == 0
    assert "model.safetensors: safetensors" in done.out
    assert (
        "model     ViTForImageClassification (architectures in vit/config.json, built by transformers)"
        in done.out
    )
    assert "classes   3: cat, dog, owl" in done.out
    assert done.err == ""


def test_every_tensor_is_listed_on_request_and_in_the_json(forgetaudit: Forgetaudit, vit: Path) -> None:
    assert "vit.layernorm.bias" not in forgetaudit("inspect", vit, cwd=vit).out
    assert "vit.layernorm.bias" in forgetaudit("inspect", vit, "--verbose", cwd=vit).out
    facts = json.loads(forgetaudit("inspect", vit, "--json", cwd=vit).out)
    assert facts["n_tensors"] == len(facts["tensors"]) == 40
    assert facts["model"]["name"] == "ViTForImageClassification"


def test_weights_alone_are_told_with_the_next_action(forgetaudit: Forgetaudit, vit: Path) -> None:
    (vit / "config.json").unlink()
    out = forgetaudit("inspect", vit, cwd=vit).out
    assert "not built: nothing says which network vit belongs to" in out
    assert "try       pass --model" in out


def test_the_config_of_the_project_counts_as_it_does_for_compare(
    forgetaudit: Forgetaudit, sample: Path
) -> None:
    out = forgetaudit("inspect", "base.safetensors", cwd=sample).out
    assert "model     digits.py:build (forgetaudit.toml)" in out


def test_an_adapter_is_told_with_its_base(forgetaudit: Forgetaudit, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 4, "use_dora": true, "base_model_name_or_path": "org/base"}'
    )
    tiny.vit().save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").rename(tmp_path / "adapter_model.safetensors")
    out = forgetaudit("inspect", tmp_path, cwd=tmp_path).out
    assert "model     PEFT adapter (LORA, rank 4, with DoRA) (adapter_config.json)" in out
    assert "base      org/base" in out


def test_a_file_that_is_no_checkpoint_ends_with_2(forgetaudit: Forgetaudit, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_text("<!DOCTYPE html>")
    done = forgetaudit("inspect", tmp_path / "x.safetensors", cwd=tmp_path)
    assert done.code == 2
    assert "error:" in done.err


def test_inspecting_safetensors_wakes_neither_torch_nor_transformers(vit: Path) -> None:
    program = f"""import sys
from forgetaudit.cli import main
code = main(['inspect', {str(vit)!r}])
print(code, 'torch' in sys.modules, 'transformers' in sys.modules)"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=vit)
    assert run.stdout.splitlines()[-1] == "0 False False"


def test_doctor_says_what_is_here_and_what_would_bring_the_rest(forgetaudit: Forgetaudit) -> None:
    done = forgetaudit("doctor")
    assert done.code == 0
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert "Python" in lines["forgetaudit"]
    assert "runs on" in lines["torch"]
    assert "10 of 10 installed" in lines["core"]
    assert "installed" in lines["transformers"]
    assert lines["lm_eval"].split()[1] in ("installed", "missing:")
    for line in done.out.splitlines():
        assert "missing" not in line or "pip install" in line or "not needed" in line


def test_doctor_tells_a_library_that_is_there_and_broken(
    forgetaudit: Forgetaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timm.py").write_text("raise ImportError('half a timm')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    done = forgetaudit("doctor")
    assert done.code == 0
    (line,) = (line for line in done.out.splitlines() if line.startswith("timm "))
    assert line.split()[1].rstrip(":") == "broken"
    assert ": ImportError: half a timm; pip install --no-deps" in line
