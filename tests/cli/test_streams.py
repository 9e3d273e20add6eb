"""Streams that are full, closed, or of another encoding: the code stays right, and what can be told is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import HANGS

WEIGHTS = "compare base.safetensors tuned.safetensors"
ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}


def shell(words: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m forgetaudit {words}', sys.executable],
        cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", [WEIGHTS, f"{WEIGHTS} -q", f"{WEIGHTS} --dry-run", "--help"])
def test_a_full_stdout_is_refused_with_2(sample: Path, words: str) -> None:
    run = shell(f"{words} >/dev/full", sample)
    assert run.returncode == 2
    assert "error: the report cannot be written to stdout" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_full_stdout_does_not_cost_the_files(sample: Path, tmp_path: Path) -> None:
    run = shell(f"{WEIGHTS} --output json={tmp_path}/r.json >/dev/full", sample)
    assert run.returncode == 2
    assert json.loads((tmp_path / "r.json").read_text())["command"] == "compare"


def test_a_closed_stdout_is_refused_before_the_work(sample: Path) -> None:
    run = shell(f"{WEIGHTS} >&-", sample)
    assert run.returncode == 2
    assert "error: stdout is closed" in run.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_broken_stderr_changes_neither_code_nor_report(sample: Path, redirection: str) -> None:
    refused = shell(f"compare base.safetensors nothing {redirection}", sample)
    assert (refused.returncode, refused.stdout) == (2, "")
    done = shell(f"{WEIGHTS} -v {redirection}", sample)
    assert done.returncode == 0
    assert "base.safetensors → tuned.safetensors" in done.stdout


def test_a_file_that_cannot_be_written_in_the_end_does_not_cost_the_screen(
    forgetaudit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("forgetaudit.temporaries.tempfile.mkdtemp", full)
    run = forgetaudit(*WEIGHTS.split(), "--output", f"json={tmp_path / 'r.json'}")
    assert run.code == 2
    assert "base.safetensors → tuned.safetensors" in run.out
    assert "r.json cannot be written" in run.err


@pytest.mark.parametrize("words", ["", "-q", "--dry-run"])
def test_an_ascii_stream_gets_ascii_from_every_view(workplace: Path, words: str) -> None:
    shutil.copy(workplace / "tuned.safetensors", workplace / "tünéd.safetensors")
    run = shell(f"compare base.safetensors tünéd.safetensors {words}", workplace, **ASCII)
    assert run.returncode == 0, run.stderr
    run.stdout.encode("ascii")
    assert r"t\xfcn\xe9d" in run.stdout or words == "-q"


def test_inspect_prints_json_on_an_ascii_stream(workplace: Path) -> None:
    shutil.copy(workplace / "tuned.safetensors", workplace / "tünéd.safetensors")
    run = shell("inspect --json tünéd.safetensors", workplace, **ASCII)
    assert json.loads(run.stdout)["path"] == "tünéd.safetensors"


@pytest.mark.parametrize("words", ["", "-q", "--dry-run"])
def test_names_are_shown_and_not_obeyed(forgetaudit: Any, workplace: Path, words: str) -> None:
    odd = workplace / "esc\x1b[31m\nred.safetensors"
    shutil.copy(workplace / "tuned.safetensors", odd)
    run = forgetaudit(
        "compare", "base.safetensors", odd.name, "lowlr.safetensors", *words.split(), cwd=workplace
    )
    assert run.code == 0
    assert "\x1b" not in run.out
    assert "\nred" not in run.out
    assert r"esc\x1b[31m\nred" in run.out or words == "-q"


def test_a_name_that_is_not_utf8_can_be_reported(forgetaudit: Any, workplace: Path) -> None:
    odd = os.fsdecode(b"bad\xff.safetensors")
    shutil.copy(workplace / "tuned.safetensors", workplace / odd)
    words = ["--output", "json=r.json", "--output", "txt=r.txt"]
    for others in ([], ["lowlr.safetensors"]):
        run = forgetaudit("compare", "base.safetensors", odd, *others, *words, cwd=workplace)
        assert run.code == 0, run.err
        report = json.loads((workplace / "r.json").read_text(encoding="utf-8"))
        assert report["inputs"]["tuned"][0]["path"] == r"bad\udcff.safetensors"


@pytest.mark.parametrize("words", ["--help", "compare --help"])
def test_a_reader_that_leaves_in_the_midst_of_the_help_is_no_bug(sample: Path, words: str) -> None:
    run = subprocess.run(
        ["bash", "-c", f'"$0" -m forgetaudit {words} | head -1; exit "${{PIPESTATUS[0]}}"', sys.executable],
        cwd=sample, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert run.returncode in (0, 141)
    assert run.stderr == ""
