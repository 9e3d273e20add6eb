"""Every way out has its own code, and no way out leaves a half-written file or a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import HANGS

COMPARE = ["compare", "base.safetensors", "tuned.safetensors", "--data", "src_val"]


def process(*argv: str, cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "forgetaudit", *argv],
        cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def test_help_and_version_end_with_0(forgetaudit: Any) -> None:
    assert forgetaudit("--version").out.startswith("forgetaudit 0.")
    assert forgetaudit("--help").code == forgetaudit("compare", "--help").code == forgetaudit().code == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["comp"], "no such command 'comp'"),
        (["compare", "--batch-sze", "3", "a", "b"], "no such option: --batch-sze"),
        (["compare", "base.safetensors"], "missing argument"),
        ([*COMPARE, "--batch-size", "0"], "--batch-size"),
        ([*COMPARE, "--pool", "median"], "--pool"),
        ([*COMPARE, "--config", "x.toml", "--no-config"], "contradict"),
        ([*COMPARE, "--confidence", "95"], "--confidence 95 is not between 0.5 and 1"),
        ([*COMPARE, "--min-cka", "80"], "--min-cka 80.0 is not a number from -1 to 1"),
        ([*COMPARE, "--max-distance", "-1"], "--max-distance -1.0 is not a number of 0 or more"),
        ([*COMPARE, "--max-drop", "200pt"], "more than everything"),
        ([*COMPARE, "--data", "src_val"], "src_val was passed twice"),
        (["compare", "base.safetensors", "tuned.safetensors", "--layers", "x", "--head", "base"], "--layers, --head need --data"),
        (["compare", "base.safetensors", "tuned.safetensors", "--label-column", "x"], "need --data"),
        ([*COMPARE, "--output", "report.json"], "write --output json=report.json"),
        ([*COMPARE, "--output", "jsno=r"], "did you mean json?"),
        ([*COMPARE, "--output", "json=."], "is a folder"),
        ([*COMPARE, "--device", "quantum"], "--device quantum cannot be used here"),
        ([*COMPARE, "--config", "no.toml"], "no.toml cannot be read"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_are_refused_with_2(forgetaudit: Any, argv: list[str], said: str) -> None:
    run = forgetaudit(*argv)
    assert run.code == 2
    assert run.err.startswith("error: ") or "\nerror: " in run.err
    assert said in run.err
    assert "hint: " in run.err
    assert run.out == ""


def test_a_bug_ends_with_70_and_asks_for_a_report(forgetaudit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("forgetaudit.audits.compare.compare", broken)
    run = forgetaudit(*COMPARE)
    assert run.code == 70
    assert "ZeroDivisionError: planted" in run.err
    assert "this is a bug in forgetaudit" in run.err


def test_an_interruption_ends_with_130(forgetaudit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("forgetaudit.audits.compare.compare", interrupted)
    run = forgetaudit(*COMPARE)
    assert run.code == 130
    assert run.err == "interrupted: nothing was written\n"


@pytest.mark.parametrize("code", [0, 1, None, "nope"])
def test_code_that_is_not_ours_does_not_choose_the_exit_code(
    forgetaudit: Any, monkeypatch: pytest.MonkeyPatch, code: object
) -> None:
    def leaving(*_: object, **__: object) -> None:
        sys.exit(code)  # type: ignore[arg-type]

    monkeypatch.setattr("forgetaudit.audits.compare.compare", leaving)
    run = forgetaudit(*COMPARE)
    assert run.code == 70
    assert "this is a bug in forgetaudit" in run.err


def test_an_end_of_input_is_no_interruption(forgetaudit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object, **__: object) -> None:
        raise EOFError("ran out")

    monkeypatch.setattr("forgetaudit.audits.compare.compare", ended)
    run = forgetaudit(*COMPARE)
    assert run.code == 70
    assert "EOFError: ran out" in run.err


def test_shell_completion_leaves_with_its_own_code(sample: Path) -> None:
    environment = {**os.environ, "_FORGETAUDIT_COMPLETE": "source_bash"}
    run = process(cwd=sample, env=environment)
    out, _ = run.communicate(timeout=HANGS)
    assert run.returncode == 0
    assert "forgetaudit" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_its_code_and_nothing_is_half_written(
    workplace: Path, number: signal.Signals, code: int
) -> None:
    # The network's own file tells, by a file of its own, when the work is under way.
    slow = "import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(6000)\ndef build(): ...\n"
    (workplace / "slow.py").write_text(slow)
    before = {path.name for path in workplace.iterdir()} | {"started"}
    run = process(*COMPARE, "--model", "slow.py:build", "--output", "json=r.json", cwd=workplace)
    while not (workplace / "started").exists() and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(number)
    _, errors = run.communicate(timeout=HANGS)
    assert run.returncode == code
    assert "Traceback" not in errors
    assert {path.name for path in workplace.iterdir()} == before


def test_an_interruption_while_it_starts_is_one(sample: Path) -> None:
    """The key is pressed as soon as the first of its own modules is looked for."""
    code = (
        "import sys\nfrom forgetaudit.cli import main\n"
        "class Pressed:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'forgetaudit.cli.console': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Pressed())\nsys.exit(main(['weights', 'a', 'b']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=sample, capture_output=True, text=True, check=False
    )
    assert run.returncode == 130
    assert run.stderr == "interrupted: nothing was written\n"


def test_a_closed_pipe_ends_it_quietly(sample: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.Popen(
        [sys.executable, "-m", "forgetaudit", "compare", "base.safetensors", "tuned.safetensors"],
        cwd=sample, stdout=writer, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(writer)
    _, errors = run.communicate(timeout=HANGS)
    assert run.returncode == 141
    assert errors == ""


def test_an_ascii_terminal_gets_ascii(sample: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    run = process("compare", "base.safetensors", "tuned.safetensors", cwd=sample, env=environment)
    out, errors = run.communicate(timeout=HANGS)
    assert (run.returncode, errors) == (0, "")
    assert "base.safetensors -> tuned.safetensors" in out
    out.encode("ascii")


def test_quiet_is_the_verdict_line_only(forgetaudit: Any) -> None:
    run = forgetaudit(*COMPARE, "--max-drop", "2pt", "--quiet")
    assert run.out.startswith("FAIL  source accuracy fell 29.0 pt")
    assert run.out.count("\n") == 1
    assert run.err == ""


def test_verbose_says_every_decision(forgetaudit: Any) -> None:
    errors = forgetaudit(*COMPARE, "--verbose").err
    assert "running digits.py:build, named by forgetaudit.toml" in errors
    assert "src_val: " in errors
    assert "layers: stem (stem), block1 (block)" in errors


def test_a_dry_run_says_what_would_be_done_and_does_nothing(forgetaudit: Any) -> None:
    run = forgetaudit(*COMPARE, "--max-drop", "2pt", "--frozen", "stem", "--dry-run")
    assert run.code == 0
    assert run.out.splitlines() == [
        "base     base.safetensors: safetensors, 46 tensors",
        "tuned    tuned.safetensors (as tuned): safetensors, 46 tensors",
        "model    digits.py:build (forgetaudit.toml)",
        "data     src_val: src_val: the directory src_val",
        "         split validation, the only one",
        "         input image (by type, images), label label (by type, class labels)",
        "         10 classes (0, 1, 2, …)",
        "         797 examples",
        "task     classification: the data have labels; labels by number: the model does not name its classes",
        "layers   known once digits.py:build has been called, which is not done here",
        "runs     2 variants over 797 examples, 64 at a time",
        "reads    261 kB of weights",
        "rule     accuracy 0.02, level fail",
        "rule     frozen stem, level fail",
        "config   forgetaudit.toml",
    ]


def test_outputs_are_written_whole_and_named(forgetaudit: Any, tmp_path: Path) -> None:
    run = forgetaudit(
        *COMPARE, "--output", f"json={tmp_path / 'r.json'}", "--output", f"txt={tmp_path / 'r.txt'}"
    )
    assert run.err.splitlines()[-1] == f"wrote {tmp_path / 'r.json'}, {tmp_path / 'r.txt'}"
    assert (tmp_path / "r.txt").read_text() == run.out
    assert {path.name for path in tmp_path.iterdir()} >= {"r.json", "r.txt"}
    assert not list(tmp_path.glob(".r*"))
