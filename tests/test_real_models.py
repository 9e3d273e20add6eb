"""Two paths and a data set, nothing else: trained networks of transformers, with forgetting that is real."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tests.conftest import Run
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertForSequenceClassification,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_transformers import TransformersArchitecture

FIXTURES = Path(__file__).parent / "fixtures"
DIGITS = FIXTURES / "data" / "digits_val.parquet"
TEXTS = FIXTURES / "data" / "bert_val.parquet"

Compare = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture
def compared(forgetaudit: Callable[..., Run], tmp_path: Path) -> Compare:
    """Compares two paths, in an empty folder without a config: the run and its JSON report."""

    def run(*words: str | Path) -> tuple[Run, dict[str, Any]]:
        report = tmp_path / "report.json"
        done = forgetaudit("compare", *words, "--output", f"json={report}", cwd=tmp_path)
        return done, json.loads(report.read_text()) if report.exists() else {}

    return run


def rows(path: Path) -> datasets.Dataset:
    return datasets.Dataset.from_parquet(str(path), keep_in_memory=True)


def right(network: Any, inputs: Any, data: datasets.Dataset) -> torch.Tensor:
    """A plain loop's answers, its labels matched by name."""
    names = data.features["label"].names
    wanted = torch.tensor([network.config.label2id[names[label]] for label in data["label"]])
    with torch.no_grad():
        return network.eval()(**inputs).logits.argmax(dim=1) == wanted


def digits_right(folder: Path) -> torch.Tensor:
    data, processor = rows(DIGITS), ViTImageProcessorPil.from_pretrained(FIXTURES / "vit" / "base")
    images = [image.convert("RGB") for image in data["image"]]
    return right(
        ViTForImageClassification.from_pretrained(folder), processor(images, return_tensors="pt"), data
    )


def texts_right(network: Any) -> torch.Tensor:
    data, tokenizer = rows(TEXTS), AutoTokenizer.from_pretrained(FIXTURES / "bert" / "base")
    encoded = tokenizer(list(data["text"]), padding=True, truncation=True, max_length=64, return_tensors="pt")
    return right(network, encoded, data)


def flips(report: dict[str, Any]) -> tuple[int, int]:
    found = report["source"][0]["flips"]
    return found["forgotten"], found["gained"]


def test_two_vits_are_compared_as_a_plain_loop_would(compared: Compare) -> None:
    done, report = compared(FIXTURES / "vit" / "base", FIXTURES / "vit" / "tuned", "--data", DIGITS)
    assert done.code == 0
    base, tuned = (digits_right(FIXTURES / "vit" / name) for name in ("base", "tuned"))
    assert flips(report) == (int((base & ~tuned).sum()), int((tuned & ~base).sum()))
    assert report["source"][0]["accuracy"]["base"] == pytest.approx(base.double().mean().item())
    assert report["source"][0]["accuracy"]["drop"]["estimate"] > 0.2
    assert report["inputs"]["model"]["name"] == "ViTForImageClassification"
    assert "config.json" in report["inputs"]["model"]["evidence"]
    stages = [layer["stage"] for layer in report["weights"][0]["layers"]]
    assert stages == ["stem", "block", "block", "block", "block", "head"]


def test_one_vit_saved_in_two_ways_is_renamed_and_not_missing(compared: Compare) -> None:
    tuned = FIXTURES / "vit" / "tuned"
    done, report = compared(
        tuned, FIXTURES / "vit" / "tuned-state.pt", "--data", FIXTURES / "data" / "digits_turned.parquet"
    )
    assert done.code == 0
    (weights,) = report["weights"]
    assert weights["total"]["distance"] == 0
    assert weights["identical"]
    assert {row["change"] for row in weights["tensors"]} == {"identical", "renamed"}
    assert any("renamed 48 names" in step for step in weights["alignment"])
    assert flips(report) == (0, 0)


def test_two_text_classifiers_are_compared_as_a_plain_loop_would(compared: Compare) -> None:
    done, report = compared(FIXTURES / "bert" / "base", FIXTURES / "bert" / "tuned", "--data", TEXTS)
    assert done.code == 0
    base, tuned = (
        texts_right(BertForSequenceClassification.from_pretrained(FIXTURES / "bert" / name))
        for name in ("base", "tuned")
    )
    assert flips(report) == (int((base & ~tuned).sum()), int((tuned & ~base).sum()))
    assert any("were longer than the 64 tokens" in said for said in report["inputs"]["data"][0]["decisions"])


def test_a_head_of_other_classes_is_replaced_by_bases_and_said(compared: Compare) -> None:
    done, report = compared(FIXTURES / "bert" / "base", FIXTURES / "bert" / "tuned-newhead", "--data", TEXTS)
    assert done.code == 0
    assert set(report["variants"][1]["grafted"]) == {"classifier.weight", "classifier.bias"}
    assert any("base's head was grafted" in note for note in report["inputs"]["model"]["notes"])


def test_an_adapter_is_audited_on_its_base(compared: Compare, tmp_path: Path) -> None:
    network = BertForSequenceClassification.from_pretrained(FIXTURES / "bert" / "base")
    torch.manual_seed(0)
    adapted = get_peft_model(
        network, LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False)
    )
    adapted.save_pretrained(tmp_path / "adapter")
    done, report = compared(FIXTURES / "bert" / "base", tmp_path / "adapter", "--data", TEXTS)
    assert done.code == 0
    base = texts_right(BertForSequenceClassification.from_pretrained(FIXTURES / "bert" / "base"))
    network = BertForSequenceClassification.from_pretrained(FIXTURES / "bert" / "base")
    tuned = texts_right(PeftModel.from_pretrained(network, tmp_path / "adapter"))
    assert flips(report) == (int((base & ~tuned).sum()), int((tuned & ~base).sum()))
    (weights,) = report["weights"]
    changed = {row["name"] for row in weights["tensors"] if row["change"] == "changed"}
    assert changed == {
        f"bert.encoder.layer.{layer}.attention.self.{key}.weight"
        for layer in (0, 1)
        for key in ("query", "value")
    }
    assert "4 tensors merged in float32 as PEFT merges them" in " ".join(
        report["inputs"]["tuned"][0]["notes"]
    )


@pytest.mark.parametrize("kind", ["lora", "dora", "rslora", "ia3", "lora-bias-modules"])
def test_the_weights_of_every_trained_adapter_are_measured(compared: Compare, kind: str) -> None:
    done, report = compared(FIXTURES / "llama" / "base", FIXTURES / "llama" / kind)
    assert done.code == 0
    total = report["weights"][0]["total"]
    assert 0 < total["relative"] < 1
    assert total["n_identical"] > 0


def test_an_adapter_moves_the_weights_as_its_merged_copy_does(compared: Compare) -> None:
    base = FIXTURES / "llama" / "base"
    (_, adapter), (_, merged) = (
        compared(base, FIXTURES / "llama" / name) for name in ("lora", "lora-merged")
    )
    one, two = (report["weights"][0]["total"]["distance"] for report in (adapter, merged))
    assert one == pytest.approx(two, rel=1e-5)


def test_reuse_changes_no_digit_of_a_network_of_the_library(compared: Compare) -> None:
    words = (FIXTURES / "vit" / "base", FIXTURES / "vit" / "tuned", "--data", DIGITS, "--limit", "200")
    (_, with_reuse), (_, without) = compared(*words), compared(*words, "--no-reuse")
    for report in (with_reuse, without):
        report.pop("run")
        report["inputs"]["settings"].pop("reuse")
    assert with_reuse == without


def resized(network: Any, tokenizer_of: Path, folder: Path) -> Path:
    """`network` after five tokens were added, saved with its tokenizer as a user would save it."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    tokenizer.add_tokens([f"<new {number}>" for number in range(5)])
    torch.manual_seed(0)
    network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "made_by", "data"),
    [
        ("gpt2", AutoModelForCausalLM, "docs.jsonl"),
        ("llama", AutoModelForCausalLM, "docs.jsonl"),
        ("bert-mlm", AutoModelForMaskedLM, "docs.jsonl"),
        ("bert", BertForSequenceClassification, "bert_val.parquet"),
    ],
)
def test_five_new_tokens_change_no_number(
    compared: Compare, kind: str, made_by: Any, data: str, tmp_path: Path
) -> None:
    base, tuned = FIXTURES / kind / "base", FIXTURES / kind / "tuned"
    grown = resized(made_by.from_pretrained(tuned), base, tmp_path / "grown")
    words = ("--data", FIXTURES / "data" / data, "--limit", "12", "--max-distance", "9")
    (done, with_tokens), (_, without) = compared(base, grown, *words), compared(base, tuned, *words)
    assert done.code == 0, done.err
    for part in ("source", "features", "scores"):
        assert with_tokens[part] == without[part]
    one, two = (report["weights"][0] for report in (with_tokens, without))
    # All of base was compared: the new rows have nothing there from which they could be far, and are noted.
    assert one["total"] == two["total"]
    assert one["layers"] == two["layers"]
    assert not one["total"]["not_compared"]
    assert "distance" in {rule["rule"] for rule in with_tokens["verdict"]["rules"]}
    assert {rule["outcome"] for rule in with_tokens["verdict"]["rules"]} == {"pass"}
    grew = [row for row in one["tensors"] if row["change"] == "reshaped"]
    n = json.loads((base / "config.json").read_text())["vocab_size"]
    assert [row["shared_rows"] for row in grew] == [n] * len(grew)
    assert all(row["tuned_shape"][0] == n + 5 for row in grew)
    (told,) = [found for found in with_tokens["findings"] if found["id"] == "resized-vocabulary"]
    assert f"has 5 rows more than base's {n}" in told["title"]
    notes = " ".join(with_tokens["inputs"]["model"]["notes"])
    assert "new tokens (5): <new 0>" in notes
    assert f"its vocabulary has 5 more rows than base's {n}, left out" in notes


def test_the_weights_command_knows_rows_of_tokens_by_the_configs(
    forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    base, tuned = FIXTURES / "gpt2" / "base", FIXTURES / "gpt2" / "tuned"
    grown = resized(AutoModelForCausalLM.from_pretrained(tuned), base, tmp_path / "grown")
    totals = []
    for other in (grown, tuned):
        path = tmp_path / f"{other.name}.json"
        done = forgetaudit("weights", base, other, "--output", f"json={path}", cwd=tmp_path)
        assert done.code == 0, done.err
        totals.append(json.loads(path.read_text())["weights"][0]["total"])
    assert totals[0] == totals[1]
    assert totals[0]["not_compared"] == []


def test_new_tokens_hold_no_distance_and_lost_ones_do(
    forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    """Every row of base has one to be compared with, or has not."""
    base, tuned = FIXTURES / "gpt2" / "base", FIXTURES / "gpt2" / "tuned"
    grown = resized(AutoModelForCausalLM.from_pretrained(tuned), base, tmp_path / "grown")
    path = tmp_path / "r.json"
    words = ("--max-distance", "9", "--output", f"json={path}")
    done = forgetaudit("weights", base, grown, *words, cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "note  tuned's vocabulary has 5 rows more than base's" in done.out
    done = forgetaudit("weights", grown, tuned, *words, cwd=tmp_path)
    (rule,) = json.loads(path.read_text())["verdict"]["rules"]
    assert (rule["outcome"], "transformer.wte.weight" in rule["reason"]) == ("inconclusive", True)
    assert "transformer.wte.weight (the rows beyond" in done.out


def test_without_a_config_nothing_says_that_rows_are_tokens(compared: Compare, tmp_path: Path) -> None:
    base, tuned = FIXTURES / "gpt2" / "base", FIXTURES / "gpt2" / "tuned"
    resized(AutoModelForCausalLM.from_pretrained(tuned), base, tmp_path / "grown")
    for name, folder in (("a", base), ("b", tmp_path / "grown")):
        (tmp_path / f"{name}.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    _, report = compared(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    (row,) = [row for row in report["weights"][0]["tensors"] if row["change"] == "reshaped"]
    assert row["distance"] == {"not_measured": "the shapes differ"}
    assert row["shared_rows"] is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("llama", name) for name in ("lora", "dora", "rslora", "ia3", "lora-bias-modules")), ("gpt2", "lora")],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_audited_is_the_merged_adapter_and_answers_as_the_unmerged_one(kind: str, name: str) -> None:
    """Bit for bit what PEFT merges. Unmerged, the same sums are taken in another order, and float32 rounds them."""
    base, adapter = FIXTURES / kind / "base", FIXTURES / kind / name
    texts = [json.loads(line)["text"] for line in (FIXTURES / "data" / "docs.jsonl").open()][:24]
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    read = tokenizer(texts, truncation=True, max_length=128, padding=True, return_tensors="pt")
    tokens, mask = read["input_ids"], read["attention_mask"].bool()

    def adapted() -> Any:
        network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        return PeftModel.from_pretrained(network, adapter).eval()

    unmerged, merged = adapted(), adapted().merge_and_unload()
    made = TransformersArchitecture(find_evidence(base))
    with open_checkpoint(base) as weights, made.adapted(weights, adapter) as found, torch.no_grad():
        on_cpu = {"dtype": torch.float32, "device": torch.device("cpu")}
        model = made.build(weights, **on_cpu, seed=0).model
        ours = made.load(model, found, **on_cpu).state
        assert all(torch.equal(tensor, ours[name]) for name, tensor in merged.state_dict().items())
        assert any("merged in float32 as PEFT merges them" in note for note in found.notes)
        one, two = (net(tokens, attention_mask=mask.long()).logits[mask] for net in (unmerged, merged))
    assert (one - two).abs().max() <= 1e-5 * one.abs().max()
    assert torch.equal(one.argmax(dim=-1), two.argmax(dim=-1))
