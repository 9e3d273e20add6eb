"""Never a false refutation: two hundred honest runs, trained for real; and foreign logs are found all the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.budget import honest

from forgetaudit.audits.weights_only import compare_weights
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.plan import AuditPlan
from forgetaudit.report.budget import BudgetSection

CASES = honest.cases()
TOLD = {"log-refuted", "not-explained-by-settings"}


def audited(folder: Path, log: Path) -> Any:
    plan = AuditPlan(
        base=folder / "base.safetensors", tuned=(folder / "tuned.safetensors",), names=("tuned",)
    )
    return compare_weights(plan, budget=BudgetPlan(log=log))


def found(folder: Path, log: Path) -> set[str]:
    return {finding.id for finding in audited(folder, log).findings} & TOLD


def test_there_are_two_hundred_of_them() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_honest_run_is_refuted(case: honest.Case, tmp_path: Path) -> None:
    run = honest.train(case.recipe)
    honest.save(run, tmp_path)
    log = case.log(run, case.recipe, tmp_path)
    report = audited(tmp_path, log)
    said = {finding.id: finding for finding in report.findings if finding.id in TOLD}
    assert "log-refuted" not in said
    (budget,) = report.budget
    if case.proved:
        assert not said
    if case.proved and isinstance(budget, BudgetSection):
        assert budget.assumed == () or "float16" in str(budget.assumed)
    if "not-explained-by-settings" in said:
        assert said["not-explained-by-settings"].evidence["assumed"]


@pytest.mark.parametrize("name", [name for name in honest.ALONE if "float16" not in name])
def test_the_log_of_a_run_with_lower_rates_is_found(name: str, tmp_path: Path) -> None:
    recipe = honest.ALONE[name]
    run = honest.train(honest.copy_of(recipe, seed=3))
    honest.save(run, tmp_path)
    scale = 0.05 if "clipped sgd" in name or name in ("ema", "swa", "noise", "clipped adam") else 0.2
    assert found(tmp_path, honest.log_own(run, recipe, tmp_path, scale=scale)) == {"log-refuted"}
    assert found(tmp_path, honest.log_trainer(run, tmp_path, scale=scale)) == {"not-explained-by-settings"}
    assert found(tmp_path, honest.log_trainer(run, tmp_path, scale=scale, optimizer=False)) <= {
        "not-explained-by-settings"
    }
    if recipe.clip is None:
        assert found(tmp_path, honest.log_table(run, tmp_path, scale=scale)) == {"not-explained-by-settings"}


@pytest.mark.parametrize("name", ["adamw", "adam", "lion", "restarts", "clipped sgd"])
def test_the_log_of_another_run_or_of_fewer_steps_is_found(name: str, tmp_path: Path) -> None:
    recipe = honest.ALONE[name]
    run = honest.train(recipe)
    honest.save(run, tmp_path)
    short = honest.train(honest.copy_of(recipe, n_steps=3, seed=5))
    assert found(tmp_path, honest.log_own(short, recipe, tmp_path)) == {"log-refuted"}
    other = honest.train(honest.copy_of(recipe, seed=99))
    honest.save(honest.Trained(base=other.base, tuned=run.tuned, optimizer=run.optimizer), tmp_path)
    assert found(tmp_path, honest.log_own(run, recipe, tmp_path)) == {"log-refuted"}


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("all_weights_in_one_group", "one learning rate for every weight"),
        ("betas", "betas 0.9 and 0.999"),
        ("eps", "an epsilon of 1e-08"),
        ("name", "AdamW, the usual optimizer"),
        ("dtype", "weights kept in the dtype that they are saved in while training"),
        ("weight_decay", "weight decay of at most 0.01"),
    ],
)
def test_what_a_log_leaves_out_is_assumed_and_then_nothing_is_refuted(
    left_out: str, said: str, tmp_path: Path
) -> None:
    recipe = honest.ALONE["adamw"]
    run = honest.train(recipe)
    honest.save(run, tmp_path)
    path = honest.log_own(run, recipe, tmp_path, scale=0.1)
    log = json.loads(path.read_text())
    (log if left_out in log else log["optimizer"]).pop(left_out)
    path.write_text(json.dumps(log))
    report = audited(tmp_path, path)
    assert report.budget[0].assumed == (said,)
    assert {finding.id for finding in report.findings} & TOLD == {"not-explained-by-settings"}


def test_a_dtype_that_is_not_the_optimizers_own_proves_nothing(tmp_path: Path) -> None:
    recipe = honest.ALONE["adamw"]
    run = honest.train(recipe)
    honest.save(run, tmp_path)
    path = honest.log_own(run, recipe, tmp_path, scale=0.1)
    log = json.loads(path.read_text())
    log["dtype"] = log["optimizer"].pop("dtype")
    path.write_text(json.dumps(log))
    assert found(tmp_path, path) == {"not-explained-by-settings"}
