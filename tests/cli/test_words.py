"""Names of checkpoints, and words that are refused because they would say nothing or cannot be meant."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from forgetaudit.planning import variant_names

WEIGHTS = ["compare", "base.safetensors", "tuned.safetensors"]


def test_a_tuned_file_called_base_keeps_no_name_that_is_bases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    for name in ("base.safetensors", "start.safetensors", "run/base.safetensors"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    start, here, there = Path("start.safetensors"), Path("base.safetensors"), Path("run/base.safetensors")
    for tuned in ([here, start], [here, there], [here, here], [there, there, start]):
        names = variant_names(start, tuned)
        assert len(set(names)) == len(tuned)
        assert "base" not in names
    assert variant_names(start, [here, there]) == (f"{tmp_path.name}/base", "run/base")


def test_a_tuned_file_called_base_is_compared_with_the_real_base(forgetaudit: Any, workplace: Path) -> None:
    shutil.copy(workplace / "base.safetensors", workplace / "start.safetensors")
    shutil.copy(workplace / "tuned.safetensors", workplace / "base.safetensors")
    words = ["--data", "src_val", "--max-drop", "2pt", "--limit", "300"]
    run = forgetaudit(
        "compare", "start.safetensors", "base.safetensors", "lowlr.safetensors", *words, cwd=workplace
    )
    assert run.code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-distance", "inf"], "--max-distance inf is not a number of 0 or more"),
        (["--max-distance", "1e999"], "--max-distance inf is not a number of 0 or more"),
        (["--max-distance", "nan"], "--max-distance nan is not a number of 0 or more"),
        (["--min-cka", "nan"], "--min-cka nan is not a number from -1 to 1"),
        (["--max-drop", "2pt", "--min-samples", "9" * 30], "is not a whole number from 2 to"),
        (["--data", "src_val", "--seed", "9" * 23], "is not a whole number from 0 to"),
        (["--data", "src_val", "--seed", "-1"], "seed -1 is not a whole number from 0 to"),
        (["--data", "src_val", "--threads", "9" * 23], "threads 9"),
        (["--data", "src_val", "--batch-size", "9" * 23], "batch_size 9"),
        (["--pool", "mean"], "--pool needs --data"),
        (["--seed", "0", "--no-samples", "--no-reuse"], "--seed, --no-reuse, --no-samples need --data"),
        (["--confidence", "0.9"], "--confidence needs a rule"),
        (["--min-samples", "30", "--fail-when", "proven"], "--min-samples, --fail-when need a rule"),
        (["--on-inconclusive", "fail"], "--on-inconclusive needs a rule"),
    ],
)
def test_numbers_that_cannot_be_meant_and_idle_words_are_refused(
    forgetaudit: Any, words: list[str], said: str
) -> None:
    run = forgetaudit(*WEIGHTS, *words, "--dry-run")
    assert run.code == 2
    assert said in run.err
    assert "hint: " in run.err


def test_no_fail_needs_no_rule_and_a_configs_rule_is_one(forgetaudit: Any, workplace: Path) -> None:
    assert forgetaudit(*WEIGHTS, "--no-fail", "--dry-run").code == 0
    (workplace / "forgetaudit.toml").write_text("[gate.rules]\ndistance = { max = 1 }\n")
    assert forgetaudit(*WEIGHTS, "--confidence", "0.9", "--dry-run", cwd=workplace).code == 0


@pytest.mark.parametrize("model", ["os:getcwd", "json:loads", "torch.hub:list", "nothere:f", ":f"])
def test_a_config_may_not_run_installed_code(forgetaudit: Any, workplace: Path, model: str) -> None:
    (workplace / "forgetaudit.toml").write_text(f'model = "{model}"')
    run = forgetaudit(*WEIGHTS, "--data", "src_val", cwd=workplace)
    assert run.code == 2
    assert f"model {model} lies outside the folder of the config" in run.err
    assert f"pass --model {model}" in run.err


def test_what_is_installed_inside_the_configs_folder_is_still_installed(
    forgetaudit: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workplace / ".venv" / "site-packages" / "bought"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("def build(): ...\n")
    monkeypatch.syspath_prepend(folder.parent)
    (workplace / "forgetaudit.toml").write_text('model = "bought:build"')
    assert forgetaudit(*WEIGHTS, "--dry-run", cwd=workplace).code == 2


def test_a_config_may_run_a_module_of_its_folder(forgetaudit: Any, workplace: Path) -> None:
    package = workplace / "own_nets"
    package.mkdir()
    (package / "small.py").write_text("from digits import build\n")
    words = [*WEIGHTS, "--data", "src_val", "--limit", "50"]
    for path in (None, package / "__init__.py"):
        if path is not None:
            path.touch()
        (workplace / "forgetaudit.toml").write_text('model = "own_nets.small:build"')
        run = forgetaudit(*words, cwd=workplace)
        assert run.code == 0, run.err
