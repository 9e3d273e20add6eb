"""Real models, repaired and loaded again by the libraries that made them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageClassification

FIXTURES = Path(__file__).parent / "fixtures"
TEXT = torch.tensor([[5, 17, 40, 99, 3, 250]])


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    rows = (FIXTURES / "data" / "docs.jsonl").read_text("utf-8").splitlines()[:100]
    path = tmp_path / "docs.jsonl"
    path.write_text("\n".join(rows), "utf-8")
    return path


def mixed_by_hand(base: dict[str, Any], tuned: dict[str, Any], alpha: float) -> Iterator[tuple[str, Any]]:
    for name, tensor in tuned.items():
        yield name, ((1 - alpha) * base[name].double() + alpha * tensor.double()).to(tensor.dtype)


def chosen(report: Path) -> float:
    return float(json.loads(report.read_text())["repair"]["chosen"].split()[-1])


def test_a_vision_transformer_of_transformers_is_loaded_again(forgetaudit: Any, tmp_path: Path) -> None:
    base, tuned, out = FIXTURES / "vit" / "base", FIXTURES / "vit" / "tuned", tmp_path / "vit"
    data = FIXTURES / "data" / "digits_val.parquet"
    run = forgetaudit(
        "repair", base, tuned, "--data", data, "--limit", "200", "--families", "mixture", "--win-back", "20%",
        "-o", out, cwd=tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert {path.name for path in out.iterdir()} == {
        *(path.name for path in tuned.iterdir()),
        "forgetaudit-card.md",
        "forgetaudit-repair.json",
    }
    model, said = AutoModelForImageClassification.from_pretrained(out, output_loading_info=True)
    assert not said["missing_keys"]
    assert not said["unexpected_keys"]
    alpha = chosen(out / "forgetaudit-repair.json")
    found = load_file(out / "model.safetensors")
    by_hand = mixed_by_hand(
        load_file(base / "model.safetensors"), load_file(tuned / "model.safetensors"), alpha
    )
    for name, wanted in by_hand:
        assert torch.equal(found[name], wanted), name
    assert model.config.id2label == AutoModelForImageClassification.from_pretrained(tuned).config.id2label


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=TEXT).logits
    return found


def test_a_lora_adapter_is_an_adapter_again_at_its_new_strength(
    forgetaudit: Any, tmp_path: Path, docs: Path
) -> None:
    base, tuned, out = FIXTURES / "llama" / "base", FIXTURES / "llama" / "lora", tmp_path / "lora"
    code = tmp_path / "code.jsonl"
    rows = (FIXTURES / "data" / "code.jsonl").read_text("utf-8").splitlines()[:60]
    code.write_text("\n".join(rows), "utf-8")
    run = forgetaudit(
        "repair", base, tuned, "--data", docs, "--target", code, "--keep-target", "5pt", "--families", "mixture",
        "-o", out, cwd=tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "written as an adapter again: each B is scaled" in run.out
    assert (out / "adapter_config.json").read_bytes() == (tuned / "adapter_config.json").read_bytes()
    strength = chosen(out / "forgetaudit-repair.json")
    before, after = (load_file(path / "adapter_model.safetensors") for path in (tuned, out))
    for name, tensor in after.items():
        scale = strength if ".lora_B." in name else 1.0
        assert torch.equal(tensor, (scale * before[name].double()).to(tensor.dtype)), name
    # PEFT's own way to a weaker adapter is to scale what it adds.
    ours = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(out))
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(tuned))
    for module in theirs.modules():
        if hasattr(module, "scale_layer"):
            module.scale_layer(strength)
    assert torch.allclose(logits(ours), logits(theirs), atol=2e-3)
    assert not torch.allclose(logits(ours), logits(AutoModelForCausalLM.from_pretrained(base)), atol=2e-3)


def test_an_adapter_that_is_no_sum_is_written_merged_and_that_is_said(
    forgetaudit: Any, tmp_path: Path, docs: Path
) -> None:
    base, tuned, out = FIXTURES / "llama" / "base", tmp_path / "dora-in", tmp_path / "dora"
    shutil.copytree(FIXTURES / "llama" / "dora", tuned)
    run = forgetaudit(
        "repair",
        base,
        tuned,
        "--data",
        docs,
        "--families",
        "mixture",
        "--win-back",
        "5%",
        "-o",
        out,
        cwd=tmp_path,
    )
    assert run.code == 0, run.err
    assert "written merged into base's weights, not as an adapter: DoRA rescales" in run.out
    model, said = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not said["missing_keys"]
    assert model.dtype == AutoModelForCausalLM.from_pretrained(base).dtype


def test_with_a_head_of_tuneds_own_a_target_cannot_be_kept_and_the_head_is_left_alone(
    forgetaudit: Any, tmp_path: Path
) -> None:
    base, tuned, out = FIXTURES / "bert" / "base", FIXTURES / "bert" / "tuned-newhead", tmp_path / "out"
    words = ("repair", base, tuned, "--data", FIXTURES / "data" / "bert_val.parquet", "--limit", "120")
    asked = forgetaudit(*words, "--target", FIXTURES / "data" / "bert_form.parquet", cwd=tmp_path)
    assert asked.code == 2
    assert "tuned has a head of its own, and base's answers in its place" in asked.err
    run = forgetaudit(*words, "--families", "mixture", "-o", out, cwd=tmp_path)
    assert run.code == 0, run.err
    assert "tuned's own head stays as it is, and what it answers now was not measured" in run.out
    before, after = (load_file(path / "model.safetensors") for path in (tuned, out))
    assert torch.equal(before["classifier.weight"], after["classifier.weight"])
    assert not torch.equal(
        before["bert.embeddings.word_embeddings.weight"], after["bert.embeddings.word_embeddings.weight"]
    )
