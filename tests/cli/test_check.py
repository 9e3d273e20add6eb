"""check, bless and plan: from a saved report, without torch; every refusal says what to do."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import SAMPLE

from forgetaudit.judge.accepted import AcceptedState

REPORT = ("compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--max-drop", "2pt", "-q")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lost.json`, of a fine-tune that forgot, and `kept.json`, of one that hardly did."""
    from forgetaudit.cli import main

    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(SAMPLE)
        for name, tuned in (("lost", "tuned.safetensors"), ("kept", "lowlr.safetensors")):
            words = [tuned if word == "tuned.safetensors" else word for word in REPORT]
            main([*words, "--output", f"json={folder / name}.json"])
    return folder


@pytest.fixture
def place(workplace: Path, reports: Path) -> Path:
    """A copy of the sample, with both reports."""
    for report in reports.iterdir():
        shutil.copy(report, workplace)
    return workplace


def test_a_report_is_judged_again_with_the_same_words_and_codes(place: Path, forgetaudit: Any) -> None:
    same = forgetaudit("check", "lost.json", cwd=place)
    assert same.code == 1
    assert (
        same.out.splitlines()[1]
        == "FAIL  source accuracy fell 29.0 pt, at least 26.4 (one-sided 95 %); limit 2 pt"
    )
    assert "judged by the policy of the report" in same.err
    assert forgetaudit("check", "lost.json", "--max-drop", "40pt", cwd=place).code == 0
    assert forgetaudit("check", "kept.json", cwd=place).code == 0
    assert forgetaudit("check", "lost.json", "--no-fail", cwd=place).code == 0


def test_a_report_is_judged_again_as_one_family_and_read_back(place: Path, forgetaudit: Any) -> None:
    policy = place / "family.toml"
    rules = "[gate.rules]\naccuracy = { max-drop = '2pt' }\nforgotten = { max = '5pt', level = 'warn' }\n"
    policy.write_text(f"[gate]\n{rules}")
    alone = forgetaudit("check", "lost.json", "--policy", "family.toml", cwd=place)
    assert "gate  2 statistical rules at 95 % each: up to 9.8 % of unchanged runs break one" in alone.out
    policy.write_text(f"[gate]\nfamily-wise = true\n{rules}")
    run = forgetaudit(
        "check", "lost.json", "--policy", "family.toml", "--output", "json=again.json", cwd=place
    )
    assert run.code == 1
    assert "gate  2 statistical rules, with Holm's correction: at most 5 % of unchanged runs break" in run.out
    report = json.loads((place / "again.json").read_text())
    assert report["inputs"]["settings"]["gate"]["family_wise"] is True
    assert report["verdict"]["family"]["method"] == "holm"
    again = forgetaudit("check", "again.json", cwd=place)
    assert (again.code, "Holm's correction" in again.out) == (1, True)
    page = forgetaudit("show", "again.json", "--format", "md", cwd=place)
    assert "In the whole gate: 2 statistical rules, with Holm's correction" in page.out
    report["verdict"]["family"]["error_at_most"] = 0.01
    (place / "again.json").write_text(json.dumps(report))
    assert forgetaudit("check", "again.json", cwd=place).code == 2


def test_another_policy_judges_by_its_rules_alone(place: Path, forgetaudit: Any) -> None:
    policy = place / "strict.toml"
    policy.write_text(
        "[gate]\non-inconclusive = 'fail'\n[gate.rules]\nforgotten = { max = '5pt' }\n"
        "'accuracy.per-class' = { max-drop = '5pt', level = 'warn' }\n'accuracy.group' = { max-drop = '9pt' }\n"
    )
    run = forgetaudit("check", "kept.json", "--policy", "strict.toml", cwd=place)
    assert run.code == 3
    assert "ok    forgotten: 0.4 pt, limit 5" in run.out
    assert "open  accuracy.group: not measured: examples were not grouped" in run.out
    assert "judged by strict.toml" in run.err
    lost = forgetaudit("check", "lost.json", "--policy", "strict.toml", cwd=place)
    assert lost.code == 1
    assert "warn  accuracy.per-class: class 6 fell 100 pt" in lost.out


def test_a_waiver_in_the_file_is_used_until_it_ends_and_never_for_a_typed_limit(
    place: Path, forgetaudit: Any
) -> None:
    text = (
        "[gate.rules]\naccuracy = { max-drop = '2pt' }\n"
        "[[gate.waivers]]\nrule = 'accuracy'\nlimit = '40pt'\nreason = 'meant'\nexpires = ENDS\n"
    )
    (place / "p.toml").write_text(text.replace("ENDS", "2999-01-31"))
    check = ("check", "lost.json", "--policy", "p.toml", "--output", "json=again.json")
    assert forgetaudit(*check, cwd=place).code == 0
    verdict = json.loads((place / "again.json").read_text())["verdict"]
    assert (verdict["rules"][0]["outcome"], verdict["waivers"][0]["state"]) == ("waived", "used")
    assert forgetaudit(*check, "--max-drop", "2pt", cwd=place).code == 1
    (place / "p.toml").write_text(text.replace("ENDS", "2020-01-31"))
    ended = forgetaudit(*check, cwd=place)
    assert ended.code == 1
    assert "the waiver of accuracy ended on 2020-01-31: meant" in ended.out


def test_the_report_of_a_check_can_be_read_again(place: Path, forgetaudit: Any) -> None:
    forgetaudit("check", "lost.json", "--max-drop", "40pt", "--output", "json=again.json", cwd=place)
    assert forgetaudit("check", "again.json", cwd=place).code == 0


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (["check", "none.json"], "the report none.json cannot be read", "check the path"),
        (["check", "lost.json", "--policy", "none.toml"], "none.toml cannot be read", "check --config"),
        (["check", "lost.json", "--policy", "empty.toml"], "empty.toml has no rules", "[gate.rules]"),
        (["check", "bare.json"], "there is no rule to judge bare.json by", "--policy FILE"),
        (["check", "forged.json"], "does not add up", "run the audit again"),
        (["check", "future.json"], "but of forgetaudit.report/7", "the version of forgetaudit that wrote it"),
        (["check", "lost.json", "--output", "json=lost.json"], "would overwrite lost.json", "name another file"),
        (["check", "digits.py"], "is not a report of the schema", "--output json=PATH"),
        (["bless", "forged.json"], "does not add up", "run the audit again"),
        (["bless", "lost.json", "--variant", "x"], "the report has no variant x", "--variant tuned"),
        (["bless", "weights.json"], "there is nothing to accept: no data were passed", "compare --data"),
        (["plan"], "there is nothing to plan with", "--churn 5pt --limit 2pt"),
        (["plan", "--churn", "5pt"], "there is nothing to plan with", "--examples 800"),
        (["plan", "--churn", "5", "--limit", "2pt"], "--churn 5 has no unit", '"5pt"'),
        (["plan", "--churn", "5%", "--limit", "2pt"], "--churn 5% is relative", "--churn 5pt"),
        (["plan", "--churn", "5pt", "--limit", "0pt"], "is passed by no number of examples", "--limit 1pt"),
        (["plan", "--churn", "5pt", "--limit", "100pt"], "--limit 100pt is everything", "less than 100pt"),
        (["plan", "--churn", "5pt", "--limit", "2pt", "--power", "2"], "--power 2 is not between", "0.95"),
        (["plan", "lost.json", "--churn", "5pt"], "are in the report already", "not both"),
        (["plan", "weights.json"], "says nothing of accuracy", "compare --data"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_2_and_nothing_is_written(
    place: Path, forgetaudit: Any, argv: list[str], said: str, hint: str
) -> None:
    report = json.loads((place / "lost.json").read_text())
    bare = report | {"inputs": report["inputs"] | {"settings": {}}}
    (place / "bare.json").write_text(json.dumps(bare))
    (place / "forged.json").write_text(json.dumps(report | {"verdict": report["verdict"] | {"exit_code": 0}}))
    (place / "future.json").write_text(json.dumps(report | {"schema": "forgetaudit.report/7"}))
    (place / "empty.toml").write_text("[gate]\n")
    if "weights.json" in argv:
        words = ("compare", "base.safetensors", "tuned.safetensors", "-q", "--output", "json=weights.json")
        forgetaudit(*words, cwd=place)
    before = sorted(path.name for path in place.iterdir())
    run = forgetaudit(*argv, cwd=place)
    assert run.code == 2
    assert said in run.err
    assert hint in run.err
    assert "Traceback" not in run.err
    assert run.out == ""
    assert sorted(path.name for path in place.iterdir()) == before


def test_what_is_accepted_stands_beside_later_runs_and_changes_no_code(place: Path, forgetaudit: Any) -> None:
    blessed = forgetaudit("bless", "kept.json", "--reason", "first release", cwd=place)
    assert blessed.code == 0
    assert blessed.out.splitlines() == [
        "accepted lowlr.safetensors, whose verdict is pass",
        "  src_val: accuracy fell 0.4 pt, forgotten 3 of 797",
    ]
    state = AcceptedState.model_validate_json((place / "forgetaudit.accepted.json").read_text())
    assert (state.reason, state.outcome, state.variant) == ("first release", "pass", "tuned")
    run = forgetaudit(*REPORT[:-1], cwd=place)
    assert run.code == 1
    assert "28.6 points more are lost than was accepted on " in run.out
    assert "no more is lost than was accepted on " in forgetaudit("check", "kept.json", cwd=place).out
    again = forgetaudit("bless", "lost.json", cwd=place)
    assert "  instead of lowlr.safetensors, accepted on " in again.out
    assert "28.6 points less are lost" in forgetaudit("check", "kept.json", cwd=place).out
    assert (
        "accepted"
        not in forgetaudit(*REPORT[:-1], "--no-config", "--model", "digits.py:build", cwd=place).out
    )


def test_an_accepted_state_of_other_examples_is_not_compared(place: Path, forgetaudit: Any) -> None:
    forgetaudit("bless", "kept.json", cwd=place)
    run = forgetaudit(*REPORT[:-1], "--limit", "300", cwd=place)
    assert "was not measured on this base and these examples" in run.out


def test_a_broken_accepted_state_is_refused_before_anything_is_run(place: Path, forgetaudit: Any) -> None:
    forgetaudit("bless", "kept.json", cwd=place)
    path = place / "forgetaudit.accepted.json"
    path.write_text(path.read_text().replace('"forgotten": 3', '"forgotten": 300'))
    run = forgetaudit(*REPORT, cwd=place)
    assert (run.code, "does not add up" in run.err, run.out) == (2, True, "")
    path.write_text("{}")
    assert (
        "is not an accepted state of the schema forgetaudit.accepted/1" in forgetaudit(*REPORT, cwd=place).err
    )


def test_plan_says_how_many_examples_a_pass_needs(forgetaudit: Any) -> None:
    run = forgetaudit("plan", "--churn", "5pt", "--limit", "2pt")
    assert run.code == 0
    assert "NEEDS  810 examples to pass a limit of 2 pt, where nothing was lost" in run.out
    assert "0 pt        133 examples" in run.out
    few = forgetaudit("plan", "--churn", "5pt", "--limit", "2pt", "--examples", "400")
    assert "HAS    400 examples: they can pass a limit of 3 pt or more" in few.out
    assert "about 410 more would do for 2 pt" in few.out
    assert max(len(line) for line in few.out.splitlines()) <= 100


def test_plan_reads_churn_examples_and_limit_from_a_report(place: Path, forgetaudit: Any) -> None:
    run = forgetaudit("plan", "kept.json", cwd=place)
    assert "tuned on src_val   797 examples · churn 0.376 pt" in run.out
    assert "NEEDS  222 examples to pass a limit of 2 pt" in run.out
    assert "limit of 1 pt" in forgetaudit("plan", "kept.json", "--limit", "1pt", cwd=place).out


@pytest.mark.parametrize(
    "argv",
    [
        ["check", "kept.json"],
        ["bless", "kept.json"],
        ["plan", "kept.json"],
        ["plan", "--churn", "5pt", "--limit", "2pt"],
    ],
)
def test_judging_wakes_no_torch(place: Path, argv: list[str]) -> None:
    program = (
        f"from forgetaudit.cli import main; code = main({argv}); import sys\n"
        "print(code, sorted({'torch', 'datasets', 'transformers', 'scipy.stats'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "0 []"
