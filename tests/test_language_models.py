"""Two paths and a file of texts, nothing else: trained language models, with forgetting that is real."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import Run
from tests.fixtures import manifest as fixtures
from transformers import AutoTokenizer

ROOT = Path(__file__).parent / "fixtures"
SCORES = json.loads((ROOT / "manifest.json").read_text())["scores"]
DOCS = ROOT / "data" / "docs.jsonl"
TEXTS = [json.loads(line)["text"] for line in DOCS.read_text().splitlines()]

Compare = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def compared(forgetaudit: Callable[..., Run], tmp_path: Path) -> Compare:
    """Compares two fixtures on `data`, in an empty folder without a config: the run and its JSON report."""

    def run(tuned: str, *options: str, data: Path = DOCS) -> tuple[Run, dict[str, Any]]:
        path = tmp_path / "report.json"
        path.unlink(missing_ok=True)
        base = ROOT / tuned.split("/")[0] / "base"
        words = ["compare", base, ROOT / tuned, "--data", data, "--output", f"json={path}", *options]
        done = forgetaudit(*words, cwd=tmp_path)
        return done, json.loads(path.read_text()) if path.exists() else {}

    return run


def flips(report: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = report["source"][0]["flips"]
    return found


def decisions(report: dict[str, Any]) -> list[str]:
    found: list[str] = report["inputs"]["data"][0]["decisions"]
    return found


@cache
@torch.no_grad()
def right(name: str, n_texts: int) -> np.ndarray:
    """By token whether a plain loop over texts, one at a time, gets it right."""
    model = fixtures.load(ROOT, name)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / name.split("/")[0] / "base")
    found = []
    for text in TEXTS[:n_texts]:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        found.append(model(input_ids=ids).logits[0, :-1].argmax(dim=1) == ids[0, 1:])
    return torch.cat(found).numpy()


@pytest.mark.parametrize("tuned", ["gpt2/tuned", "gpt2/lora", "llama/tuned", "llama/lora", "llama/dora"])
def test_a_pair_is_judged_token_by_token_as_when_it_was_trained(compared: Compare, tuned: str) -> None:
    done, report = compared(tuned, "--max-drop", "2pt")
    assert (done.code, report["verdict"]["outcome"]) == (1, "fail")
    (source,) = report["source"]
    base = SCORES[f"{tuned.split('/')[0]}/base"]["docs"]
    assert (source["task"], source["unit"], source["n"]) == ("causal-lm", "token", base["n_tokens"])
    for side, expected in (("base", base), ("tuned", SCORES[tuned]["docs"])):
        # Another processor may round a score the other way.
        assert source["accuracy"][side] == pytest.approx(expected["accuracy"], abs=2 / base["n_tokens"])
        assert source["nll"][side] == pytest.approx(expected["log_loss"], abs=1e-5)
    assert source["groups"]["n"] == len(TEXTS)
    (kl,) = source["soft"]
    assert (kl["measure"], kl["unit"], kl["value"]["kind"]) == ("kl", "nats", "diagnostic")
    assert 0 < kl["value"]["low"] < kl["value"]["high"]


def test_tokens_that_were_forgotten_are_those_of_a_plain_loop(compared: Compare, tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS[:60]))
    for tuned in ("gpt2/tuned", "llama/lora"):
        _, report = compared(tuned, data=tmp_path / "some.jsonl")
        before, after = right(f"{tuned.split('/')[0]}/base", 60), right(tuned, 60)
        assert flips(report) == {
            "forgotten": int((before & ~after).sum()),
            "gained": int((~before & after).sum()),
            "kept": int((before & after).sum()),
            "missed": int((~before & ~after).sum()),
        }


def test_a_masked_language_model_is_judged_by_its_hidden_tokens(compared: Compare) -> None:
    done, report = compared("bert-mlm/tuned", "--max-drop", "2pt")
    assert (done.code, report["verdict"]["outcome"]) == (1, "fail")
    (source,) = report["source"]
    # The manifest's loop cut texts at the context, here the rest is read as well.
    assert source["n"] > SCORES["bert-mlm/base"]["docs"]["n_tokens"]
    assert source["nll"]["base"] == pytest.approx(SCORES["bert-mlm/base"]["docs"]["log_loss"], abs=0.05)
    assert (source["task"], source["unit"], source["groups"]["n"]) == ("masked-lm", "token", len(TEXTS))
    assert any(
        "longer than the 64 tokens that the model reads: read in" in said for said in decisions(report)
    )


def test_texts_that_fit_are_judged_masked_as_when_the_model_was_trained(
    compared: Compare, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "bert-mlm" / "base")
    short = [text for text in TEXTS if len(tokenizer(text)["input_ids"]) <= 64]
    (tmp_path / "short.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in short))
    (source,) = compared("bert-mlm/tuned", data=tmp_path / "short.jsonl")[1]["source"]
    for side in ("base", "tuned"):
        model = fixtures.load(ROOT, f"bert-mlm/{side}")
        expected = fixtures.measure.score_masked(model, tokenizer, short)
        assert source["n"] == expected["n_tokens"]
        assert source["accuracy"][side] == pytest.approx(expected["accuracy"])
        assert source["nll"][side] == pytest.approx(expected["log_loss"], abs=1e-6)


@pytest.mark.parametrize("tuned", ["gpt2/lora", "llama/lora-bias-modules", "bert-mlm/tuned"])
def test_reuse_changes_no_digit(compared: Compare, tuned: str) -> None:
    (_, with_reuse), (_, without) = (
        compared(tuned, "--limit", "40", *words) for words in ([], ["--no-reuse"])
    )
    for report in (with_reuse, without):
        report.pop("run")
        report["inputs"]["settings"].pop("reuse")
    assert with_reuse == without


@pytest.mark.parametrize("tuned", ["gpt2/tuned", "llama/tuned", "bert-mlm/tuned"])
def test_how_many_texts_are_read_at_once_changes_no_flip(compared: Compare, tuned: str) -> None:
    sizes = ("1", "7", "64")
    reports = [compared(tuned, "--limit", "40", "--batch-size", size)[1] for size in sizes]
    assert len({tuple(flips(report).items()) for report in reports}) == 1
    losses = [report["source"][0]["nll"]["tuned"] for report in reports]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)


def test_long_texts_are_read_in_windows_and_empty_ones_told(compared: Compare, tmp_path: Path) -> None:
    joined = ["\n\n".join(TEXTS[first : first + 5]) for first in range(0, 40, 5)]
    rows = [{"text": text, "label": number % 2} for number, text in enumerate([*joined, ""])]
    (tmp_path / "long.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done, report = compared("gpt2/tuned", data=tmp_path / "long.jsonl")
    assert done.code == 0
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "gpt2" / "base")
    assert report["source"][0]["n"] == sum(len(tokenizer(text)["input_ids"]) - 1 for text in joined)
    assert report["source"][0]["groups"]["n"] == 8
    assert decisions(report)[-4:] == [
        "labels are not used: the text itself is what is asked",
        "every token of a text is asked but the first, given those before it",
        "8 of 9 texts are longer than the 128 tokens that the model reads: read in windows that overlap by 64, "
        "every token asked once",
        "1 of 9 texts have fewer than 2 tokens: nothing to ask",
    ]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"text": "a"}, {"text": ""}], "nothing holds nothing to ask"),
        ([{"text": "a"}, {"text": ""}], "2 of 2 texts have fewer than 2 tokens: nothing to ask"),
        (
            [{"premise": "one", "hypothesis": "two"}] * 2,
            "pairs of texts, and a causal language model reads one",
        ),
    ],
)
def test_texts_that_cannot_be_judged_are_refused(
    compared: Compare, tmp_path: Path, rows: list[dict[str, str]], told: str
) -> None:
    (tmp_path / "nothing.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done, report = compared("gpt2/tuned", data=tmp_path / "nothing.jsonl")
    assert (done.code, report) == (2, {})
    assert told in done.err
    assert "hint: " in done.err


def test_images_for_a_language_model_are_refused(compared: Compare) -> None:
    done, _ = compared("gpt2/tuned", data=ROOT / "data" / "digits_val.parquet")
    assert done.code == 2
    assert "digits_val holds images or arrays, and GPT2LMHeadModel takes text" in done.err


def test_a_language_model_without_a_tokenizer_is_refused(
    forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((ROOT / "gpt2" / "base" / name).read_bytes())
    done = forgetaudit("compare", tmp_path, ROOT / "gpt2" / "tuned", "--data", DOCS, cwd=tmp_path)
    assert done.code == 2
    assert "GPT2LMHeadModel came without a tokenizer" in done.err
    assert "copy tokenizer.json" in done.err
