"""weights, as a user runs it: on every format, without torch, judged on what it measures."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.conftest import HANGS

from forgetaudit.cli import main
from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_data"
FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture(autouse=True)
def _in_a_folder_without_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: Any) -> int:
    return main(["weights", *map(str, words)])


def report_of(tmp_path: Path, *words: Any) -> AuditReport:
    run(*words, "--output", f"json={tmp_path / 'report.json'}")
    return load_report(tmp_path / "report.json")


def test_the_table_shows_layers_stages_and_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors") == 0
    lines = capsys.readouterr().out.splitlines()
    labels = [line.split()[0] for line in lines if line]
    layers, totals = (
        ["stem", "block1", "block2", "block3", "head", "total"],
        ["stem", "block", "head", "parameters"],
    )
    assert labels[:3] == ["forgetaudit", "NOT", "layer"]
    assert labels[3:15] == [*layers, "Distance", "weights", *totals]
    assert all(len(line) <= 80 for line in lines)


def test_the_numbers_are_those_of_plain_float64(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    base, tuned = (load_file(SAMPLES / f"{name}.safetensors") for name in ("base", "tuned"))
    section = report_of(tmp_path, SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors").weights[0]  # type: ignore[index]
    for row in section.tensors:
        a, b = base[row.name].double(), tuned[row.name].double()
        assert row.distance == pytest.approx(float((b - a).norm()), rel=1e-5)
        assert row.relative == pytest.approx(float((b - a).norm() / a.norm()), rel=1e-5)
        assert row.max_abs == pytest.approx(float((b - a).abs().max()), rel=1e-6)
        assert row.changed_share == pytest.approx(float((a != b).double().mean()))
    floats = [n for n, t in base.items() if t.is_floating_point() and "running" not in n]
    squares = sum(float((tuned[n].double() - base[n].double()).square().sum()) for n in floats)
    assert section.total.distance == pytest.approx(squares**0.5, rel=1e-6)


def test_by_tensor_lists_every_tensor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SAMPLES / "base.safetensors", SAMPLES / "frozen.safetensors", "--by", "tensor") == 0
    shown = capsys.readouterr().out
    assert "block1.conv1.weight" in shown
    assert "counts: moved by up to 120" in shown


def test_swapping_the_files_leaves_the_distance(tmp_path: Path) -> None:
    there = report_of(tmp_path, SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors")
    back = report_of(tmp_path, SAMPLES / "tuned.safetensors", SAMPLES / "base.safetensors")
    assert there.weights[0].total.distance == back.weights[0].total.distance  # type: ignore[index]


def test_a_file_against_itself_is_a_finding(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = report_of(tmp_path, SAMPLES / "base.safetensors", SAMPLES / "base.safetensors")
    assert [finding.id for finding in report.findings] == ["identical"]
    assert "tuned is base" in capsys.readouterr().out


def test_another_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SAMPLES / "base.safetensors", FIXTURES / "llama" / "base") == 2
    assert "not versions of one network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--max-distance", "0.5"], 0),
        (["--max-distance", "0.01"], 1),
        (["--max-distance", "0.01", "--no-fail"], 0),
        (["--frozen", "block1"], 1),
    ],
)
def test_limits_on_weights_decide_the_exit_code(options: list[str], code: int) -> None:
    assert run(SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors", *options) == code


def test_frozen_is_met_by_parameters_and_broken_by_their_buffers() -> None:
    pair = SAMPLES / "base.safetensors", SAMPLES / "frozen.safetensors"
    assert run(*pair, "--frozen", "block1.conv1") == 0
    assert run(*pair, "--frozen", "block1") == 1


def test_the_config_s_rules_on_weights_hold_and_those_on_behaviour_do_not_apply(tmp_path: Path) -> None:
    (tmp_path / "forgetaudit.toml").write_text(
        '[gate.rules]\naccuracy = { max-drop = "2pt" }\ndistance = { max = 0.01, level = "fail" }\n'
    )
    report = report_of(tmp_path, SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors")
    assert [(rule.rule, rule.outcome) for rule in report.verdict.rules] == [("distance", "fail")]


def test_what_was_not_run_says_so(tmp_path: Path) -> None:
    run(
        SAMPLES / "base.safetensors",
        SAMPLES / "tuned.safetensors",
        "--output",
        f"json={tmp_path / 'report.json'}",
    )
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["command"] == "weights"
    assert "no model was run" in saved["source"]["not_measured"]


def sharded(folder: Path, tensors: dict[str, torch.Tensor], n_shards: int) -> Path:
    folder.mkdir()
    names = sorted(tensors, reverse=True)
    weight_map = {}
    for shard in range(n_shards):
        file = f"model-{shard}.safetensors"
        part = {name: tensors[name] for name in names[shard::n_shards]}
        save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def test_shards_a_single_file_and_a_torch_file_of_the_same_weights_are_exactly_zero_apart(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    tensors = {f"layers.{n}.weight": torch.randn(30, 7) for n in range(9)}
    one = sharded(tmp_path / "shards", tensors, 3)
    save_file(tensors, tmp_path / "single.safetensors")
    torch.save(dict(reversed(tensors.items())), tmp_path / "model.pt")
    for base, tuned in [(one, "single.safetensors"), (one, "model.pt"), ("model.pt", "single.safetensors")]:
        section = report_of(tmp_path, tmp_path / base, tmp_path / tuned).weights[0]  # type: ignore[index]
        assert section.identical
        assert section.total.distance == 0.0


def woken(tmp_path: Path, *words: Any) -> str:
    program = (
        "import sys\nfrom forgetaudit.cli import main\n"
        f"code = main({['weights', *map(str, words), '--quiet']})\n"
        "print(code, [m for m in ('torch', 'datasets', 'transformers', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    return done.stdout.splitlines()[-1]


def test_safetensors_wake_no_torch_and_a_torch_file_does(tmp_path: Path) -> None:
    assert woken(tmp_path, SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors") == "0 []"
    assert "torch" in woken(tmp_path, FIXTURES / "vit" / "tuned", FIXTURES / "vit" / "tuned-state.pt")


def idents(tmp_path: Path, *words: Any) -> set[str]:
    return {finding.id for finding in report_of(tmp_path, *words).findings}


@pytest.mark.parametrize(
    ("base", "tuned", "found"),
    [
        ("llama/base", "llama/lora-merged", "low-rank-update"),
        ("llama/base", "llama/lora", "low-rank-update"),
        ("llama/base", "llama/tuned", "weight-decay-fossil"),
    ],
)
def test_real_fine_tunes_show_what_was_done_to_them(
    tmp_path: Path, base: str, tuned: str, found: str
) -> None:
    assert found in idents(tmp_path, FIXTURES / base, FIXTURES / tuned)


@pytest.mark.parametrize("family", ["gpt2", "bert-mlm", "vit", "bert", "llama", "convnext"])
def test_a_real_fine_tune_of_everything_is_no_low_rank_update_and_no_recipe(
    tmp_path: Path, family: str
) -> None:
    found = idents(tmp_path, FIXTURES / family / "base", FIXTURES / family / "tuned")
    assert found <= {"weight-decay-fossil", "below-resolution"}


def test_the_sample_s_frozen_run_is_exposed_and_the_right_one_verified(tmp_path: Path) -> None:
    base = SAMPLES / "base.safetensors"
    assert idents(tmp_path, base, SAMPLES / "frozen.safetensors") == {"frozen-buffers-moved", "head-only"}
    assert idents(tmp_path, base, SAMPLES / "frozen-eval.safetensors") == {
        "frozen-part-verified",
        "head-only",
    }


def test_steps_say_which_one_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = SAMPLES / "run" / "checkpoint-*"
    pair = SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors"
    report = report_of(tmp_path, *pair, "--steps", run_folder)
    assert next(finding.title for finding in report.findings if finding.id == "is-a-step").startswith(
        "tuned is checkpoint-120"
    )
    assert run(*pair, "--steps", tmp_path / "nothing-*") == 2
    assert "matches nothing" in capsys.readouterr().err


def test_spectra_stand_on_the_screen_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    pair = SAMPLES / "base.safetensors", SAMPLES / "tuned.safetensors"
    assert run(*pair) == 0
    assert "rank of Δ" not in capsys.readouterr().out
    assert run(*pair, "--spectrum") == 0
    shown = capsys.readouterr().out
    assert "block2.conv1.weight" in shown[shown.index("rank of Δ") :]


def vast(path: Path, n_gigabytes: int) -> Path:
    """A file of zeros that takes no room on the disk."""
    n_bytes = n_gigabytes << 30
    header = {"w": {"dtype": "F32", "shape": [n_bytes // 4], "data_offsets": [0, n_bytes]}}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + n_bytes)
    return path


def test_it_says_how_far_it_is_and_ends_at_once_when_interrupted(tmp_path: Path) -> None:
    pair = vast(tmp_path / "base.safetensors", 12), vast(tmp_path / "tuned.safetensors", 12)
    words = [sys.executable, "-m", "forgetaudit", "weights", *map(str, pair), "--output", "json=report.json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        assert running.stderr is not None
        said = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=HANGS) == 130
    assert "% (" in said
    assert "GB of 25.8 GB" in said
    assert "left" in said
    assert not (tmp_path / "report.json").exists()
