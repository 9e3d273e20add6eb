"""The drift budget as a user sees it: true logs explain the sample, foreign ones are refuted, and it says on what it rests."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import Run
from tests.fixtures.training import Recipe

from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport

ROOT = Path(__file__).parents[2]
SAMPLE, FIXTURES = ROOT / "sample_data", ROOT / "tests" / "fixtures"
BASE = SAMPLE / "base.safetensors"
STEPS = (20, 40, 60, 80, 100, 120)

Weights = Callable[..., tuple[Run, Any]]


@pytest.fixture
def weights(forgetaudit: Callable[..., Run], tmp_path: Path) -> Weights:
    def run(*words: Any) -> tuple[Run, Any]:
        path = tmp_path / "report.json"
        path.unlink(missing_ok=True)
        done = forgetaudit("weights", *words, "--output", f"json={path}", cwd=tmp_path)
        return done, load_report(path) if path.exists() else None

    return run


def ids(report: AuditReport) -> set[str]:
    return {finding.id for finding in report.findings} & {"log-refuted", "not-explained-by-settings"}


def test_the_samples_own_log_explains_it_and_nothing_is_assumed(weights: Weights) -> None:
    run, report = weights(BASE, SAMPLE / "tuned.safetensors", "--log", SAMPLE / "run")
    (budget,) = report.budget
    assert (budget.used, budget.assumed) == (pytest.approx(0.5508, abs=1e-4), ())
    assert not ids(report)
    assert "budget        55 % of what AdamW could move in 120 steps (max block3.conv2.weight)" in run.out
    assert "by training_log.json" in run.out


@pytest.mark.parametrize("step", STEPS)
def test_every_step_of_the_run_finds_its_own_state_and_is_explained(weights: Weights, step: int) -> None:
    run, report = weights(BASE, SAMPLE / "run" / f"checkpoint-{step}")
    (budget,) = report.budget
    assert budget.n_steps == step
    assert 0.5 < budget.used < 1
    assert not ids(report)
    assert "by trainer_state.json; assumed, and not proved by any file: AdamW" in run.out


def test_the_log_of_a_shorter_run_does_not_explain_a_longer_one(weights: Weights) -> None:
    run, report = weights(BASE, SAMPLE / "tuned.safetensors", "--log", SAMPLE / "run" / "checkpoint-20")
    assert report.budget[0].used > 2.9
    assert ids(report) == {"not-explained-by-settings"}
    assert "not explained by the assumed settings" in run.out


@pytest.mark.parametrize("scale", [0.1, 0.5])
def test_a_log_of_lower_rates_is_refuted_outright(weights: Weights, tmp_path: Path, scale: float) -> None:
    log = json.loads((SAMPLE / "run" / "training_log.json").read_text())
    log["learning_rates"] = [scale * rate for rate in log["learning_rates"]]
    (tmp_path / "log.json").write_text(json.dumps(log))
    run, report = weights(BASE, SAMPLE / "tuned.safetensors", "--log", tmp_path / "log.json")
    assert ids(report) == {"log-refuted"}
    assert report.findings[0].severity == "high"
    assert report.findings[0].confidence == "certain"
    assert "these weights cannot come from that training log" in run.out


def test_another_base_is_refuted_by_the_true_log(weights: Weights, tmp_path: Path) -> None:
    base = load_file(BASE)
    other = {
        name: value + 0.2 * torch.sign(value) if value.is_floating_point() else value
        for name, value in base.items()
    }
    save_file(other, tmp_path / "other.safetensors")
    _, report = weights(tmp_path / "other.safetensors", SAMPLE / "tuned.safetensors", "--log", SAMPLE / "run")
    assert ids(report) == {"log-refuted"}


@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        ("llama", Recipe(learning_rate=1e-3, steps=150, seed=26)),
        ("bert", Recipe(learning_rate=1.5e-3, steps=250, seed=11)),
    ],
)
def test_real_runs_of_transformers_stay_within_their_recipe(
    weights: Weights, family: str, recipe: Recipe, tmp_path: Path
) -> None:
    rows = [{"step": step, "learning_rate": recipe.rate(step)} for step in range(1, recipe.steps + 1)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = (
        "--log",
        tmp_path / "log.jsonl",
        "--optimizer",
        "adamw",
        "--betas",
        "0.9,0.98",
        "--weight-decay",
        0.01,
    )
    pair = (FIXTURES / family / "base", FIXTURES / family / "tuned")
    _, report = weights(*pair, *told)
    assert 0.3 < report.budget[0].used < 1
    assert not ids(report)
    _, report = weights(*pair, *told, "--train-steps", recipe.steps // 10)
    assert ids(report) == {"not-explained-by-settings"}


def test_sgd_is_bounded_as_one_vector(weights: Weights) -> None:
    told = (
        "--optimizer",
        "sgd",
        "--lr",
        0.1,
        "--train-steps",
        120,
        "--schedule",
        "cosine",
        "--clip",
        1,
        "--momentum",
        0.9,
    )
    run, report = weights(BASE, SAMPLE / "tuned.safetensors", *told)
    (budget,) = report.budget
    assert (budget.of, budget.most) == ("norm", "all tensors together")
    assert budget.used < 1
    assert "what SGD could move in 120 steps" in run.out


def test_a_real_sgd_run_with_its_optimizers_file_is_explained_and_a_slower_one_not(
    weights: Weights, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 4))
    save_file(model.state_dict(), tmp_path / "base.safetensors")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    rows = []
    for step in range(1, 31):
        optimizer.zero_grad()
        model(torch.randn(16, 8)).square().mean().backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9))
        optimizer.step()
        rows.append({"step": step, "learning_rate": 0.05, "grad_norm": norm})
    run = tmp_path / "run"
    run.mkdir()
    save_file(model.state_dict(), run / "model.safetensors")
    torch.save(optimizer.state_dict(), run / "optimizer.pt")
    state = {"global_step": 30, "max_steps": 30, "log_history": rows}
    (run / "trainer_state.json").write_text(json.dumps(state))
    _, report = weights(tmp_path / "base.safetensors", run)
    (budget,) = report.budget
    assert budget.optimizer == "SGD"
    assert any("settings of the last step" in one for one in budget.assumed)
    assert 0.05 < budget.used < 1
    assert not ids(report)
    slower = [row | {"learning_rate": 0.05 * budget.used / 2} for row in rows]
    (run / "trainer_state.json").write_text(json.dumps(state | {"log_history": slower}))
    _, report = weights(tmp_path / "base.safetensors", run)
    assert ids(report) == {"not-explained-by-settings"}


def test_an_excess_that_rounding_explains_is_told_as_that(weights: Weights, tmp_path: Path) -> None:
    save_file({"w": torch.full((64,), 0.5, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    save_file({"w": torch.full((64,), 0.53, dtype=torch.bfloat16)}, tmp_path / "b.safetensors")
    pair = (tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    told = ("--optimizer", "adamw", "--lr", 1e-4, "--train-steps", 100)
    run, report = weights(*pair, *told)
    assert report.budget[0].used > 1
    assert not ids(report)
    assert "the excess may be rounding: every step was rounded to bfloat16" in run.out
    run, report = weights(*pair, *told, "--dtype-written", "float32")
    assert ids(report) == {"not-explained-by-settings"}
    assert "may be rounding" not in run.out


def test_more_steps_are_looked_ahead_to_at_the_last_rate(weights: Weights) -> None:
    run, report = weights(BASE, SAMPLE / "run" / "checkpoint-60", "--more-steps", 1000)
    ahead = report.budget[0].forecast
    assert (ahead.n_steps, ahead.rate) == (1000, pytest.approx(5.99e-4, rel=1e-2))
    # R grows towards 7.27, so 1000 steps can add more than 1000 rates, and less than 7.27 times as much.
    assert 1000 * ahead.rate < ahead.reach < 7.27 * 1000 * ahead.rate
    assert "1,000 more steps at 0.000599 can add" in run.out


@pytest.mark.parametrize("name", ["adafactor", "adamw8bit", "muon", "galore"])
def test_where_no_bound_is_known_it_says_so(weights: Weights, name: str) -> None:
    run, report = weights(
        BASE, SAMPLE / "tuned.safetensors", "--optimizer", name, "--lr", 1e-3, "--train-steps", 9
    )
    assert f"budget        not measured: no bound is known for {name}" in run.out
    assert report.budget[0].not_measured
    assert not ids(report)


def test_an_adapter_has_no_budget(weights: Weights) -> None:
    told = ("--optimizer", "adamw", "--lr", 1e-3, "--train-steps", 9)
    run, _ = weights(FIXTURES / "gpt2" / "base", FIXTURES / "gpt2" / "lora", *told)
    assert "not measured: an adapter's factors were trained" in run.out


def test_without_a_log_nothing_is_said_of_one(weights: Weights) -> None:
    run, report = weights(BASE, SAMPLE / "tuned.safetensors")
    assert "budget" not in run.out
    assert report.budget == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--log", "nowhere.json"], "does not exist"),
        (["--log", SAMPLE / "src_val"], "holds no training log"),
        (["--lr", "-1"], "--lr -1 is not above 0"),
        (["--lr", "nan"], "--lr nan is not above 0"),
        (["--train-steps", "0"], "--train-steps 0 is not above 0"),
        (["--momentum", "1"], "--momentum 1 is not 0 or more and below 1"),
        (["--optimizer", "adamm"], "--optimizer 'adamm' is unknown"),
        (["--schedule", "poly"], "--schedule 'poly' is unknown"),
        (["--dtype-written", "int8"], "--dtype-written 'int8' is unknown"),
        (["--betas", "0.9"], "--betas '0.9' are not two numbers"),
        (["--betas", "0.9,1"], "--betas '0.9,1' are not two numbers"),
        (["--warmup", "3"], "--warmup is part of a schedule"),
        (["--optimizer", "adamw", "--clip", "1"], "say nothing of adamw"),
        (["--optimizer", "lion", "--betas", "0.9,0.99"], "say nothing of how far lion goes"),
    ],
)
def test_every_option_acts_or_is_refused(weights: Weights, words: list[Any], said: str) -> None:
    run, report = weights(BASE, SAMPLE / "tuned.safetensors", *words)
    assert run.code == 2
    assert said in run.err
    assert report is None


def test_rates_without_steps_are_asked_for(weights: Weights) -> None:
    run, _ = weights(BASE, SAMPLE / "tuned.safetensors", "--lr", 1e-3)
    assert "not measured: nothing says how many steps were trained (--train-steps)" in run.out


def test_compare_finds_the_state_beside_tuned_and_every_form_tells_it(
    forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    outputs = [
        word
        for name in ("json", "md", "csv")
        for word in ("--output", f"{name}={tmp_path / f'report.{name}'}")
    ]
    run = forgetaudit("compare", "base.safetensors", "run/checkpoint-40", *outputs)
    assert "budget        81 % of what AdamW could move in 40 steps" in run.out
    assert "Drift budget" in (tmp_path / "report.md").read_text()
    assert "budget,,tuned,used,0.8" in (tmp_path / "report.csv").read_text()
    assert load_report(tmp_path / "report.json").budget[0].used == pytest.approx(0.81, abs=0.01)


def test_a_damaged_state_beside_tuned_is_said_and_stops_nothing(weights: Weights, tmp_path: Path) -> None:
    here = tmp_path / "checkpoint-40"
    shutil.copytree(SAMPLE / "run" / "checkpoint-40", here)
    (here / "trainer_state.json").write_text("{")
    run, report = weights(BASE, here)
    assert run.code == 0
    assert "is of no use" in run.out
    assert report.budget[0].not_measured


def test_a_log_read_by_weights_wakes_no_torch() -> None:
    words = [
        "weights",
        str(BASE),
        str(SAMPLE / "tuned.safetensors"),
        "--log",
        str(SAMPLE / "run"),
        "--no-config",
    ]
    program = f"import sys; from forgetaudit.cli import main; main({words}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
