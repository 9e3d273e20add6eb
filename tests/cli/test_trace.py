"""trace, as a user runs it on the sample's run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from forgetaudit.inference.paired import tango

STEPS = (20, 40, 60, 80, 100, 120)


@pytest.fixture(scope="module")
def traced(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """The exit code and the report on the whole run, checkpoints passed out of order, with the target."""
    import os

    from forgetaudit.cli import main

    path = tmp_path_factory.mktemp("trace") / "report.json"
    here = Path.cwd()
    os.chdir(sample)
    try:
        words = [f"run/checkpoint-{step}" for step in (120, 20, 40, 60, 80, 100)]
        code = main(
            ["trace", "base.safetensors", *words, "--data", "src_val", "--target", "target_val",
             "--max-drop", "2pt", "-q", "--output", f"json={path}"]
        )  # fmt: skip
    finally:
        os.chdir(here)
    return code, json.loads(path.read_text())


def answers(report: dict[str, Any], data: str) -> list[dict[str, Any]]:
    return [a for p in report["trace"]["points"] for a in p["answers"] if a["data"] == data]


def test_the_curve_is_in_the_order_of_the_steps_and_judged_on_the_last(traced: Any) -> None:
    code, report = traced
    assert code == 1
    assert [point["step"] for point in report["trace"]["points"]] == list(STEPS)
    assert report["variants"][1]["name"] == "checkpoint-120"
    assert [section["variant"] for section in report["source"]] == ["checkpoint-120"]
    assert [section["data"] for section in report["source"]] == ["src_val"]
    assert report["trace"]["ordered"].endswith("not in the order given")


def test_the_first_sure_drop_of_the_sample_is_the_first_checkpoint(traced: Any) -> None:
    _, report = traced
    assert report["trace"]["summaries"] == [
        {"data": "src_val", "first_sure": "checkpoint-20", "largest_drop": "checkpoint-60", "best": "base"}
    ]
    assert answers(report, "src_val")[-1]["drop"]["estimate"] == pytest.approx(231 / 797)


def test_each_checkpoint_is_what_compare_says_of_it(traced: Any, audited: Any) -> None:
    _, report = traced
    _, compared = audited("run/checkpoint-60")
    mine, whole = answers(report, "src_val")[2], compared["source"][0]
    assert mine["flips"] == whole["flips"]
    assert mine["drop"] == whole["accuracy"]["drop"]
    point = report["trace"]["points"][2]
    assert point["relative"] == compared["weights"][0]["total"]["relative"]
    assert point["lowest_cka"]["estimate"] == min(
        layer["cka"]["estimate"] for layer in compared["features"][0]["layers"] if layer["stage"] != "head"
    )


def test_the_layers_of_each_checkpoint_are_those_of_compare(traced: Any, audited: Any) -> None:
    _, report = traced
    _, compared = audited("run/checkpoint-60")
    found = {layer["layer"]: layer for layer in report["trace"]["points"][2]["layers"]}
    drifts = {layer["layer"]: layer["cka"] for layer in compared["features"][0]["layers"]}
    moves = {layer["layer"]: layer["parameters"]["relative"] for layer in compared["weights"][0]["layers"]}
    assert {name: layer["relative"] for name, layer in found.items()} == moves
    assert {name: found[name]["cka"] for name in drifts} == drifts
    assert found["head"]["cka"] == {"not_measured": "its features were not watched"}
    assert report["trace"]["points"][2]["lowest_cka"] == found["block3"]["cka"]


def test_against_the_best_so_far_on_the_target_is_paired_with_that_checkpoint(traced: Any) -> None:
    _, report = traced
    target = answers(report, "target_val")
    best = 0
    for place, answer in enumerate(target[1:], start=1):
        if target[place - 1]["accuracy"] > target[best]["accuracy"]:
            best = place - 1
        assert answer["best"] == f"checkpoint-{STEPS[best]}"
        assert answer["below_best"]["estimate"] == pytest.approx(
            target[best]["accuracy"] - answer["accuracy"]
        )


def test_the_way_is_no_shorter_than_the_distance(traced: Any) -> None:
    _, report = traced
    points = report["trace"]["points"]
    assert points[0]["net_over_path"] == 1
    path = 0.0
    for point in points:
        path += point["moved"]
        assert point["net_over_path"] == pytest.approx(point["distance"] / path)
        assert point["net_over_path"] <= 1 + 1e-9


def test_the_budget_of_every_checkpoint_comes_from_the_runs_own_log(traced: Any) -> None:
    _, report = traced
    used = [point["budget_used"] for point in report["trace"]["points"]]
    assert all(0 < one <= 1 for one in used)
    assert [budget["variant"] for budget in report["budget"]] == ["checkpoint-120"]
    assert used[-1] == report["budget"][0]["used"]


def test_the_front_is_told(traced: Any) -> None:
    _, report = traced
    source, target = answers(report, "src_val"), answers(report, "target_val")
    for place, point in enumerate(report["trace"]["points"]):
        beaten = any(
            source[at]["accuracy"] >= source[place]["accuracy"]
            and target[at]["accuracy"] >= target[place]["accuracy"]
            and (source[at]["accuracy"], target[at]["accuracy"])
            != (source[place]["accuracy"], target[place]["accuracy"])
            for at in range(6)
        )
        assert point["on_front"] is not beaten


def test_the_forecast_is_a_diagnostic_with_limits(traced: Any) -> None:
    _, report = traced
    (forecast,) = report["trace"]["forecasts"]
    assert (forecast["kind"], forecast["drop"]["kind"], forecast["at"]) == ("diagnostic", "diagnostic", 240)
    assert forecast["drop"]["low"] < forecast["drop"]["estimate"] < forecast["drop"]["high"]


def test_the_report_is_read_back_and_shown(traced: Any, forgetaudit: Any, tmp_path: Path) -> None:
    _, report = traced
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    shown = forgetaudit("show", path)
    assert shown.code == 0
    assert "● accuracy on src_val   ○ on target_val, the target" in shown.out
    assert "from checkpoint-20 on" in shown.out
    assert "drop, pt, 95 %" in shown.out
    for name in ("md", "html", "csv", "junit"):
        assert forgetaudit("show", path, "--format", name).code == 0


def test_a_run_that_kept_the_limit_for_a_while_says_which_checkpoint_did(
    forgetaudit: Any, workplace: Path, sample: Path
) -> None:
    run = workplace / "run"
    for step, name in ((1, "lowlr.safetensors"), (2, "tuned.safetensors")):
        (run / f"checkpoint-{step}").mkdir(parents=True)
        shutil.copy(sample / name, run / f"checkpoint-{step}" / "model.safetensors")
    done = forgetaudit(
        "trace", "base.safetensors", run, "--data", "src_val", "--max-drop", "5pt", cwd=workplace
    )
    assert done.code == 1
    assert "within        checkpoint-1 is the last that keeps every limit; allows for 2 looks" in done.out
    assert "why   checkpoint-1 keeps every limit, 2 looks allowed for" in done.out


def test_a_limit_that_is_kept_at_one_look_only_is_not_surely_kept(
    forgetaudit: Any, workplace: Path, sample: Path, audited: Any
) -> None:
    _, alone = audited("lowlr.safetensors")
    flips, n = alone["source"][0]["flips"], alone["source"][0]["n"]
    uppers = [
        tango(flips["forgotten"], flips["gained"], n, confidence=confidence, sides=1).high
        for confidence in (0.95, 0.975)
    ]
    limit = f"{50 * sum(uppers):.4f}pt"
    run = workplace / "run"
    for step in (1, 2):
        (run / f"checkpoint-{step}").mkdir(parents=True)
        shutil.copy(sample / "lowlr.safetensors", run / f"checkpoint-{step}" / "model.safetensors")
    done = forgetaudit(
        "trace", "base.safetensors", run, "--data", "src_val", "--max-drop", limit, "--output",
        f"json={workplace / 'report.json'}", cwd=workplace,
    )  # fmt: skip
    assert done.code == 0
    trace = json.loads((workplace / "report.json").read_text())["trace"]
    assert [(point["outcome"], point["within"]) for point in trace["points"]] == [("pass", False)] * 2
    assert "no checkpoint surely keeps every limit; allows for 2 looks" in done.out
    saved = json.loads((workplace / "report.json").read_text())
    saved["trace"]["last_within"] = "checkpoint-2"
    (workplace / "edited.json").write_text(json.dumps(saved))
    assert forgetaudit("show", workplace / "report.json").code == 0
    refused = forgetaudit("show", workplace / "edited.json")
    assert (refused.code, "called the last within the limits" in refused.err) == (2, True)


def test_one_checkpoint_twice_is_said_and_nothing_is_lost_by_proof(
    forgetaudit: Any, workplace: Path, sample: Path
) -> None:
    for name in ("a", "b"):
        shutil.copy(sample / "base.safetensors", workplace / f"{name}.safetensors")
    done = forgetaudit(
        "trace", "base.safetensors", "a.safetensors", "b.safetensors", "--data", "src_val",
        "--limit", "50", "--max-drop", "1pt", cwd=workplace,
    )  # fmt: skip
    assert done.code == 0
    assert "a has the parameters of base, bit for bit" in done.out
    assert "b has the parameters of a, bit for bit" in done.out
    assert "sure loss     at no checkpoint" in done.out


def test_several_data_are_tasks_with_the_measures_of_continual_learning(
    forgetaudit: Any, sample: Path
) -> None:
    done = forgetaudit(
        "trace", "base.safetensors", "run/checkpoint-20", "run/checkpoint-120", "--data", "src_val",
        "--data", "turned=target_val", "--learned", "turned=checkpoint-20", "--limit", "200",
    )  # fmt: skip
    assert done.code == 0
    assert "BWT" in done.out
    assert "Chaudhry" in done.out
    assert "2 tasks" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run/checkpoint-20", "--data", "src_val"], "there is one"),
        (["run"], "trace needs --data"),
        (["run", "run/checkpoint-20", "--data", "src_val"], "are both of step 20"),
        (["run/checkpoint-21", "run", "--data", "src_val"], "there is no checkpoint run/checkpoint-21"),
        (["run", "--data", "src_val", "--target", "src_val"], "was passed twice"),
        (["run", "--data", "src_val", "--learned", "x=base"], "there is no x"),
        (["run", "--data", "src_val", "--learned", "x"], "is not DATA=CKPT"),
        (
            ["run", "--data", "src_val", "--output", "json=run/checkpoint-20/trainer_state.json"],
            "would overwrite",
        ),
    ],
)
def test_what_is_no_run_is_refused(forgetaudit: Any, words: list[str], said: str) -> None:
    done = forgetaudit("trace", "base.safetensors", *words)
    assert done.code == 2
    assert done.out == ""
    assert said in done.err


def test_checkpoints_of_another_network_are_refused(forgetaudit: Any, workplace: Path) -> None:
    from safetensors.numpy import load_file, save_file

    other = {f"other.{name}": tensor for name, tensor in load_file(workplace / "tuned.safetensors").items()}
    save_file(
        {name: tensor[..., :1] for name, tensor in other.items() if tensor.ndim},
        workplace / "other.safetensors",
    )
    done = forgetaudit(
        "trace",
        "base.safetensors",
        "tuned.safetensors",
        "other.safetensors",
        "--data",
        "src_val",
        cwd=workplace,
    )
    assert done.code == 2
    assert "not versions of one network" in done.err


def test_the_dry_run_names_every_checkpoint(forgetaudit: Any) -> None:
    done = forgetaudit("trace", "base.safetensors", "run", "--data", "src_val", "--dry-run")
    assert done.code == 0
    assert all(f"checkpoint-{step}" in done.out for step in STEPS)


def test_at_80_columns_nothing_is_wider_and_without_unicode_all_is_ascii(
    traced: Any,
) -> None:
    from forgetaudit.renderers.terminal import render
    from forgetaudit.report.report import AuditReport

    report = AuditReport.model_validate(traced[1])
    narrow = render(report, width=80, unicode=False)
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.isascii(), sorted({sign for sign in narrow if not sign.isascii()})


def test_data_without_labels_are_refused(forgetaudit: Any, workplace: Path) -> None:
    import datasets

    images = datasets.load_from_disk(str(workplace / "src_val")).select(range(40)).remove_columns("label")
    images.save_to_disk(str(workplace / "bare"))
    done = forgetaudit(
        "trace", "base.safetensors", "tuned.safetensors", "lowlr.safetensors", "--data", "bare", cwd=workplace
    )
    assert done.code == 2
    assert "which answers are right, and bare has no labels" in done.err
