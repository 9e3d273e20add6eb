"""Two folders of sentence-transformers and pairs of texts, nothing else: a trained encoder that forgot how to retrieve."""

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tests.conftest import Run
from tests.fixtures import sentence_transformers_encode as encoded
from tests.fixtures.held_out import read_lines
from tests.reference.retrieval import cosine, retrieve
from torch.nn.functional import normalize
from transformers import AutoTokenizer, BertModel

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_transformers import TransformersArchitecture

FIXTURES = Path(__file__).parent / "fixtures"
BASE, TUNED = FIXTURES / "sbert" / "base", FIXTURES / "sbert" / "tuned"
PAIRS = FIXTURES / "data" / "pairs.jsonl"
RECORDED = json.loads(encoded.WRITTEN.read_text())

Compare = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def compared(forgetaudit: Callable[..., Run], tmp_path: Path) -> Compare:
    """Compares two paths, in an empty folder without a config: the run and its JSON report."""

    def run(*words: str | Path) -> tuple[Run, dict[str, Any]]:
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        done = forgetaudit("compare", *words, "--output", f"json={report}", cwd=tmp_path)
        return done, json.loads(report.read_text()) if report.exists() else {}

    return run


def embed(folder: Path, texts: Sequence[str]) -> list[list[float]]:
    """One text at a time, so that nothing is padded: the mean of its tokens."""
    model, tokenizer = (
        BertModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False),
        AutoTokenizer.from_pretrained(folder),
    )
    rows = []
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
            rows.append(model(**ids).last_hidden_state[0].double().mean(dim=0).tolist())
    return rows


def answers(folder: Path, rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """What a plain loop finds; every passage is different."""
    queries, passages = (embed(folder, [row[side] for row in rows]) for side in ("query", "passage"))
    right = [[place] for place in range(len(rows))]
    found: list[dict[str, Any]] = retrieve(queries, passages, right, cosine, 20.0, 10)
    return found


def test_two_encoders_are_compared_as_a_plain_loop_would(compared: Compare, tmp_path: Path) -> None:
    rows = read_lines(PAIRS)[:80]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done, report = compared(BASE, TUNED, "--data", tmp_path / "pairs.jsonl")
    assert done.code == 0
    base, tuned = answers(BASE, rows), answers(TUNED, rows)
    pairs = [(one["correct"], other["correct"]) for one, other in zip(base, tuned, strict=True)]
    section = report["source"][0]
    assert section["flips"] == {
        "forgotten": pairs.count((True, False)),
        "gained": pairs.count((False, True)),
        "kept": pairs.count((True, True)),
        "missed": pairs.count((False, False)),
    }
    assert section["nll"]["base"] == pytest.approx(sum(one["nll"] for one in base) / len(rows), rel=1e-5)
    assert section["nll"]["tuned"] == pytest.approx(sum(one["nll"] for one in tuned) / len(rows), rel=1e-5)
    changed = sum(one["predicted"] != other["predicted"] for one, other in zip(base, tuned, strict=True))
    assert section["disagreement"]["estimate"] == pytest.approx(changed / len(rows))
    scores = {one["metric"]: one for one in report["scores"]}
    for cut in (5, 10):
        for side, found in (("base", base), ("tuned", tuned)):
            share = sum(one["ranks"][0] <= cut for one in found) / len(rows)
            assert scores[f"recall@{cut}"][side] == pytest.approx(share)
    mean_rank = sum(1 / one["ranks"][0] for one in base) / len(rows)
    assert scores["mrr"]["base"] == pytest.approx(mean_rank)
    shared = [
        len({*one["nearest"]} & {*other["nearest"]}) / 10 for one, other in zip(base, tuned, strict=True)
    ]
    soft = {one["measure"]: one["value"]["estimate"] for one in section["soft"]}
    assert soft["overlap@10"] == pytest.approx(sum(shared) / len(rows))


def test_the_screen_says_what_was_found_and_how(compared: Compare) -> None:
    done, report = compared(BASE, TUNED, "--data", PAIRS)
    assert done.code == 0
    assert "200 queries" in done.out
    assert "recall@10" in done.out
    assert "overlap@10" in done.out
    section, data = report["source"][0], report["inputs"]["data"][0]
    assert (section["n"], section["unit"], section["task"]) == (200, "query", "embedding")
    assert section["unusable"] is None
    assert section["accuracy"]["drop"]["low"] > 0.05
    told = "\n".join(data["decisions"])
    assert "embeddings: mean of tokens, normalised, by modules.json" in told
    assert "200 queries, each searched for among all 200 different documents" in told
    assert report["inputs"]["model"]["evidence"] == "modules.json in base, encoder built by transformers"
    # One CKA over all texts, queries and passages.
    assert {layer["n"] for layer in report["features"][0]["layers"]} == {400}


def test_queries_keep_their_places_and_their_groups(compared: Compare, tmp_path: Path) -> None:
    rows = [row | {"about": str(place // 20)} for place, row in enumerate(read_lines(PAIRS))]
    (tmp_path / "grouped.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed = tmp_path / "examples.parquet"
    words = ("--data", tmp_path / "grouped.jsonl", "--group-by", "about", "--examples", listed)
    _, report = compared(BASE, TUNED, *words)
    assert report["source"][0]["groups"]["n"] == 10
    table = datasets.Dataset.from_parquet(str(listed), keep_in_memory=True)
    assert list(table["row"]) == list(range(200))
    assert sum(table["base_n_right"]) == 55


def test_base_in_other_batches_finds_the_same_documents(compared: Compare) -> None:
    _, report = compared(BASE, TUNED, "--data", PAIRS, "--noise-floor")
    assert report["noise"][0]["n_flips"] <= 1
    assert report["noise"][0]["n"] == 200


def test_base_against_itself_forgot_nothing(compared: Compare) -> None:
    done, report = compared(BASE, BASE, "--data", PAIRS, "--max-drop", "1pt")
    assert done.code == 0
    section = report["source"][0]
    assert section["known"]
    assert section["flips"]["forgotten"] == section["flips"]["gained"] == 0
    assert section["soft"][0]["value"]["estimate"] == 1.0


def test_a_gate_on_recall_fails_for_the_encoder_that_forgot(compared: Compare) -> None:
    done, report = compared(BASE, TUNED, "--data", PAIRS, "--max-drop", "2pt")
    assert (done.code, report["verdict"]["outcome"]) == (1, "fail")


def test_weights_one_folder_further_down_are_the_same_model(compared: Compare, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(TUNED, old)
    (old / "0_Transformer").mkdir()
    inner = [path for path in old.iterdir() if path.is_file() and path.name not in OUTER]
    for path in inner:
        path.rename(old / "0_Transformer" / path.name)
    modules = json.loads((old / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (old / "modules.json").write_text(json.dumps(modules))
    done, report = compared(old, TUNED, "--data", PAIRS)
    assert done.code == 0
    assert report["source"][0]["known"]
    assert report["inputs"]["base"]["notes"] == ["the weights are in 0_Transformer, by modules.json"]


OUTER = ("modules.json", "config_sentence_transformers.json")


def test_a_plain_encoder_is_read_by_the_mean_of_its_tokens_and_it_is_said(
    compared: Compare, tmp_path: Path
) -> None:
    for name, folder in (("base", BASE), ("tuned", TUNED)):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / "modules.json").unlink()
    _, sentence = compared(BASE, TUNED, "--data", PAIRS)
    _, plain = compared(tmp_path / "base", tmp_path / "tuned", "--data", PAIRS)
    assert plain["source"][0]["flips"] == sentence["source"][0]["flips"]
    told = "\n".join(plain["inputs"]["data"][0]["decisions"])
    assert "the mean of a text's tokens, because nothing beside the weights says how they are made" in told


def test_labels_say_which_pairs_belong_together(compared: Compare, tmp_path: Path) -> None:
    rows = read_lines(PAIRS)[:120]
    wrong = [
        {"query": row["query"], "passage": other["passage"], "label": 0} for row, other in pairwise(rows[:40])
    ]
    asked = [row | {"label": 1} for row in rows[:60]]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked + wrong))
    _, report = compared(BASE, TUNED, "--data", tmp_path / "labelled.jsonl")
    assert report["source"][0]["n"] == 60


@pytest.mark.parametrize(
    ("base", "data", "words", "said"),
    [
        (BASE, "data/digits_val.parquet", (), "holds images or arrays"),
        (FIXTURES / "vit" / "base", "data/pairs.jsonl", ("--task", "embedding"), "reads none"),
        (BASE, "data/docs.jsonl", (), "no pair of a query and its document"),
        (FIXTURES / "gpt2" / "base", "data/pairs.jsonl", ("--task", "embedding"), "no hidden states"),
    ],
)
def test_what_cannot_be_retrieved_is_refused(
    base: Path, data: str, words: tuple[str, ...], said: str, compared: Compare
) -> None:
    done, _ = compared(base, base.parent / "tuned", "--data", FIXTURES / data, *words)
    assert done.code == 2
    assert said in done.err
    assert "hint:" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", "b"), ("a", "c")], "the data hold 1 query"),
        ([("a", "b"), ("c", "b")], "the data hold 1 document"),
        ([("a", "b"), ("c", " ")], "a pair has no document, only an empty text"),
    ],
)
def test_data_that_tell_nothing_apart_are_refused(
    rows: list[tuple[str, str]], said: str, compared: Compare, tmp_path: Path
) -> None:
    lines = [json.dumps({"query": query, "passage": passage}) + "\n" for query, passage in rows]
    (tmp_path / "few.jsonl").write_text("".join(lines))
    done, _ = compared(BASE, TUNED, "--data", tmp_path / "few.jsonl")
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize("name", encoded.CASES)
def test_embeddings_are_those_of_sentence_transformers_itself(name: str, tmp_path: Path) -> None:
    folder = encoded.make_case(tmp_path / "case", **encoded.CASES[name])
    architecture = TransformersArchitecture(find_evidence(folder))
    with open_checkpoint(folder) as checkpoint:
        built = architecture.build(checkpoint, dtype=torch.float32, device=torch.device("cpu"), seed=0)
    preparation = built.preparation
    assert preparation.encode is not None
    assert preparation.sentences is not None
    given = preparation.encode([preparation.sentences.query_prompt + text for text in encoded.TEXTS])
    with torch.no_grad():
        hidden = built.model(**given).last_hidden_state
    found = preparation.sentences.pool(hidden, given["attention_mask"])
    expected = torch.tensor(RECORDED["embeddings"][name])
    assert (found - expected).abs().max() < 1e-5


@pytest.mark.parametrize("folder", [BASE, TUNED])
def test_the_first_document_of_every_query_is_that_of_sentence_transformers(folder: Path) -> None:
    rows = read_lines(PAIRS)
    queries, passages = (
        normalize(torch.tensor(embed(folder, [row[side] for row in rows])), dim=1)
        for side in ("query", "passage")
    )
    assert (queries @ passages.T).argmax(dim=1).tolist() == RECORDED["found"][folder.name]
