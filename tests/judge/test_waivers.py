"""Waivers widen one limit, for a reason, until a day; and what became of each is told."""

from datetime import date
from typing import Any

import pytest
from tests.judge.test_rules import with_classes
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Level, Policy, Rule, RuleKind, Waiver
from forgetaudit.report.verdict import Verdict

TODAY = date(2026, 6, 1)
ACCURACY = Rule(kind=RuleKind.ACCURACY, limit=0.02)


def waiver(rule: str, limit: float, expires: date = date(2026, 12, 31), **more: Any) -> Waiver:
    return Waiver(rule=rule, limit=limit, reason="see #123", expires=expires, **more)


def judged(rule: Rule, *waivers: Waiver, today: date = TODAY, **parts: Any) -> Verdict:
    standard: dict[str, Any] = {
        "source": (builders.source(60, 0, 1000),),
        "features": (builders.features(builders.drift("block1", 0.9), builders.drift("block2", 0.6)),),
        "weights": (builders.weights(),),
    }
    return judge(Policy(rules=(rule,), waivers=waivers), today=today, **(standard | parts))


def test_a_waived_rule_is_kept_at_its_wider_limit_and_no_further() -> None:
    assert judged(ACCURACY).outcome == "fail"
    found = judged(ACCURACY, waiver("accuracy", 0.10))
    [rule] = found.rules
    assert (found.outcome, found.exit_code, rule.outcome) == ("pass", 0, "waived")
    assert (rule.limit, rule.waived_from) == (0.10, 0.02)
    assert "waived until 2026-12-31: see #123" in rule.reason
    beyond = judged(ACCURACY, waiver("accuracy", 0.03))
    assert (beyond.exit_code, "over the waived limit, too" in beyond.rules[0].reason) == (1, True)


def test_what_the_examples_cannot_tell_at_the_wider_limit_stays_inconclusive() -> None:
    assert judged(ACCURACY, waiver("accuracy", 0.065)).outcome == "inconclusive"


@pytest.mark.parametrize(("day", "outcome"), [(date(2026, 12, 31), "waived"), (date(2027, 1, 1), "fail")])
def test_a_waiver_holds_through_its_last_day_and_then_the_report_says_so(day: date, outcome: str) -> None:
    found = judged(ACCURACY, waiver("accuracy", 0.10), today=day)
    assert found.rules[0].outcome == outcome
    assert found.waivers[0].state == ("used" if outcome == "waived" else "expired")
    assert ("its waiver ended on 2026-12-31" in found.rules[0].reason) == (outcome == "fail")


def test_a_rule_that_is_kept_anyway_passes_as_ever() -> None:
    found = judged(ACCURACY, waiver("accuracy", 0.10), source=(builders.source(0, 0, 1000),))
    assert (found.rules[0].outcome, found.rules[0].limit) == ("pass", 0.02)
    assert found.waivers[0].state == "not-needed"


def test_one_class_is_waived_and_the_others_are_judged_without_it() -> None:
    rule = Rule(kind=RuleKind.CLASSES, limit=0.05)
    section = with_classes(four=(0, 0, 200), nine=(20, 0, 200))
    found = judged(rule, waiver("accuracy.per-class/nine", 0.20), source=(section,))
    assert [(one.rule, one.outcome) for one in found.rules] == [
        ("accuracy.per-class", "pass"), ("accuracy.per-class/nine", "waived"),
    ]  # fmt: skip
    other = with_classes(four=(20, 0, 200), nine=(20, 0, 200))
    assert judged(rule, waiver("accuracy.per-class/nine", 0.20), source=(other,)).outcome == "fail"


def test_one_layer_is_waived_and_the_others_are_judged_without_it() -> None:
    rule = Rule(kind=RuleKind.CKA, limit=0.8)
    found = judged(rule, waiver("cka/block2", 0.5))
    assert [(one.rule, one.outcome) for one in found.rules] == [
        ("cka/block1", "pass"),
        ("cka/block2", "waived"),
    ]
    ended = judged(rule, waiver("cka/block2", 0.5, expires=date(2026, 1, 1)))
    assert [(one.rule, one.outcome) for one in ended.rules] == [("cka/block2", "fail")]
    assert "the waiver of cka/block2 ended on 2026-01-01" in ended.rules[0].reason


def test_a_waiver_of_what_is_not_there_is_told() -> None:
    found = judged(Rule(kind=RuleKind.CKA, limit=0.8), waiver("cka/block9", 0.5))
    assert found.waivers[0].state == "nothing-to-waive"
    assert found.outcome == "fail"


def test_a_waiver_may_be_for_one_data_set() -> None:
    other = builders.source(60, 0, 1000).model_copy(update={"data": "flowers"})
    found = judged(
        ACCURACY, waiver("accuracy", 0.10, data="val"), source=(builders.source(60, 0, 1000), other)
    )
    assert [rule.outcome for rule in found.rules] == ["waived", "fail"]


def test_damaged_weights_are_not_waived() -> None:
    damaged = builders.weights(rows=(builders.row("a", n_nonfinite=1),))
    assert judged(ACCURACY, waiver("accuracy", 0.10), weights=(damaged,)).outcome == "inconclusive"


def test_a_warning_may_be_waived_too() -> None:
    warn = Rule(kind=RuleKind.DISTANCE, limit=0.05, level=Level.WARN)
    assert judged(warn).rules[0].outcome == "warned"
    assert judged(warn, waiver("distance", 0.2)).rules[0].outcome == "waived"
