"""A report is read back whole, or refused with what does not fit."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from forgetaudit.errors import UsageError
from forgetaudit.judge.policy_record import policy_of, record
from forgetaudit.judge.rejudge import rejudged
from forgetaudit.judge.saved import load_report
from forgetaudit.policy import FailWhen, Level, OnInconclusive, Policy, Rule, RuleKind, Waiver

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """The report of two fine-tunes of the sample, with rules of every sort that the command line has."""
    from forgetaudit.cli import main

    path = tmp_path_factory.mktemp("saved") / "report.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(sample)
        code = main([
            "compare", "base.safetensors", "tuned.safetensors", "lowlr.safetensors", "--data", "src_val",
            "--max-drop", "2pt", "--min-cka", "0.5", "--max-distance", "0.5", "--frozen", "stem", "-q",
            "--output", f"json={path}",
        ])  # fmt: skip
    assert code == 1
    return path


def edited(written: Path, folder: Path, edit: Edit) -> Path:
    report = json.loads(written.read_text())
    edit(report)
    path = folder / "edited.json"
    path.write_text(json.dumps(report))
    return path


def test_a_report_is_read_back_as_it_was(written: Path) -> None:
    report = load_report(written)
    assert report.to_json() == written.read_text()


def tuned(report: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = report["source"][0]
    return section


def put(where: str, value: object) -> Edit:
    """Sets `source.0.flips.forgotten` and the like."""

    def edit(report: dict[str, Any]) -> None:
        *path, last = [int(part) if part.isdigit() else part for part in where.split(".")]
        at: Any = report
        for part in path:
            at = at[part]
        at[last] = value

    return edit


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("source.0.flips.forgotten", 34, "the flips add up to 597, and n is 797"),
        ("source.0.n", 800, "the flips add up to 797, and n is 800"),
        ("source.0.accuracy.tuned", 0.99, "accuracy of tuned is 0.99, and the flips make it 0.70138"),
        ("source.0.accuracy.base", 0.5, "accuracy of base is 0.5"),
        ("source.0.accuracy.drop.estimate", 0.01, "the drop is 0.01, and the flips make it 0.28983"),
        ("source.0.accuracy.drop.low", 0.0, "the limits of the drop are not those of the flips"),
        ("source.0.accuracy.drop.kind", "exact", "the drop is called exact, and it is not known"),
        ("source.0.mcnemar.exact", 0.5, "the test of McNemar is not that of the flips"),
        ("source.0.disagreement.estimate", 0.01, "is none of 797"),
        ("source.0.disagreement.high", 0.31, "the limits of the share of changed answers"),
        ("source.0.nll.tuned", 0.1, "the log loss rose by 1.16"),
        ("source.0.nll.increase.low", -1.0, "the limits of the log loss do not lie around its increase"),
        ("source.0.known", True, "it is called known, and the weights do not prove it"),
        ("source.0.per_class.6.flips.forgotten", 1, "has 80 examples, and its flips add up to 1"),
        ("source.0.per_class.6.tuned", 1.0, "the accuracies of 6 of its classes are not those of its flips"),
        ("source.0.per_class.6.adjusted_p", 0.9, "the adjusted p-values of its classes"),
        ("source.0.accuracy.drop.confidence", 1.5, "confidence must lie between 0.5 and 1"),
        (
            "source.0.per_class.6.flips",
            {"forgotten": -5, "gained": 5, "kept": 0, "missed": 80},
            "the accuracies of 6 of its classes",
        ),
        ("source.0.per_class.6.n", 0, "has 0 examples, and its flips add up to 80"),
        ("rivals.0.n", 0, "more examples differ than there are"),
        ("source.0.variant", "other", "other is none of the variants"),
        ("rivals.0.only_first_right", 30, "the advantage is"),
        ("weights.0.total.distance", 0.001, "the total distance is 0.001, and the tensors make it"),
        ("weights.0.total.n_tensors", 3, "the total is of 3 parameters, and 25 are listed"),
        ("weights.0.total.n_identical", 25, "25 parameters are called unchanged, and 0 are"),
        ("weights.0.identical", True, "does not follow from the tensors"),
        ("weights.0.total.relative", 0.7, "rules are not judged as the numbers say: distance"),
        ("verdict.outcome", "pass", "the verdict is pass, and a rule failed"),
        ("verdict.exit_code", 0, "the verdict is fail (0), and its rules make it fail"),
        ("verdict.rules", [], "rules are not judged as the numbers say: one is missing"),
        ("inputs.settings.gate.rules.0.limit", 0.9, "rules are not judged as the numbers say: accuracy"),
        ("inputs.settings.gate.rules", "none", "the policy or the day that it was judged by cannot be read"),
        ("run.judged_on", "yesterday", "the policy or the day that it was judged by cannot be read"),
    ],
)
def test_a_report_edited_by_hand_is_refused_with_what_does_not_fit(
    written: Path, tmp_path: Path, where: str, value: object, said: str
) -> None:
    with pytest.raises(UsageError, match="does not add up: it was edited by hand, or damaged") as refused:
        load_report(edited(written, tmp_path, put(where, value)))
    assert any(said in detail for detail in refused.value.details), refused.value.details


def test_classes_that_no_longer_add_up_to_the_whole_are_found(written: Path, tmp_path: Path) -> None:
    def drop_a_class(report: dict[str, Any]) -> None:
        report["source"][0]["per_class"].pop()

    with pytest.raises(UsageError) as refused:
        load_report(edited(written, tmp_path, drop_a_class))
    assert any("the classes add up to" in detail for detail in refused.value.details)


def test_what_a_later_version_adds_up_differently_is_not_held_against_it(
    written: Path, tmp_path: Path
) -> None:
    """Only this version's own judgement can be asked again."""

    def of_another_version(report: dict[str, Any]) -> None:
        report["inputs"]["versions"]["forgetaudit"] = "0.9"
        report["verdict"]["rules"][0]["limit"] = 0.5

    load_report(edited(written, tmp_path, of_another_version))


def test_a_report_of_another_schema_is_refused_with_both_versions(written: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load_report(edited(written, tmp_path, put("schema", "forgetaudit.report/2")))
    assert (
        "not a report of the schema forgetaudit.report/1, but of forgetaudit.report/2" in refused.value.fact
    )
    assert "the version of forgetaudit that wrote it" in str(refused.value.hint)


def test_a_policy_is_kept_whole() -> None:
    policy = Policy(
        rules=(
            Rule(kind=RuleKind.ACCURACY, limit=0.02, relative=True, data="val", min_samples=30),
            Rule(kind=RuleKind.CKA, limit=0.8, where="block2", level=Level.WARN),
            Rule(kind=RuleKind.FORGOTTEN, limit=0.05, fail_when=FailWhen.PROVEN),
            Rule(kind=RuleKind.FROZEN, patterns=("stem.*", "b")),
        ),
        waivers=(Waiver(rule="accuracy", limit=0.1, relative=True, reason="x", expires=date(2027, 1, 31)),),
        confidence=0.9,
        min_samples=50,
        fail_when=FailWhen.PROVEN,
        on_inconclusive=OnInconclusive.FAIL,
        source="forgetaudit.toml",
    )
    assert policy_of(json.loads(json.dumps(record(policy)))) == policy
    assert policy_of({}) is None
    assert policy_of(record(policy) | {"confidence": "sure"}) is None


def test_judged_again_a_report_still_adds_up(written: Path, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    waived = Policy(
        rules=(Rule(kind=RuleKind.ACCURACY, limit=0.02),),
        waivers=(Waiver(rule="accuracy", limit=0.5, reason="meant", expires=today),),
    )
    again = rejudged(load_report(written), waived, today=today)
    (tmp_path / "again.json").write_text(again.to_json())
    loaded = load_report(tmp_path / "again.json")
    assert loaded.verdict.outcome == "pass"
    assert [rule.outcome for rule in loaded.verdict.rules] == ["waived", "pass"]


def test_what_is_nested_too_deeply_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="is not a report of the schema"):
        load_report(tmp_path / "deep.json")
