"""Every option that takes a value, odd values of all kinds: taken or refused in words, never a bug."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_odd_paths import RIGHT, parameters

from forgetaudit.cli import main

SAMPLE = Path(__file__).parent.parent.parent / "sample_data"
ODD = [str(10**30), "-1", "0", "nan", "1e400", "9" * 5000, "x", "ä\udcff", "[", "\n", " ", "\x1b[31m"]
# Those of the commands that run a network are compare's, and parsed by the same code.
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


def test_there_are_options_to_walk() -> None:
    assert {("compare", "--limit"), ("plan", "--churn"), ("weights", "--lr")} <= set(options())
    assert len(list(options())) > 50
