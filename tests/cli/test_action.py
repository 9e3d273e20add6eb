"""action.yml: the step that it runs, run here by bash, with inputs of several lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "sample_data"
STEP = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"][1]["run"]
# As GitHub runs `shell: bash`.
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEP]

SHOWS_ITS_WORDS = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


def run(here: Path, path: Path | str, **inputs: str) -> "subprocess.CompletedProcess[str]":
    told = {"BASE": "base", "TUNED": "tuned", "DATA": "", "ARGS": "", "REPORT": "out", **inputs}
    return subprocess.run(
        BASH, cwd=here, text=True, capture_output=True, check=False,
        env={**os.environ, **told, "PATH": f"{path}:{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip


def words(here: Path, **inputs: str) -> list[str]:
    """What forgetaudit is started with, but for the reports."""
    shown = here / "bin"
    shown.mkdir(exist_ok=True)
    (shown / "forgetaudit").write_text(SHOWS_ITS_WORDS)
    (shown / "forgetaudit").chmod(0o755)
    done = run(here, shown, **inputs)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    assert found[-4:] == ["--output", "json=out/forgetaudit.json", "--output", "html=out/forgetaudit.html"]
    return found[1:-4]


@pytest.mark.parametrize(
    ("args", "parted"),
    [
        ("--limit 300\n--max-drop 2pt\n", ["--limit", "300", "--max-drop", "2pt"]),
        ("\n\n  --max-drop\n  2pt", ["--max-drop", "2pt"]),
        ("--limit 3\r\n--max-drop 2pt\r\n", ["--limit", "3", "--max-drop", "2pt"]),
        ("--frozen 'stem *' --layers \"a b\"", ["--frozen", "stem *", "--layers", "a b"]),
        ("--frozen 'a\nb'", ["--frozen", "a\nb"]),
        ("--layers #3 --frozen *", ["--layers", "#3", "--frozen", "*"]),
        (r"--model C:\net.py:build", ["--model", r"C:\net.py:build"]),
        ("--layers ä日", ["--layers", "ä日"]),
        ("--layers $(touch ran) `touch ran`", ["--layers", "$(touch", "ran)", "`touch", "ran`"]),
        ("--layers ''", ["--layers", ""]),
        ("", []),
    ],
)
def test_every_line_of_args_reaches_the_command(tmp_path: Path, args: str, parted: list[str]) -> None:
    assert words(tmp_path, ARGS=args) == ["base", "tuned", *parted]
    assert not (tmp_path / "ran").exists()


def test_tuned_may_have_lines_and_names_with_spaces(tmp_path: Path) -> None:
    assert words(tmp_path, TUNED="one\n'two of it' three\n") == ["base", "one", "two of it", "three"]


def test_data_are_lines(tmp_path: Path) -> None:
    assert words(tmp_path, DATA="a b\r\n\nc=d\n") == ["base", "tuned", "--data", "a b", "--data", "c=d"]


@pytest.mark.parametrize("name", ["ARGS", "TUNED"])
def test_quotes_that_are_not_closed_end_the_step(tmp_path: Path, name: str) -> None:
    """An audit without what stands behind them would pass."""
    done = run(tmp_path, "/nowhere", **{name: "--max-drop '2pt"})
    assert done.returncode != 0
    assert "No closing quotation" in done.stderr


def test_a_gate_on_the_second_line_fails(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        Path(sys.executable).parent,
        BASE=str(SAMPLES / "base.safetensors"),
        TUNED=f"{SAMPLES / 'tuned.safetensors'}\n",
        DATA=f"src_val={SAMPLES / 'src_val'}\n",
        ARGS=f"--model '{SAMPLES / 'digits.py'}:build' --limit 300\n--max-drop 2pt\n",
    )
    assert done.returncode == 1, done.stderr
