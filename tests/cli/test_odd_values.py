"""Every option that takes a value, odd values of all kinds: taken or refused in words, never a bug."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.cli.test_odd_paths import RIGHT, parameters

from forgetaudit.cli import main

SAMPLE = Path(__file__).parent.parent.parent / "sample_data"
ODD = [str(10**30), "-1", "0", "nan", "1e400", "9" * 5000, "x", "ä\udcff", "[", "\n", " ", "\x1b[31m"]
# What a percentage or a number of points may be.
ODD_SHARES = ["nan%", "1e400%", "-5%", "200%", "2pt", "-1pt", "infpt"]
COMMANDS = ("compare", "weights", "check", "plan", "bless", "show")
# Paths have a test of their own. `--samples` takes the place of every other word.
WITHOUT = {"base", "tuned", "report", "samples", "output", "config", "policy", "log", "examples", "rehearsal"}


def options() -> Iterator[tuple[str, str]]:
    for command, parameter in parameters():
        is_value = parameter.type_descriptor.annotation is not bool
        if is_value and command in COMMANDS and (command == "plan" or parameter.name not in WITHOUT):
            yield command, parameter.opts[0]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "report.json"
    pair = [str(SAMPLE / f"{name}.safetensors") for name in ("base", "tuned")]
    assert main(["weights", *pair, "-q", "--output", f"json={path}"]) == 0
    return path


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_odd_values_are_refused_in_words_or_taken(
    forgetaudit: Any, report: Path, command: str, option: str
) -> None:
    right = [str(report) if word == "report.json" else word for word in RIGHT[command]]
    for value in ODD[::3] if command == "compare" else ODD:
        dry = ["--dry-run"] if command == "compare" else []
        run = forgetaudit(command, *right, *dry, option, value)
        assert run.code in (0, 1, 2, 3), (value, run.err)
        assert "Traceback" not in run.err
        assert len(run.err) < 6000, value
        assert "\x1b" not in run.err


NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
"""
# These run a network, so it is a small one.
RUNNING = ("trace", "locate", "repair")
PATHS = WITHOUT | {"checkpoints", "data", "model", "out"}


def running_options() -> Iterator[tuple[str, str]]:
    for command, parameter in parameters():
        is_value = parameter.type_descriptor.annotation is not bool
        if is_value and command in RUNNING and parameter.name not in PATHS:
            yield command, parameter.opts[0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "net.py").write_text(NET)
    labels = np.arange(60) % 3
    noise = np.random.default_rng(0).normal(0, 0.3, (60, 4))
    np.savez(folder / "val.npz", x=(2 * np.eye(4)[labels] + noise).astype(np.float32), y=labels)
    base = {"0.weight": torch.eye(6, 4), "0.bias": torch.zeros(6), "2.weight": torch.eye(3, 6)}
    for times, name in enumerate(("base", "middle", "tuned")):
        save_file(base | {"2.bias": torch.tensor([-1.5 * times, 0, 0])}, folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize(("command", "option"), list(running_options()))
def test_odd_values_of_what_runs_a_network_are_refused_in_words_or_taken(
    forgetaudit: Any, small: Path, command: str, option: str
) -> None:
    checkpoints = [f"{name}.safetensors" for name in ("base", "middle", "tuned")]
    words = [*(checkpoints if command == "trace" else checkpoints[::2]), "--data", "val.npz", "-q"]
    words += ["--model", "net.py:build", "--no-config", *(["--families", "mixture"] * (command == "repair"))]
    before = {path: path.stat().st_mtime_ns for path in small.iterdir() if path.is_file()}
    for value in (*ODD, *ODD_SHARES)[:: 1 if option in ("--learned", "--keep-target", "--win-back") else 2]:
        run = forgetaudit(command, *words, option, value, cwd=small)
        assert run.code in (0, 1, 2, 3), (value, run.err)
        assert "Traceback" not in run.err
        assert len(run.err) < 6000, value
        assert "\x1b" not in run.err
    assert {path: path.stat().st_mtime_ns for path in small.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("words", [["inspect"], ["init"], ["doctor"], ["show", "--format"]])
@pytest.mark.parametrize("value", ODD)
def test_odd_words_of_the_other_commands_are_refused_in_words(
    forgetaudit: Any, tmp_path: Path, words: list[str], value: str
) -> None:
    run = forgetaudit(*words, value, cwd=tmp_path)
    assert run.code == 2, run.err
    assert "hint: " in run.err
    assert not list(tmp_path.iterdir())


def test_there_are_options_to_walk() -> None:
    assert {("compare", "--limit"), ("plan", "--churn"), ("weights", "--lr")} <= set(options())
    assert len(list(options())) > 50
    assert {("trace", "--learned"), ("repair", "--win-back"), ("locate", "--permutations")} <= set(
        running_options()
    )
