"""Small real reports of trace, locate and repair, each made once."""

import os
from pathlib import Path

import pytest

from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport


def made(folder: Path, sample: Path, *words: str) -> AuditReport:
    from forgetaudit.cli import main

    here = Path.cwd()
    os.chdir(sample)
    try:
        main([*words, "-q", "--threads", "1", "--output", f"json={folder / 'r.json'}"])
    finally:
        os.chdir(here)
    return load_report(folder / "r.json")


@pytest.fixture(scope="session")
def traced(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    """Three checkpoints with a target and a limit."""
    run = [f"run/checkpoint-{step}" for step in (20, 60, 120)]
    words = ("trace", "base.safetensors", *run, "--data", "src_val", "--target", "target_val")
    return made(tmp_path_factory.mktemp("t"), sample, *words, "--limit", "120", "--max-drop", "2pt")


@pytest.fixture(scope="session")
def traced_on_two(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    """Two source data sets and no target, judged by nothing."""
    run = [f"run/checkpoint-{step}" for step in (20, 60)]
    words = ("trace", "base.safetensors", *run, "--data", "src_val", "--data", "turned=target_val")
    return made(
        tmp_path_factory.mktemp("t2"), sample, *words, "--learned", "turned=checkpoint-20", "--limit", "100"
    )


@pytest.fixture(scope="session")
def located(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    words = ("locate", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--limit", "120")
    return made(tmp_path_factory.mktemp("l"), sample, *words)


@pytest.fixture(scope="session")
def repaired(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    """With a target, of which 20 points may be lost."""
    words = ("repair", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--target", "target_val")
    return made(
        tmp_path_factory.mktemp("r"), sample, *words, "--keep-target", "20pt", "--families", "mixture,rollback",
        "--limit", "240",
    )  # fmt: skip


@pytest.fixture(scope="session")
def repaired_blindly(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    """Without a target."""
    words = ("repair", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--families", "mixture")
    return made(tmp_path_factory.mktemp("r1"), sample, *words, "--limit", "240")
