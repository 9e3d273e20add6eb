"""--output never costs a file that somebody needs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

WEIGHTS = ["compare", "base.safetensors", "tuned.safetensors"]


@pytest.mark.parametrize(
    "where",
    [
        "tuned.safetensors", "./base.safetensors", "link.json", "digits.py", "forgetaudit.toml",
        "src_val/dataset_info.json",
    ],
)  # fmt: skip
def test_what_is_read_is_not_overwritten(forgetaudit: Any, workplace: Path, where: str) -> None:
    (workplace / "link.json").symlink_to("tuned.safetensors")
    before = (workplace / where).read_bytes()
    run = forgetaudit(*WEIGHTS, "--data", "src_val", "--output", f"json={where}", cwd=workplace)
    assert run.code == 2
    assert "would overwrite" in run.err
    assert "hint: name another file" in run.err
    assert (workplace / where).read_bytes() == before


def test_a_log_is_not_overwritten(forgetaudit: Any, tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}\n")
    run = forgetaudit("compare", "--samples", "a.jsonl", "b.jsonl", "--output", "json=b.jsonl", cwd=tmp_path)
    assert "would overwrite b.jsonl" in run.err


def test_a_shard_is_not_overwritten(forgetaudit: Any, workplace: Path) -> None:
    tensor = {"weight_map": {"x": "part.safetensors"}}
    (workplace / "m").mkdir()
    (workplace / "m" / "model.safetensors.index.json").write_text(json.dumps(tensor))
    shutil.copy(workplace / "tuned.safetensors", workplace / "m" / "part.safetensors")
    words = ["compare", "base.safetensors", "m/model.safetensors.index.json", "--no-config"]
    run = forgetaudit(*words, "--output", "txt=m/part.safetensors", cwd=workplace)
    assert "would overwrite m/model.safetensors.index.json" in run.err


def test_a_report_beside_the_weights_is_written_and_written_again(forgetaudit: Any, workplace: Path) -> None:
    (workplace / "run").mkdir()
    shutil.copy(workplace / "tuned.safetensors", workplace / "run" / "model.safetensors")
    words = ["compare", "base.safetensors", "run", "--output", "json=run/r.json", "--output", "txt=run/r.txt"]
    for _ in range(2):
        run = forgetaudit(*words, cwd=workplace)
        assert run.code == 0, run.err


@pytest.mark.parametrize("second", ["txt=r", "json=./r", "json=link"])
def test_two_reports_of_one_file_are_refused(forgetaudit: Any, workplace: Path, second: str) -> None:
    (workplace / "link").symlink_to("r")
    run = forgetaudit(*WEIGHTS, "--output", "json=r", "--output", second, cwd=workplace)
    assert run.code == 2
    assert "--output names r twice" in run.err
    assert not (workplace / "r").exists()


def test_a_link_is_written_through(forgetaudit: Any, workplace: Path) -> None:
    (workplace / "kept").mkdir()
    (workplace / "latest.json").symlink_to("kept/1.json")
    assert forgetaudit(*WEIGHTS, "--output", "json=latest.json", cwd=workplace).code == 0
    assert (workplace / "latest.json").is_symlink()
    assert json.loads((workplace / "kept" / "1.json").read_text())["command"] == "compare"
    assert [path.name for path in (workplace / "kept").iterdir()] == ["1.json"]


def test_a_pipe_a_device_and_a_loop_are_refused_and_stay(forgetaudit: Any, workplace: Path) -> None:
    os.mkfifo(workplace / "pipe")
    (workplace / "loop").symlink_to("loop")
    for where, said in (
        ("pipe", "is a named pipe"),
        ("/dev/null", "is a device"),
        ("loop", "cannot be"),
    ):
        run = forgetaudit(*WEIGHTS, "--output", f"json={where}", cwd=workplace)
        assert run.code == 2
        assert said in run.err
    assert (workplace / "pipe").is_fifo()


@pytest.mark.parametrize("form", ["md", "html", "junit", "csv", "github"])
def test_a_report_of_any_form_beside_the_weights_is_written_again(
    forgetaudit: Any, workplace: Path, form: str
) -> None:
    (workplace / "run").mkdir()
    shutil.copy(workplace / "tuned.safetensors", workplace / "run" / "model.safetensors")
    for _ in range(2):
        run = forgetaudit("compare", "base.safetensors", "run", "--output", f"{form}=run/r", cwd=workplace)
        assert run.code == 0, run.err


def test_an_unknown_format_names_the_nearest(forgetaudit: Any, workplace: Path) -> None:
    assert "did you mean html?" in forgetaudit(*WEIGHTS, "--output", "htm=r", cwd=workplace).err
    assert (
        "the formats are json, txt, md, html, junit, github, csv"
        in forgetaudit(*WEIGHTS, "--output", "zzz=r", cwd=workplace).err
    )


def test_the_step_summary_is_added_to_and_named(
    forgetaudit: Any, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("of another step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run = forgetaudit(*WEIGHTS, "--output", "json=r.json", cwd=workplace)
    assert run.err.splitlines()[-1] == "wrote r.json, the step summary"
    assert summary.read_text().startswith("of another step\n**NOT JUDGED** only the weights were compared")


def test_a_summary_that_cannot_be_written_costs_no_verdict(
    forgetaudit: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(workplace / "nowhere" / "summary.md"))
    run = forgetaudit(*WEIGHTS, cwd=workplace)
    assert run.code == 0
    assert "the step summary cannot be written" in run.err


def test_without_the_variable_nothing_is_written(
    forgetaudit: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    before = sorted(workplace.iterdir())
    run = forgetaudit(*WEIGHTS, cwd=workplace)
    assert "wrote" not in run.err
    assert sorted(workplace.iterdir()) == before
