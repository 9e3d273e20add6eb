"""`--data lm-eval:TASK`. What runs the harness itself needs lm-eval: `make test-lm-eval` installs it and runs these."""

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import Run
from tests.fixtures import manifest as fixtures
from tests.fixtures.lm_eval_choices import local_task

from forgetaudit.data.arguments import parse_data
from forgetaudit.errors import DataError, UsageError

FIXTURES = Path(__file__).parent.parent / "fixtures"
QUIZ = FIXTURES / "data" / "choices.jsonl"
SCORES = json.loads((FIXTURES / "manifest.json").read_text())["scores"]
LM_EVAL = json.loads((FIXTURES / "lm_eval.json").read_text())["likelihoods"]

needs_lm_eval = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed: run make test-lm-eval"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with tasks of one's own; `datasets` keeps its cache there, and no network is asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if importlib.util.find_spec("lm_eval") is not None:
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    # JSON is YAML.
    (tmp_path / "quiz.yaml").write_text(json.dumps(local_task("quiz", QUIZ)))
    (tmp_path / "broken.yaml").write_text(json.dumps(local_task("broken", tmp_path / "nowhere.jsonl")))
    return tmp_path


def pair(family: str) -> tuple[Path, Path]:
    return FIXTURES / family / "base", FIXTURES / family / "tuned"


def test_a_task_is_spelt_with_its_prefix(tmp_path: Path) -> None:
    found = parse_data("lm-eval:hellaswag", entries={}, directory=tmp_path)
    assert (found.name, found.where) == ("hellaswag", "lm-eval:hellaswag")
    assert found.decision == "lm-eval:hellaswag: run by lm-eval for every model"
    assert parse_data("lm-eval:tasks/quiz.yaml", entries={}, directory=tmp_path).name == "quiz"
    named = parse_data("source=lm-eval:quiz.yaml", entries={}, directory=tmp_path)
    assert (named.name, named.where) == ("source", "lm-eval:quiz.yaml")
    with pytest.raises(UsageError, match="lm-eval: names no task"):
        parse_data("lm-eval:", entries={}, directory=tmp_path)


def test_a_path_of_that_name_wins(tmp_path: Path) -> None:
    (tmp_path / "lm-eval:x.jsonl").write_text("{}")
    assert parse_data("lm-eval:x.jsonl", entries={}, directory=tmp_path).name == "lm-eval:x"


def test_the_missing_extra_is_named_before_anything_is_read(
    forgetaudit: Callable[..., Run], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgetaudit.models.extras.is_installed", lambda library: library != "lm_eval")
    done = forgetaudit("compare", *pair("gpt2"), "--data", "lm-eval:quiz.yaml", cwd=folder)
    assert done.code == 2
    assert "--data lm-eval:quiz.yaml needs lm_eval, which is not installed" in done.err
    assert "pip install 'forgetaudit[lm-eval]'" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["--task", "multiple-choice"],
        ["--limit", "20"],
        ["--input-column", "context"],
        ["--label-column", "answer"],
        ["--examples", "e.parquet"],
        ["--noise-floor"],
    ],
)
def test_options_that_say_how_to_ask_are_refused(
    forgetaudit: Callable[..., Run], folder: Path, words: list[str]
) -> None:
    done = forgetaudit("compare", *pair("gpt2"), "--data", "lm-eval:quiz.yaml", *words, cwd=folder)
    assert done.code == 2
    assert f"{words[0]} does not apply to --data lm-eval:quiz.yaml" in done.err


@needs_lm_eval
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_harness_asks_base_and_tuned_and_the_answers_are_paired(
    forgetaudit: Callable[..., Run], folder: Path, family: str
) -> None:
    done = forgetaudit(
        "compare", *pair(family), "--data", "lm-eval:quiz.yaml", "--max-drop", "2pt", "--output", "json=r.json",
        cwd=folder,
    )  # fmt: skip
    assert done.code == 1
    assert "fatal" not in done.err
    report = json.loads((folder / "r.json").read_text())
    (section,) = report["source"]
    expected = {name: LM_EVAL[f"{family}/{name}"]["choices"] for name in ("base", "tuned")}
    right = {name: np.array(found["acc"]) for name, found in expected.items()}
    assert section["flips"]["forgotten"] == int((right["base"] > right["tuned"]).sum())
    assert section["flips"]["gained"] == int((right["base"] < right["tuned"]).sum())
    assert (section["data"], section["variant"], section["metric"]) == ("quiz", "tuned", "acc")
    (normalised,) = (score for score in report["scores"] if score["metric"] == "acc_norm")
    for name in ("base", "tuned"):
        assert normalised[name] == pytest.approx(SCORES[f"{family}/{name}"]["choices"]["accuracy_by_length"])
    assert report["features"]["not_measured"] == "lm-eval ran the models, and no features were read"
    assert report["weights"][0]["total"]["relative"] > 0
    (told,) = report["inputs"]["data"]
    assert (told["n"], told["where"]) == (200, "lm-eval:quiz.yaml")
    assert told["decisions"][0] == "lm-eval:quiz.yaml: run by lm-eval for every model"


@needs_lm_eval
def test_several_fine_tunes_and_other_data_stand_in_one_report(
    forgetaudit: Callable[..., Run], folder: Path
) -> None:
    base, tuned = pair("gpt2")
    done = forgetaudit(
        "compare", base, tuned, FIXTURES / "gpt2" / "lora", "--data", "lm-eval:quiz.yaml", "--data", QUIZ,
        "--output", "json=r.json", cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads((folder / "r.json").read_text())
    drops = {(s["data"], s["variant"]): s["accuracy"]["drop"]["estimate"] for s in report["source"]}
    variants = sorted({variant for _, variant in drops})
    assert len(drops) == 4
    for variant in variants:
        assert drops["quiz", variant] == pytest.approx(drops["choices", variant])
    assert {section["data"] for section in report["features"]} == {"choices"}


@needs_lm_eval
def test_a_task_that_is_not_there_or_cannot_be_run_is_refused(
    forgetaudit: Callable[..., Run], folder: Path
) -> None:
    for task, said in (
        ("nowhere.yaml", "there is no task at nowhere.yaml"),
        ("broken.yaml", "cannot run the task"),
    ):
        done = forgetaudit("compare", *pair("gpt2"), "--data", f"lm-eval:{task}", cwd=folder)
        assert done.code == 2
        assert said in done.err
        assert "Traceback" not in done.err


@needs_lm_eval
def test_asking_leaves_random_numbers_and_weights_as_they_were(folder: Path) -> None:
    from transformers import AutoTokenizer

    from forgetaudit.integrations.lm_eval import Harness

    model: Any = fixtures.load(FIXTURES, "gpt2/base")
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "gpt2" / "base")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    (path,) = Harness("quiz.yaml", folder).write_samples(model, tokenizer, folder / "logs", batch_size=32)
    assert path.name.startswith("samples_quiz_")
    assert len(path.read_text().splitlines()) == 200
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert np.random.get_state()[1].tolist() == states[2]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@needs_lm_eval
def test_an_unknown_task_is_refused_with_the_nearest(folder: Path) -> None:
    from forgetaudit.integrations.lm_eval import Harness

    with pytest.raises(DataError, match="lm-eval has no task hellaswagg") as refusal:
        Harness("hellaswagg", folder)
    assert refusal.value.hint is not None
    assert "hellaswag" in refusal.value.hint


@needs_lm_eval
def test_a_dry_run_names_the_task_and_asks_nobody(forgetaudit: Callable[..., Run], folder: Path) -> None:
    done = forgetaudit("compare", *pair("gpt2"), "--data", "lm-eval:quiz.yaml", "--dry-run", cwd=folder)
    assert done.code == 0
    assert "data     quiz: lm-eval:quiz.yaml: run by lm-eval for every model, 2 variants" in done.out
