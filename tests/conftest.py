"""The sample, the command line, and one thread for all."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from forgetaudit.models.torchvision_repair import import_torchvision

# Tests build image models of transformers and timm by themselves, and pip's torchvision breaks both beside a CPU torch.
import_torchvision()

SAMPLE = Path(__file__).parent.parent / "sample_data"
# Seconds after which a process hangs. No test is about time: a machine that is loaded takes a minute for what takes two.
HANGS = 900


@dataclass(frozen=True)
class Run:
    """What a command did: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # Tests run side by side, one process a core.
    torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests ran on timm: none is skipped where it is missing, they fail."""
    passed = [report for report in terminalreporter.stats.get("passed", []) if "timm" in report.nodeid]
    if passed:
        terminalreporter.write_line(f"passed on timm {metadata.version('timm')}: {len(passed)}")


@pytest.fixture(scope="session")
def sample() -> Path:
    """The committed sample, not to be written to."""
    return SAMPLE


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A copy of the sample, without the run's checkpoints, to be written to."""
    here = tmp_path / "sample"
    shutil.copytree(SAMPLE, here, ignore=shutil.ignore_patterns("run", "src_train", "__pycache__"))
    return here


@pytest.fixture
def forgetaudit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Runs the command in this process, in the folder `cwd`."""
    from forgetaudit.cli import main

    def run(*argv: str | Path, cwd: Path = SAMPLE) -> Run:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = main([str(word) for word in argv])
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return run


@pytest.fixture
def audited(forgetaudit: Callable[..., Run], tmp_path: Path) -> Callable[..., tuple[Run, dict[str, Any]]]:
    """Compare base with a checkpoint of the sample on src_val: the run, and its JSON report."""

    def run(tuned: str | Path, *options: str, cwd: Path = SAMPLE) -> tuple[Run, dict[str, Any]]:
        path = tmp_path / "report.json"
        words = [
            "compare",
            "base.safetensors",
            tuned,
            "--data",
            "src_val",
            "--output",
            f"json={path}",
            *options,
        ]
        done = forgetaudit(*words, cwd=cwd)
        return done, json.loads(path.read_text())

    return run
