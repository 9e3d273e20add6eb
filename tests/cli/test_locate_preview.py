"""locate --preview, as a user runs it: beside the Shapley values of the same data, on planted cases, and refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import forgetaudit as package
from forgetaudit.report.report import AuditReport

FIXTURES = Path(__file__).parents[1] / "fixtures"


def run(folder: Path, *words: str) -> dict[str, Any]:
    from forgetaudit.cli import main

    here = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["locate", *words, "-q", "--output", "json=located.json"]) == 0
        found: dict[str, Any] = json.loads(Path("located.json").read_text())
        return found
    finally:
        os.chdir(here)


def preview_of(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = report["locate"][0]["preview"]
    return found


def shares(report: dict[str, Any]) -> dict[str, float]:
    return {row["name"]: row["share"] for row in preview_of(report)["rows"]}


@pytest.fixture(scope="module")
def folder(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("preview") / "sample"
    shutil.copytree(sample, where, ignore=shutil.ignore_patterns("run", "src_train", "__pycache__"))
    return where


@pytest.fixture(scope="module")
def previewed(folder: Path) -> dict[str, Any]:
    return run(folder, "base.safetensors", "tuned.safetensors", "--data", "src_val", "--preview")


def test_the_rise_is_what_was_measured_and_the_gap_what_the_shares_miss(previewed: dict[str, Any]) -> None:
    found = preview_of(previewed)
    increase = previewed["source"][0]["nll"]["increase"]
    for number in ("estimate", "low", "high"):
        assert found["rise"][number] == pytest.approx(increase[number])
    assert sum(shares(previewed).values()) == pytest.approx(found["total"])
    assert found["rise"]["estimate"] - found["total"] == pytest.approx(found["gap"])
    assert abs(found["gap"]) < 0.01 * found["rise"]["estimate"]
    assert (found["trusted"], found["n_blocks"], found["left_out"]) == (True, 13, [])


def test_it_points_at_the_parts_that_shapley_values_name(previewed: dict[str, Any], folder: Path) -> None:
    exact = run(folder, "base.safetensors", "tuned.safetensors", "--data", "src_val", "--limit", "300")
    values = {row["name"]: row["shapley_nll"]["estimate"] for row in exact["locate"][0]["players"]}
    assert list(shares(previewed)) == list(values)
    # A straight line is not all orders: which of the three leads may differ, and does.
    assert set(sorted(values, key=values.__getitem__)[-3:]) == set(
        sorted(shares(previewed), key=shares(previewed).__getitem__)[-3:]
    )
    assert all(value * shares(previewed)[name] > 0 for name, value in values.items() if abs(value) > 0.1)


def test_nothing_is_invented_for_what_a_preview_does_not_do(previewed: dict[str, Any]) -> None:
    section = previewed["locate"][0]
    assert (section["players"], section["resets"]) == ([], [])
    assert section["sums"] == {"not_measured": "a preview rolls nothing back"}
    assert section["orders"] == "none (--preview)"
    assert previewed["inputs"]["settings"]["preview"] is True
    assert all(row["interval"]["kind"] == "diagnostic" for row in preview_of(previewed)["rows"])


def test_nobody_is_blamed_and_it_is_said_what_to_run(previewed: dict[str, Any]) -> None:
    (finding,) = (f for f in previewed["findings"] if f["id"].startswith("preview"))
    assert finding["id"] == "preview-points-at"
    assert (finding["severity"], finding["confidence"]) == ("info", "low")
    assert "without --preview" in finding["advice"]


def test_every_interval_holds_its_share(previewed: dict[str, Any]) -> None:
    for row in preview_of(previewed)["rows"]:
        assert row["interval"]["low"] < row["share"] < row["interval"]["high"]
        assert row["interval"]["method"] == "batch-means"


def test_only_block2_changed_and_all_of_the_rise_is_its(folder: Path) -> None:
    base, tuned = load_file(folder / "base.safetensors"), load_file(folder / "tuned.safetensors")
    save_file(
        {name: (tuned if name.startswith("block2.conv") else base)[name] for name in base},
        folder / "planted.safetensors",
    )
    report = run(folder, "base.safetensors", "planted.safetensors", "--data", "src_val", "--preview")
    assert list(shares(report)) == ["block2"]
    found = preview_of(report)
    assert abs(found["gap"]) < 0.02 * found["rise"]["estimate"]


def test_running_statistics_alone_have_all_of_the_rise(folder: Path) -> None:
    base, tuned = load_file(folder / "base.safetensors"), load_file(folder / "tuned.safetensors")
    save_file(
        {name: (tuned if "running" in name else base)[name] for name in base},
        folder / "statistics.safetensors",
    )
    report = run(folder, "base.safetensors", "statistics.safetensors", "--data", "src_val", "--preview")
    assert list(shares(report)) == ["running statistics"]
    found = preview_of(report)
    assert found["rise"]["estimate"] > 0.1
    assert abs(found["gap"]) < 0.05 * found["rise"]["estimate"]


def test_where_no_loss_is_proved_no_part_is_pointed_at(folder: Path) -> None:
    report = run(folder, "base.safetensors", "lowlr.safetensors", "--data", "src_val", "--preview")
    assert not [f for f in report["findings"] if f["id"].startswith("preview")]


def test_what_misses_the_rise_says_so(
    folder: Path, forgetaudit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgetaudit.audits.locate.preview.NODES", 1)
    done = forgetaudit(
        "locate", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--preview", cwd=folder
    )
    assert done.code == 0
    assert "PREVIEW, NOT TO BE TRUSTED  source log loss rose 1.16 nats; the shares miss" in done.out
    assert "why   the preview's shares miss the rise in log loss by" in done.out
    assert "run locate without --preview" in done.out


@pytest.mark.parametrize(
    ("pair", "data", "parts"),
    [
        ("gpt2/base gpt2/tuned", "docs.jsonl", 5),
        ("llama/base llama/lora", "docs.jsonl", 2),
        ("bert-mlm/base bert-mlm/tuned", "docs.jsonl", 4),
        ("vit/base vit/tuned", "digits_val.parquet", 6),
    ],
)
def test_real_networks_share_out_their_rise(
    pair: str, data: str, parts: int, tmp_path: Path, forgetaudit: Any
) -> None:
    path = tmp_path / "located.json"
    words = ("--data", f"data/{data}", "--limit", "64", "--batch-size", "8", "--output", f"json={path}")
    done = forgetaudit("locate", *pair.split(), "--preview", *words, cwd=FIXTURES)
    assert done.code == 0, done.err
    found = preview_of(json.loads(path.read_text()))
    assert len(found["rows"]) == parts
    assert abs(found["gap"]) < 0.03 * found["rise"]["estimate"]
    assert found["n_blocks"] >= 8


def test_a_grafted_head_has_no_share(tmp_path: Path, forgetaudit: Any) -> None:
    path = tmp_path / "located.json"
    words = ("--data", "data/bert_val.parquet", "--limit", "64", "--output", f"json={path}")
    done = forgetaudit("locate", "bert/base", "bert/tuned-newhead", "--preview", *words, cwd=FIXTURES)
    assert done.code == 0, done.err
    assert "classifier" not in shares(json.loads(path.read_text()))
    assert "no intervals: an interval needs 4 batches that share no group, and there are 1" in done.out


def test_python_gives_what_the_command_gives(
    folder: Path, previewed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    report = package.locate(
        "base.safetensors", "tuned.safetensors", data="src_val", config="forgetaudit.toml", preview=True
    )
    assert json.loads(report.to_json())["locate"] == previewed["locate"]


def test_it_reads_back_fits_80_columns_and_is_shown_in_every_form(
    previewed: dict[str, Any], forgetaudit: Any, tmp_path: Path
) -> None:
    from forgetaudit.renderers.terminal import render

    saved = tmp_path / "again.json"
    saved.write_text(json.dumps(previewed))
    assert "PREVIEW  source log loss rose" in forgetaudit("show", saved).out
    narrow = render(AuditReport.model_validate(previewed), width=80, unicode=False)
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.isascii()
    told = {
        name: forgetaudit("show", saved, "--format", name).out
        for name in ("md", "html", "csv", "junit", "github")
    }
    assert "| `block2` | 0.471 | 0.409 to 0.532 | 40 % |" in told["md"]
    assert "error: sum of shares 1.17, rise 1.16 `[1.03`, `1.29]` nats: gap −0.00528, 0.5 %" in told["md"]
    for name in ("md", "html", "github"):
        assert "PREVIEW" in told[name]
        assert "NOT LOCATED" not in told[name]
    rows = [line.split(",") for line in told["csv"].splitlines() if "locate.preview" in line]
    assert [row[3] for row in rows[:3]] == ["rise", "total", "gap"]
    share = next(row for row in rows if row[0] == "locate.preview.rows.share" and row[3] == "block2")
    assert float(share[4]) == shares(previewed)["block2"]


def test_a_report_of_before_there_were_previews_is_read(folder: Path) -> None:
    words = ("--data", "src_val", "--limit", "60", "--permutations", "0")
    report = run(folder, "base.safetensors", "tuned.safetensors", *words)
    assert report["locate"][0].pop("preview") is None
    assert AuditReport.model_validate(report).locate[0].preview is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("base.safetensors base.safetensors --data src_val", "tuned is base, bit for bit"),
        ("base.safetensors tuned.safetensors", "locate needs --data"),
        ("base.safetensors tuned.safetensors --data src_val --permutations 16", "with --preview there are none"),
        ("base.safetensors tuned.safetensors --data target_val", "nothing can be located on target_val: the labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_previewed_is_refused(forgetaudit: Any, words: str, said: str) -> None:
    done = forgetaudit("locate", *words.split(), "--preview")
    assert done.code == 2
    assert done.out == ""
    assert said in done.err


@pytest.mark.parametrize(
    ("pair", "data", "task"),
    [("gpt2", "choices.jsonl", "multiple-choice"), ("sbert", "pairs.jsonl", "embedding")],
)
def test_tasks_without_a_loss_are_refused_and_it_is_said_which_have_one(
    forgetaudit: Any, pair: str, data: str, task: str
) -> None:
    done = forgetaudit(
        "locate", f"{pair}/base", f"{pair}/tuned", "--data", f"data/{data}", "--preview", cwd=FIXTURES
    )
    assert done.code == 2
    assert f"--preview needs a log loss with a gradient, and the task {task} has none" in done.err
    assert "classification, causal-lm and masked-lm have one" in done.err
    assert "leave --preview out" in done.err


def test_base_at_chance_is_refused(forgetaudit: Any, workplace: Path) -> None:
    tensors = load_file(workplace / "base.safetensors")
    rng = np.random.default_rng(0)
    tensors["head.weight"] = rng.standard_normal(tensors["head.weight"].shape).astype(np.float32) * 1e-9
    save_file(tensors, workplace / "blank.safetensors")
    words = ("--data", "src_val", "--limit", "60", "--preview")
    done = forgetaudit("locate", "blank.safetensors", "tuned.safetensors", *words, cwd=workplace)
    assert done.code == 2
    assert "base is at chance on src_val" in done.err


def test_a_task_of_ones_own_needs_a_loss_and_then_gives_the_same(
    forgetaudit: Any, workplace: Path, tmp_path: Path
) -> None:
    (workplace / "mine.py").write_text(
        "from forgetaudit.tasks.classifying import classification\n"
        "def with_loss(setting): return classification(setting)\n"
        "class Bare:\n"
        "    def __init__(self, setting): self._task = classification(setting); self.class_names = self._task.class_names\n"
        "    def collate(self, examples): return self._task.collate(examples)\n"
        "    def score(self, outputs, batch): return self._task.score(outputs, batch)\n"
        "    def decisions(self): return ()\n"
    )
    path = tmp_path / "located.json"
    words = ("base.safetensors", "tuned.safetensors", "--data", "src_val", "--limit", "300", "--preview")
    done = forgetaudit("locate", *words, "--task", "mine.py:Bare", cwd=workplace)
    assert done.code == 2
    assert "the task mine.py:Bare has none" in done.err
    found = []
    for task in ((), ("--task", "mine.py:with_loss")):
        done = forgetaudit("locate", *words, *task, "--output", f"json={path}", cwd=workplace)
        assert done.code == 0, done.err
        found.append(preview_of(json.loads(path.read_text())))
    assert found[0] == found[1]
