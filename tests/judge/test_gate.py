"""The gate: pass, fail or inconclusive; never passed on what was not measured."""

from typing import Any

import pytest
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import FailWhen, Level, OnInconclusive, Policy, Rule, RuleKind
from forgetaudit.report.behaviour import Unusable
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Verdict

ACCURACY = Rule(kind=RuleKind.ACCURACY, limit=0.02)
CKA = Rule(kind=RuleKind.CKA, limit=0.8)
DISTANCE = Rule(kind=RuleKind.DISTANCE, limit=0.1)
FROZEN = Rule(kind=RuleKind.FROZEN, patterns=("stem",))


def verdict(*rules: Rule, **parts: Any) -> Verdict:
    policy = Policy(
        rules=rules,
        **{k: parts.pop(k) for k in ("fail_when", "on_inconclusive", "min_samples") if k in parts},
    )
    standard: dict[str, Any] = {
        "source": (builders.source(0, 0, 1000),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(),),
    }
    return judge(policy, **(standard | parts))


@pytest.mark.parametrize(
    ("forgotten", "gained", "n", "outcome", "exit_code"),
    [
        (0, 0, 1000, "pass", 0),
        (40, 0, 200, "fail", 1),
        (60, 10, 1000, "fail", 1),
        (20, 15, 300, "inconclusive", 0),
        (2, 0, 10, "inconclusive", 0),
        (0, 0, 100, "inconclusive", 0),  # nothing flipped, but too few to say so
        (0, 40, 1000, "pass", 0),
    ],
)
def test_the_three_answers(forgotten: int, gained: int, n: int, outcome: str, exit_code: int) -> None:
    found = verdict(ACCURACY, source=(builders.source(forgotten, gained, n),))
    assert (found.outcome, found.exit_code) == (outcome, exit_code)


def test_min_samples_hold_back_a_pass_and_never_a_fail() -> None:
    assert verdict(ACCURACY, source=(builders.source(0, 0, 190),)).rules[0].further_examples == 10
    assert verdict(ACCURACY, source=(builders.source(0, 0, 190),), min_samples=150).outcome == "pass"
    assert verdict(ACCURACY, source=(builders.source(30, 0, 60),)).outcome == "fail"


def test_proven_asks_for_more_than_likely() -> None:
    loss = (builders.source(18, 4, 500),)
    assert verdict(ACCURACY, source=loss).outcome == "fail"
    assert verdict(ACCURACY, source=loss, fail_when=FailWhen.PROVEN).outcome == "inconclusive"


def test_an_inconclusive_rule_says_how_many_more_examples_would_decide_it() -> None:
    rule = verdict(ACCURACY, source=(builders.source(20, 20, 400),)).rules[0]
    assert rule.outcome == "inconclusive"
    assert rule.further_examples is not None
    assert 0 < rule.further_examples < 2000
    scale = (400 + rule.further_examples) / 400
    flips, n = round(20 * scale), 400 + rule.further_examples
    assert verdict(ACCURACY, source=(builders.source(flips, flips, n + 1),)).outcome == "pass"
    assert verdict(ACCURACY, source=(builders.source(flips, flips, n - 20),)).outcome == "inconclusive"


def test_a_drop_on_the_limit_is_decided_by_no_number_of_examples() -> None:
    rule = verdict(ACCURACY, source=(builders.source(8, 0, 400),), fail_when=FailWhen.PROVEN).rules[0]
    assert rule.further_examples is None
    assert "no number of examples" in rule.reason


def test_a_relative_limit_is_relative_to_base() -> None:
    relative = Rule(kind=RuleKind.ACCURACY, limit=0.02, relative=True)
    section = builders.source(30, 5, 500)
    assert verdict(relative, source=(section,)).rules[0].limit == pytest.approx(0.02 * section.accuracy.base)


def test_a_drop_known_to_be_0_passes_whatever_the_number_of_examples() -> None:
    found = verdict(Rule(kind=RuleKind.ACCURACY, limit=0.0), source=(builders.source(0, 0, 2, known=True),))
    assert (found.outcome, found.rules[0].limits) == ("pass", None)


def test_what_was_not_measured_is_inconclusive_and_named() -> None:
    absent = Absent(not_measured="no data were passed (--data)")
    found = verdict(ACCURACY, CKA, source=absent, features=absent, on_inconclusive=OnInconclusive.FAIL)
    assert (found.outcome, found.exit_code) == ("inconclusive", 3)
    assert all("no data were passed" in rule.reason for rule in found.rules)


def test_one_unmeasured_layer_keeps_cka_from_passing_but_not_from_failing() -> None:
    absent = builders.drift("block2", Absent(not_measured="constant"))
    fine, low = builders.drift("block1", 0.9), builders.drift("block1", 0.5)
    assert verdict(CKA, features=(builders.features(fine, absent),)).outcome == "inconclusive"
    assert verdict(CKA, features=(builders.features(low, absent),)).outcome == "fail"


def test_the_head_has_no_say_in_cka() -> None:
    head = builders.drift("head", 0.1, stage="head")
    assert verdict(CKA, features=(builders.features(builders.drift("block1", 0.9), head),)).outcome == "pass"


def test_a_rule_may_name_one_layer() -> None:
    only = Rule(kind=RuleKind.CKA, limit=0.8, where="block2")
    both = builders.features(builders.drift("block1", 0.1), builders.drift("block2", 0.9))
    found = verdict(only, features=(both,))
    assert (found.outcome, found.rules[0].rule) == ("pass", "cka/block2")


@pytest.mark.parametrize(("relative", "outcome"), [(0.1, "pass"), (0.1001, "fail")])
def test_distance_is_compared_plainly(relative: float, outcome: str) -> None:
    assert verdict(DISTANCE, weights=(builders.weights(relative=relative),)).outcome == outcome


def test_a_distance_from_nothing_is_inconclusive() -> None:
    section = builders.weights(relative=Absent(not_measured="base is zero in every element"))
    assert verdict(DISTANCE, weights=(section,)).outcome == "inconclusive"


def test_frozen_means_every_tensor_in_the_module_buffers_too() -> None:
    still = (builders.row("stem.0.weight", "identical"), builders.row("stem.1.running_mean", "identical"))
    moved = (*still, builders.row("stem.1.running_var"))
    assert verdict(FROZEN, weights=(builders.weights(rows=still),)).outcome == "pass"
    found = verdict(FROZEN, weights=(builders.weights(rows=moved),))
    assert found.outcome == "fail"
    assert found.rules[0].reason == "1 of 3 tensors changed: stem.1.running_var"
    outside = (*still, builders.row("stemless.weight"))
    assert verdict(FROZEN, weights=(builders.weights(rows=outside),)).outcome == "pass"


def test_a_warning_never_changes_the_exit_code() -> None:
    warn = Rule(kind=RuleKind.CKA, limit=0.95, level=Level.WARN)
    found = verdict(warn)
    assert (found.rules[0].outcome, found.outcome, found.exit_code) == ("warned", "pass", 0)


def test_no_rules_judge_nothing() -> None:
    assert (verdict().outcome, verdict().exit_code) == ("not-judged", 0)


@pytest.mark.parametrize("ident", ["base-at-chance", "labels-do-not-fit"])
def test_unusable_data_refuse_the_audit_whatever_the_policy(ident: Any) -> None:
    section = builders.source(0, 0, 1000, unusable=Unusable(id=ident, reason="base is at chance"))
    for rules in ((), (ACCURACY,), (CKA,)):
        found = verdict(*rules, source=(section,), on_inconclusive=OnInconclusive.PASS)
        assert (found.outcome, found.exit_code) == ("refused", 2)


def test_a_warning_that_cannot_be_decided_does_not_change_the_exit_code_either() -> None:
    warn = Rule(kind=RuleKind.ACCURACY, limit=0.02, level=Level.WARN)
    found = verdict(warn, source=(builders.source(20, 20, 300),), on_inconclusive=OnInconclusive.FAIL)
    assert (found.rules[0].outcome, found.exit_code) == ("inconclusive", 0)


def test_a_distance_of_a_layer_that_is_not_there_is_not_that_of_the_whole() -> None:
    rule = Rule(kind=RuleKind.DISTANCE, limit=0.01, where="block9")
    found = verdict(rule, weights=(builders.weights(builders.layer("block1")),))
    assert found.outcome == "inconclusive"
    assert "block9 is none of the layers" in found.rules[0].reason


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (builders.row("a", n_nonfinite=1), "NaN or infinite"),
        (
            builders.row("a", relative=1.0, one_minus_cosine=Absent(not_measured="tuned is zero")),
            "nothing but zeros",
        ),
        (builders.row("a", relative=1e9), "far out of scale"),
    ],
)
def test_damaged_weights_pass_nothing(row: Any, said: str) -> None:
    weights = (builders.weights(rows=(row, builders.row("b", "identical")), relative=0.05),)
    found = verdict(DISTANCE, ACCURACY, Rule(kind=RuleKind.FROZEN, patterns=("b",)), weights=weights)
    assert found.outcome == "inconclusive"
    assert all(said in rule.reason for rule in found.rules)


def test_a_cast_is_not_called_bit_identical() -> None:
    rows = (builders.row("stem.a", "cast"), builders.row("stem.b", "identical"))
    found = verdict(FROZEN, weights=(builders.weights(rows=rows),))
    assert found.rules[0].reason == "2 tensors, every one bit-identical up to a cast (1 cast)"
