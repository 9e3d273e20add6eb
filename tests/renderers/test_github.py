"""Annotations: GitHub's syntax, on the line of the policy, and never one that a file made."""

import re
from typing import Any

import pytest
from tests.renderers import hostile
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Level, OnInconclusive, Policy, Rule, RuleKind
from forgetaudit.renderers.github import PolicyFile, github
from forgetaudit.report.behaviour import Unusable
from forgetaudit.report.report import AuditReport

COMMAND = re.compile(
    r"::(error|warning|notice) (?:file=[^,:%]*(?:%..[^,:%]*)*,line=\d+,)?title=([^,:]*)::(.*)"
)
TOML = """\
model = "net.py:build"

[gate.rules]
accuracy             = { max-drop = "2pt" }
"accuracy.per-class" = { max-drop = "10pt" }
cka                  = { min = 0.80 }
"cka/block2"         = { min = 0.70 }

[gate.rules.distance]
max = 0.1
"""
POLICY = PolicyFile(path="ci/forgetaudit.toml", text=TOML)


def judged(policy: Policy, **parts: Any) -> AuditReport:
    measured: dict[str, Any] = {
        "source": (builders.source(30, 5, 500),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(builders.layer("block1")),),
    }
    measured |= parts
    return builders.report(judge(policy, **measured), **measured)


def commands(text: str) -> list[tuple[str, str, str]]:
    found = [COMMAND.fullmatch(line) for line in text.splitlines()]
    assert all(found), text
    return [match.groups() for match in found if match]  # type: ignore[misc]


DROP = Rule(kind=RuleKind.ACCURACY, limit=0.02)
AT_CHANCE = Unusable(id="base-at-chance", reason="base is at chance")


@pytest.mark.parametrize(
    ("policy", "section", "levels"),
    [
        (Policy(rules=(DROP,)), builders.source(30, 5, 500), ["error", "notice"]),
        (Policy(rules=(DROP,)), builders.source(5, 30, 500), ["notice"]),
        (Policy(rules=(DROP,)), builders.source(20, 20, 300), ["warning", "notice"]),
        (Policy(rules=(DROP,), on_inconclusive=OnInconclusive.FAIL), builders.source(20, 20, 300), ["error", "notice"]),
        (Policy(rules=(Rule(kind=RuleKind.ACCURACY, limit=0.02, level=Level.WARN),)), builders.source(30, 5, 500), ["warning", "notice"]),
        (Policy(), builders.source(30, 5, 500), ["notice"]),
        (Policy(), builders.source(1, 1, 300, unusable=AT_CHANCE), ["error"]),
    ],
)  # fmt: skip
def test_each_outcome_has_its_level(policy: Policy, section: Any, levels: list[str]) -> None:
    assert [level for level, *_ in commands(github(judged(policy, source=(section,))))] == levels


def test_the_annotation_stands_on_the_line_of_the_rule() -> None:
    line = github(judged(Policy(rules=(DROP,))), POLICY).splitlines()[0]
    assert line.startswith(
        "::error file=ci/forgetaudit.toml,line=4,title=accuracy%3A fail (tuned on val)::5.0 pt, limit"
    )


@pytest.mark.parametrize(
    ("rule", "line"),
    [("accuracy", 4), ("accuracy.per-class/9", 5), ("cka/block1", 6), ("cka/block2", 7), ("distance", 9), ("frozen", None), ("accurac", None)],
)  # fmt: skip
def test_the_nearest_line_of_a_rule_is_found_or_none(rule: str, line: int | None) -> None:
    assert POLICY.line_of(rule) == line


def test_a_rule_that_the_file_has_not_stands_on_no_line() -> None:
    frozen = Rule(kind=RuleKind.FROZEN, patterns=("*",))
    section = builders.weights(builders.layer("block1"), rows=(builders.row("block1.w"),))
    assert github(judged(Policy(rules=(frozen,)), weights=(section,)), POLICY).startswith(
        "::error title=frozen"
    )


def test_a_path_cannot_end_its_property() -> None:
    policy = PolicyFile(path="a,line=1::x%.toml", text=TOML)
    assert "file=a%2Cline=1%3A%3Ax%25.toml,line=4," in github(judged(Policy(rules=(DROP,))), policy)


def test_no_more_than_ten_of_a_level_and_the_rest_counted() -> None:
    rules = tuple(Rule(kind=RuleKind.CKA, limit=0.99, where=f"layer{at}") for at in range(30))
    layers = [builders.drift(f"layer{at}", 0.5) for at in range(30)]
    text = github(judged(Policy(rules=rules), features=(builders.features(*layers),)))
    errors = [said for level, _, said in commands(text) if level == "error"]
    assert len(errors) == 10
    assert errors[-1] == "21 more errors are in the report"


def test_names_out_of_files_make_no_command_of_their_own() -> None:
    many = commands(github(hostile.report()))
    assert many
    for name in hostile.NAMES:
        commands(github(hostile.report((name,) * 5)))
