"""Two paths and a file of questions, nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Run

FIXTURES = Path(__file__).parent / "fixtures"
QUIZ = FIXTURES / "data" / "choices.jsonl"
SCORES = json.loads((FIXTURES / "manifest.json").read_text())["scores"]
ROWS = [json.loads(line) for line in QUIZ.read_text().splitlines()[:8]]

Forgetaudit = Callable[..., Run]


def pair(family: str) -> tuple[Path, Path]:
    return FIXTURES / family / "base", FIXTURES / family / "tuned"


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_choices_are_scored_as_the_manifest_says(
    forgetaudit: Forgetaudit, tmp_path: Path, family: str
) -> None:
    done = forgetaudit("compare", *pair(family), "--data", QUIZ, "--output", "json=r.json", cwd=tmp_path)
    assert done.code == 0
    assert "200 questions" in done.out
    assert "nats/question" in done.out
    report = json.loads((tmp_path / "r.json").read_text())
    (section,), (features,) = report["source"], report["features"]
    expected = {name: SCORES[f"{family}/{name}"]["choices"] for name in ("base", "tuned")}
    for name, score in expected.items():
        assert section["accuracy"][name] == pytest.approx(score["accuracy"])
        assert report["scores"][0][name] == pytest.approx(score["accuracy_by_length"])
    assert report["scores"][0]["metric"] == "acc_norm"
    assert section["task"] == "multiple-choice"
    assert section["accuracy"]["drop"]["low"] > 0
    assert all("estimate" in layer["cka"] for layer in features["layers"])
    decisions = report["inputs"]["data"][0]["decisions"]
    assert "task multiple-choice: the data hold contexts with choices" in decisions
    assert "a choice is judged by its log-likelihood (lm-eval's acc), after one space" in decisions
    assert "each context was run once" in decisions


def test_the_normalised_accuracy_can_be_the_one_that_is_judged(
    forgetaudit: Forgetaudit, tmp_path: Path
) -> None:
    done = forgetaudit(
        "compare", *pair("gpt2"), "--data", QUIZ, "--task", "multiple-choice-normalised", "--max-drop", "2pt",
        "--output", "json=r.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 1
    report = json.loads((tmp_path / "r.json").read_text())
    score = SCORES["gpt2/base"]["choices"]
    assert report["source"][0]["accuracy"]["base"] == pytest.approx(score["accuracy_by_length"])
    assert (report["scores"][0]["metric"], report["scores"][0]["base"]) == (
        "acc",
        pytest.approx(score["accuracy"]),
    )


def test_reuse_changes_no_digit(forgetaudit: Forgetaudit, tmp_path: Path) -> None:
    reports = []
    for words in ([], ["--no-reuse"]):
        forgetaudit(
            "compare", *pair("llama"), "--data", QUIZ, "--limit", "40", "--output", "json=r.json", *words, cwd=tmp_path
        )  # fmt: skip
        reports.append(json.loads((tmp_path / "r.json").read_text()))
        reports[-1].pop("run")
        reports[-1]["inputs"]["settings"].pop("reuse")
    assert reports[0] == reports[1]


def test_a_network_that_is_no_causal_language_model_is_refused(
    forgetaudit: Forgetaudit, tmp_path: Path
) -> None:
    for family, made_for in (("bert", "classification"), ("bert-mlm", "masked-lm")):
        done = forgetaudit("compare", *pair(family), "--data", QUIZ, cwd=tmp_path)
        assert done.code == 2
        assert "holds contexts with choices, and Bert" in done.err
        assert f"was made for {made_for}" in done.err
        assert "pass a causal language model" in done.err
        assert "Traceback" not in done.err


def changed(row: int, **values: Any) -> list[dict[str, Any]]:
    return [{**one, **values} if number == row else one for number, one in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (changed(3, choices=[]), "1 of 8 rows have fewer than two choices"),
        (changed(3, choices=["one"]), "rows (1): 3 (one)"),
        (changed(5, answer=4), "1 of 8 answers in answer name none of their choices"),
        (changed(5, answer=None), "1 of 8 rows have no answer"),
        (changed(2, context=None), "context in row 2 of quiz.jsonl is empty"),
        ([{**row, "label": 0} for row in ROWS], "more than one column could be the label: answer, label"),
        (
            [{**row, "question": "?"} for row in ROWS],
            "more than one column could be the context: context, question",
        ),
        ([{**row, "answer": 1 + row["answer"] % 2} for row in ROWS], "fit counted from 0 and counted from 1"),
        (
            [{key: value for key, value in row.items() if key != "answer"} for row in ROWS],
            "quiz does not say which choice is right",
        ),
    ],
)
def test_bad_rows_are_refused_with_their_place(
    forgetaudit: Forgetaudit, tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = forgetaudit("compare", *pair("gpt2"), "--data", "quiz.jsonl", cwd=tmp_path)
    assert done.code == 2
    assert said in done.err
    assert "hint:" in done.err
    assert "Traceback" not in done.err
