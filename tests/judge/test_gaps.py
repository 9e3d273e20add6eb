"""What was not read, run or compared is on the first screen, and no rule that depends on it passes."""

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.report import builders

from forgetaudit.audits.gaps import gap_findings
from forgetaudit.audits.repair.confirming import unanswered
from forgetaudit.gaps import Gap, Holds
from forgetaudit.judge.findings import IDENTS
from forgetaudit.judge.gate import judge
from forgetaudit.judge.rejudge import judge_report
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.renderers.github import github
from forgetaudit.renderers.junit import junit
from forgetaudit.renderers.markdown import markdown
from forgetaudit.renderers.terminal import render
from forgetaudit.report.behaviour import Unusable
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding

RULES = (
    Rule(kind=RuleKind.ACCURACY, limit=0.02),
    Rule(kind=RuleKind.CKA, limit=0.8),
    Rule(kind=RuleKind.DISTANCE, limit=0.2),
)
SRC = Path(__file__).parents[2] / "src" / "forgetaudit"


class _Opened:
    """What the audit asks a checkpoint for here."""

    def __init__(self, *notes: str | Gap) -> None:
        self.notes = notes


def gap(holds: Holds, **values: Any) -> Gap:
    return Gap(
        ident="tensors-not-run",
        what="1 tensor was not run: lm_head.weight",
        advice="merge it",
        holds=holds,
        **values,
    )


def findings(*gaps: Gap) -> tuple[Finding, ...]:
    return gap_findings(_Opened(), {"tuned": _Opened("a sentence", *gaps)})  # type: ignore[arg-type]


def outcomes(*gaps: Finding, forgotten: int = 0) -> dict[str, str]:
    parts: dict[str, Any] = {
        "source": (builders.source(forgotten, 0, 1000),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(),),
    }
    found = judge(Policy(rules=RULES), gaps=gaps, **parts)
    return {rule.rule.partition("/")[0]: rule.outcome for rule in found.rules}


@pytest.mark.parametrize(
    ("holds", "accuracy", "distance"),
    [
        ("behaviour", "inconclusive", "pass"),
        ("weights", "pass", "inconclusive"),
        ("everything", "inconclusive", "inconclusive"),
        ("nothing", "pass", "pass"),
    ],
)
def test_no_rule_passes_over_a_gap_that_it_depends_on(holds: Holds, accuracy: str, distance: str) -> None:
    found = outcomes(*findings(gap(holds)))
    assert (found["accuracy"], found["cka"], found["distance"]) == (accuracy, accuracy, distance)


def test_a_gap_hides_no_failure() -> None:
    assert outcomes(*findings(gap("everything")), forgotten=100)["accuracy"] == "fail"


def test_a_gap_of_another_variant_or_data_set_holds_nothing() -> None:
    other = findings(gap("everything"))[0]
    assert outcomes(other.model_copy(update={"variant": "other"}))["accuracy"] == "pass"
    assert outcomes(other.model_copy(update={"data": "other"}))["accuracy"] == "pass"


def test_what_is_of_base_is_of_every_variant_and_said_once() -> None:
    twice = (gap("behaviour"), gap("behaviour"))
    found = gap_findings(_Opened(*twice), {"a": _Opened(), "b": _Opened()})  # type: ignore[arg-type,dict-item]
    assert [(one.variant, one.title) for one in found] == [
        ("a", "base: 1 tensor was not run: lm_head.weight"),
        ("b", "base: 1 tensor was not run: lm_head.weight"),
    ]


def judged(*gaps: Finding) -> AuditReport:
    parts: dict[str, Any] = {
        "source": (builders.source(0, 0, 1000),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(),),
    }
    return builders.report(judge(Policy(rules=RULES), gaps=gaps, **parts), findings=gaps, **parts)


def test_it_stands_right_under_the_verdict_and_in_the_comment() -> None:
    report = judged(*findings(gap("behaviour")))
    screen = render(report, width=80).splitlines()
    assert screen[1].startswith("INCONCLUSIVE")
    assert screen[screen.index("") - 1] == "note  1 tensor was not run: lm_head.weight"
    assert "1 tensor was not run" in markdown(report)


def test_ci_is_told_of_it_too() -> None:
    report = judged(*findings(gap("behaviour")))
    assert "::warning title=tensors-not-run::1 tensor was not run: lm_head.weight" in github(report)
    assert "note  1 tensor was not run: lm_head.weight" in junit(report)


def test_what_holds_nothing_back_does_not_take_the_place_of_better_advice() -> None:
    refused = builders.source(0, 0, 1000, unusable=Unusable(id="base-at-chance", reason="base is at chance"))
    (note,) = findings(gap("nothing"))
    parts: dict[str, Any] = {"source": (refused,), "weights": (builders.weights(),)}
    worst = Finding(
        id="base-at-chance", title="base is at chance", severity="high", confidence="high", variant="tuned",
        advice="check the data", docs="docs/findings.md#base-at-chance",
    )  # fmt: skip
    verdict = judge(Policy(rules=RULES), features=(), gaps=(note,), **parts)
    screen = render(builders.report(verdict, findings=(worst, note), **parts))
    assert screen.index("check the data") < screen.index("merge it")


def test_a_saved_report_is_judged_with_its_gaps() -> None:
    report = judged(*findings(gap("behaviour")))
    day = date(2026, 1, 1)
    assert judge_report(report, Policy(rules=RULES), today=day).outcome == "inconclusive"
    # Who takes the gap out by hand has another verdict to account for, which integrity.py asks about.
    without = report.model_copy(update={"findings": ()})
    assert judge_report(without, Policy(rules=RULES), today=day).outcome == "pass"


def test_a_repair_meets_nothing_over_a_gap() -> None:
    assert [one.met for one in unanswered(findings(gap("behaviour")))] == [False]
    assert unanswered(findings(gap("nothing"), gap("weights"))) == ()


def idents_of_gaps(source: str) -> Iterator[str]:
    """The ident of every Gap that is made."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Gap":
            for keyword in node.keywords:
                if keyword.arg == "ident":
                    assert isinstance(keyword.value, ast.Constant), (
                        "write the ident out, so that it can be found"
                    )
                    yield str(keyword.value.value)


def test_every_gap_is_a_finding_with_a_section_in_the_docs() -> None:
    found = {ident for path in SRC.rglob("*.py") for ident in idents_of_gaps(path.read_text("utf-8"))}
    assert found <= set(IDENTS)


def test_the_search_for_idents_can_fail() -> None:
    assert list(idents_of_gaps('Gap(ident="never-heard-of", what="x")')) == ["never-heard-of"]
