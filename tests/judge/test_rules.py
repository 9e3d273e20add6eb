"""Rules beyond the accuracy: classes and groups, log loss, shares; on every data set, or on one."""

from typing import Any

import pytest
from tests.report import builders

from forgetaudit.inference.corrections import benjamini_hochberg
from forgetaudit.inference.means import mean_difference
from forgetaudit.inference.paired import mcnemar
from forgetaudit.judge.gate import judge
from forgetaudit.policy import FailWhen, Level, Policy, Rule, RuleKind
from forgetaudit.report.behaviour import (
    CalibrationPart,
    ClassResult,
    FlipTable,
    Groups,
    LogLoss,
    SourceSection,
    Unusable,
)
from forgetaudit.report.parts import Absent, Estimate, estimate_from
from forgetaudit.report.verdict import RuleResult, Verdict


def judged(rule: Rule, *sections: SourceSection, **policy: Any) -> Verdict:
    absent = Absent(not_measured="not asked")
    return judge(
        Policy(rules=(rule,), **policy), source=sections, features=absent, weights=absent, variants=("tuned",)
    )


def result(rule: Rule, *sections: SourceSection, **policy: Any) -> RuleResult:
    [found] = judged(rule, *sections, **policy).rules
    return found


def per_class(**counts: tuple[int, int, int]) -> tuple[ClassResult, ...]:
    """By name: forgotten, gained, n."""
    adjusted = benjamini_hochberg([mcnemar(b, c).mid_p for b, c, _ in counts.values()])
    return tuple(
        ClassResult(
            label=label,
            name=name,
            n=n,
            base=(n - c) / n,
            tuned=(n - b) / n,
            drop=Estimate(kind="statistical", estimate=(b - c) / n, method="x"),
            adjusted_p=p,
            flips=FlipTable(forgotten=b, gained=c, kept=n - b - c, missed=0),
        )
        for label, ((name, (b, c, n)), p) in enumerate(zip(counts.items(), adjusted, strict=True))
    )


def with_classes(**counts: tuple[int, int, int]) -> SourceSection:
    n = sum(one[2] for one in counts.values())
    lost, gained = (sum(one[side] for one in counts.values()) for side in (0, 1))
    return builders.source(lost, gained, n).model_copy(update={"per_class": per_class(**counts)})


CLASSES = Rule(kind=RuleKind.CLASSES, limit=0.10)


def test_a_class_that_fell_for_sure_fails_the_rule_and_is_named() -> None:
    found = result(CLASSES, with_classes(cat=(0, 0, 100), dog=(30, 1, 100)))
    assert (found.outcome, found.value, found.n) == ("fail", pytest.approx(0.29), 100)
    assert found.reason.startswith("class dog fell 29.0 pt (n 100, Holm p ")


def test_every_class_surely_under_the_limit_passes() -> None:
    found = result(CLASSES, with_classes(cat=(0, 0, 100), dog=(1, 1, 100)))
    assert (found.outcome, found.reason) == ("pass", "all 2 classes are surely under the limit")


def test_holm_asks_more_of_one_class_among_many() -> None:
    """Five losses of forty, no gain: 1 in 32 by chance, which one of forty classes may well show."""
    one = with_classes(dog=(5, 0, 40))
    assert result(CLASSES, one).outcome == "fail"
    many = {f"c{number}": (0, 0, 40) for number in range(39)}
    found = result(CLASSES, with_classes(dog=(5, 0, 40), **many))
    assert (found.outcome, found.reason) == ("inconclusive", "1 of 40 classes undecided: dog")


def test_an_undecided_class_says_how_many_more_examples_of_all_would_decide_it() -> None:
    found = result(CLASSES, with_classes(cat=(0, 0, 300), dog=(5, 2, 60)))
    assert found.outcome == "inconclusive"
    more = (360 + (found.further_examples or 0)) / 360
    assert 1 < more < 4
    grown = with_classes(
        cat=(0, 0, round(300 * more)), dog=(round(5 * more), round(2 * more), round(60 * more) + 1)
    )
    assert result(CLASSES, grown).outcome == "pass"


def test_small_classes_are_listed_and_never_judged() -> None:
    found = result(CLASSES, with_classes(cat=(0, 0, 100), rare=(20, 0, 29)))
    assert found.outcome == "pass"
    assert "1 class under 30 examples not judged" in found.reason
    assert result(CLASSES, with_classes(rare=(20, 0, 29))).reason == "not measured: no class has 30 examples"
    lower = Rule(kind=RuleKind.CLASSES, limit=0.10, min_samples=20)
    assert result(lower, with_classes(rare=(20, 0, 29))).outcome == "fail"


def test_proven_asks_that_a_class_is_surely_over_the_limit() -> None:
    section = with_classes(dog=(12, 0, 80))
    assert result(CLASSES, section).outcome == "fail"
    assert result(CLASSES, section, fail_when=FailWhen.PROVEN).outcome == "inconclusive"


def test_one_class_may_be_named_and_must_be_there() -> None:
    section = with_classes(cat=(0, 0, 100), dog=(30, 0, 100))
    assert result(Rule(kind=RuleKind.CLASSES, limit=0.1, where="cat"), section).outcome == "pass"
    absent = result(Rule(kind=RuleKind.CLASSES, limit=0.1, where="cow"), section)
    assert (absent.outcome, absent.reason) == ("inconclusive", "not measured: the data hold no class cow")


def test_without_classes_or_groups_the_rule_is_inconclusive_and_says_what_is_missing() -> None:
    section = builders.source(0, 0, 500)
    assert result(CLASSES, section).reason == "not measured: classification has no classes"
    groups = result(Rule(kind=RuleKind.GROUPS, limit=0.1), section)
    assert (groups.outcome, "--group-by" in groups.reason) == ("inconclusive", True)


def test_groups_of_examples_are_judged_as_classes_are() -> None:
    rows = per_class(north=(0, 0, 100), south=(30, 1, 100))
    section = builders.source(30, 1, 200).model_copy(update={"per_group": rows})
    assert result(Rule(kind=RuleKind.GROUPS, limit=0.1), section).reason.startswith(
        "group south fell 29.0 pt"
    )


def with_log_loss(
    increase: float, sd: float, n: int = 8000, base: float = 0.5, rise: float | None = 2.0, gain: float = 2.0
) -> SourceSection:
    interval = mean_difference(n, increase, sd * sd * (n - 1), confidence=0.95, sides=2)
    nll = LogLoss(
        base=base,
        tuned=base + increase,
        increase=estimate_from(interval),
        largest_rise=rise,
        largest_gain=gain,
    )
    return builders.source(0, 0, n).model_copy(update={"nll": nll})


@pytest.mark.parametrize(
    ("increase", "sd", "outcome"),
    [(0.01, 0.1, "pass"), (0.05, 0.1, "fail"), (0.02, 1.0, "inconclusive"), (-0.1, 0.1, "pass")],
)
def test_log_loss_is_judged_by_its_paired_interval(increase: float, sd: float, outcome: str) -> None:
    found = result(Rule(kind=RuleKind.LOG_LOSS, limit=0.05, relative=True), with_log_loss(increase, sd))
    assert (found.outcome, found.unit, found.limit) == (outcome, "nats", pytest.approx(0.025))
    assert bool(found.further_examples) == (outcome == "inconclusive")


def test_the_gates_confidence_is_its_own_and_one_sided() -> None:
    # Were nothing to change by over 20 nats, t decides only where the scatter is large.
    section = with_log_loss(0.0, 30.0)
    direct = mean_difference(8000, 0.0, 900 * 7999.0, confidence=0.9, sides=1)
    found = result(Rule(kind=RuleKind.LOG_LOSS, limit=0.5), section, confidence=0.9)
    assert found.limits is not None
    assert found.limits.low <= direct.low  # type: ignore[union-attr]
    wider = result(Rule(kind=RuleKind.LOG_LOSS, limit=0.5), section, confidence=0.95)
    assert wider.limits is not None
    assert wider.limits.low < found.limits.low


def test_the_further_examples_of_a_log_loss_are_enough_to_decide_it() -> None:
    rule = Rule(kind=RuleKind.LOG_LOSS, limit=0.05)
    more = result(rule, with_log_loss(0.01, 0.6, n=2000)).further_examples
    assert more
    assert result(rule, with_log_loss(0.01, 0.6, n=2000 + more)).outcome == "pass"


def test_a_pass_of_log_loss_says_what_it_assumes_and_needs_to_know_the_largest_rise() -> None:
    rule = Rule(kind=RuleKind.LOG_LOSS, limit=0.05)
    found = result(rule, with_log_loss(0.01, 0.1))
    assert found.reason.endswith("surely under the limit, were no example to rise by over 20 nats")
    assert result(rule, with_log_loss(0.01, 0.1, rise=30.0)).reason.endswith("over 60 nats")
    assert result(rule, with_log_loss(0.01, 0.1, rise=None)).outcome == "inconclusive"


def test_students_t_alone_passes_nothing() -> None:
    """200 differences that scatter by a tenth of a nat: rises that nobody saw yet could well be over the limit."""
    found = result(Rule(kind=RuleKind.LOG_LOSS, limit=0.05), with_log_loss(0.0, 0.1, n=200))
    assert found.outcome == "inconclusive"
    assert found.limits is not None
    assert found.limits.high > 0.2


def test_a_few_log_losses_fail_nothing() -> None:
    rule = Rule(kind=RuleKind.LOG_LOSS, limit=0.05)
    few = result(rule, with_log_loss(9.0, 0.3, n=25, gain=0.0))
    assert (few.outcome, few.further_examples) == ("inconclusive", 5)
    assert "25 examples are too few" in few.reason
    assert result(rule, with_log_loss(9.0, 0.3, n=30, gain=0.0)).outcome == "fail"


def test_a_fail_of_log_loss_says_what_it_assumes_and_needs_to_know_the_largest_gain() -> None:
    """Rare large gains that were not drawn: Student's t fails two of three runs of which nothing was lost."""
    rule = Rule(kind=RuleKind.LOG_LOSS, limit=0.0)
    assert result(rule, with_log_loss(0.1, 0.1, n=200)).outcome == "inconclusive"
    found = result(rule, with_log_loss(0.1, 0.1, n=1000))
    assert (found.outcome, found.reason.endswith("were no example to gain by over 20 nats")) == ("fail", True)
    assert result(rule, with_log_loss(0.1, 0.1, n=1000, gain=30.0)).outcome == "inconclusive"


def test_a_log_loss_that_was_not_measured_never_passes() -> None:
    gone = Absent(not_measured="outputs are NaN")
    section = builders.source(0, 0, 500).model_copy(
        update={"nll": LogLoss(base=gone, tuned=gone, increase=gone)}
    )
    found = result(Rule(kind=RuleKind.LOG_LOSS, limit=0.5), section)
    assert (found.outcome, found.reason) == ("inconclusive", "not measured: outputs are NaN")


FORGOTTEN = Rule(kind=RuleKind.FORGOTTEN, limit=0.05)


def test_gains_do_not_make_good_what_was_forgotten() -> None:
    assert result(FORGOTTEN, builders.source(60, 60, 500)).outcome == "fail"
    assert result(Rule(kind=RuleKind.ACCURACY, limit=0.05), builders.source(60, 60, 500)).outcome == "pass"


def test_a_share_passes_by_its_exact_upper_limit() -> None:
    found = result(FORGOTTEN, builders.source(10, 0, 500))
    assert (found.outcome, found.value) == ("pass", 0.02)
    assert result(FORGOTTEN, builders.source(10, 0, 250)).outcome == "inconclusive"
    assert result(FORGOTTEN, builders.source(0, 0, 100)).reason.endswith(
        "100 examples are fewer than min-samples 200"
    )


def test_a_rule_may_ask_for_proof_of_its_own() -> None:
    proven = Rule(kind=RuleKind.FORGOTTEN, limit=0.05, fail_when=FailWhen.PROVEN)
    assert result(FORGOTTEN, builders.source(15, 0, 250)).outcome == "fail"
    assert result(proven, builders.source(15, 0, 250)).outcome == "inconclusive"


def test_changed_answers_bound_the_loss_without_labels() -> None:
    share = Estimate(kind="statistical", estimate=0.02, method="clopper-pearson")
    section = builders.source(0, 0, 500).model_copy(update={"disagreement": share})
    found = result(Rule(kind=RuleKind.DISAGREEMENT, limit=0.05), section)
    assert found.outcome == "pass"
    assert "whatever the labels, at most 3.4 pt can be lost" in found.reason
    silent = result(Rule(kind=RuleKind.DISAGREEMENT, limit=0.05), builders.source(0, 0, 500))
    assert silent.outcome == "inconclusive"


def test_questions_in_groups_count_as_their_effective_number() -> None:
    alone = builders.source(10, 0, 1000)
    grouped = alone.model_copy(
        update={"groups": Groups(n=50, effective=50, degrees=49, drop_effect=6.0, disagreement_effect=8.0)}
    )
    assert result(FORGOTTEN, alone).outcome == "pass"
    assert result(FORGOTTEN, grouped).outcome == "inconclusive"
    one = alone.model_copy(
        update={"groups": Groups(n=1, effective=1, degrees=0, drop_effect=1.0, disagreement_effect=1.0)}
    )
    assert result(FORGOTTEN, one).reason.endswith(
        "so few or unequal groups of questions say nothing about others"
    )


def test_calibration_is_compared_plainly_and_named_where_it_is_missing() -> None:
    rule = Rule(kind=RuleKind.CALIBRATION, limit=0.02)
    part = CalibrationPart(base_confidence=0.9, tuned_confidence=0.9, base_error=0.01, tuned_error=0.05)
    section = builders.source(0, 0, 500)
    assert result(rule, section.model_copy(update={"calibration": part})).outcome == "fail"
    assert result(rule, section).reason == "not measured: the task gives no confidence"


@pytest.mark.parametrize(
    "kind",
    [RuleKind.CLASSES, RuleKind.LOG_LOSS, RuleKind.FORGOTTEN, RuleKind.DISAGREEMENT, RuleKind.CALIBRATION],
)
def test_data_that_judge_nothing_pass_no_rule(kind: RuleKind) -> None:
    section = with_classes(cat=(0, 0, 500)).model_copy(
        update={"unusable": Unusable(id="base-at-chance", reason="base is at chance")}
    )
    assert judged(Rule(kind=kind, limit=0.5), section).exit_code == 2


def test_a_rule_is_judged_on_every_data_set_unless_it_names_one() -> None:
    first = builders.source(0, 0, 500)
    second = builders.source(60, 0, 500).model_copy(update={"data": "flowers"})
    everywhere = judged(Rule(kind=RuleKind.ACCURACY, limit=0.02), first, second)
    assert [(rule.data, rule.outcome) for rule in everywhere.rules] == [("val", "pass"), ("flowers", "fail")]
    only = judged(Rule(kind=RuleKind.ACCURACY, limit=0.02, data="val"), first, second)
    assert (only.outcome, len(only.rules)) == ("pass", 1)


def test_a_rule_on_data_that_are_not_there_is_inconclusive() -> None:
    found = result(Rule(kind=RuleKind.ACCURACY, limit=0.02, data="imagenet"), builders.source(0, 0, 500))
    assert (found.outcome, found.data) == ("inconclusive", "imagenet")
    assert found.reason == "not measured: there are no data named imagenet"


def test_where_there_is_nothing_to_judge_nothing_passes() -> None:
    assert judged(Rule(kind=RuleKind.ACCURACY, limit=0.02)).outcome == "inconclusive"


def test_a_run_that_could_stop_early_judges_the_accuracy_only() -> None:
    early = builders.source(0, 0, 900).model_copy(update={"sequential": True})
    assert result(Rule(kind=RuleKind.ACCURACY, limit=0.02), early).outcome == "pass"
    assert "--stop-early" in result(FORGOTTEN, early).reason


def test_frozen_on_tensors_that_are_not_there_does_not_pass() -> None:
    found = judge(
        Policy(rules=(Rule(kind=RuleKind.FROZEN, patterns=("stme",)),)),
        source=(), features=(), weights=(builders.weights(rows=(builders.row("stem.a", "identical"),)),),
    )  # fmt: skip
    assert (found.outcome, found.rules[0].reason) == ("inconclusive", "not measured: no tensor is named stme")


def test_a_class_rule_that_only_warns_changes_no_code() -> None:
    rule = Rule(kind=RuleKind.CLASSES, limit=0.10, level=Level.WARN)
    found = judged(rule, with_classes(dog=(30, 1, 100)))
    assert (found.rules[0].outcome, found.exit_code) == ("warned", 0)


@pytest.mark.parametrize("kind", [RuleKind.CLASSES, RuleKind.LOG_LOSS, RuleKind.CALIBRATION])
def test_without_labels_nothing_is_judged_that_needs_them(kind: RuleKind) -> None:
    section = with_classes(dog=(60, 0, 200)).model_copy(update={"unlabelled": True})
    found = result(Rule(kind=kind, limit=0.01), section)
    assert (found.outcome, found.reason) == (
        "inconclusive",
        "not measured: there are no labels (--label-column)",
    )


def test_a_group_by_a_column_is_asked_about_by_itself() -> None:
    rows = per_class(north=(0, 0, 100), south=(30, 1, 100))
    grouped = {
        "per_group": rows,
        "groups": Groups(n=2, effective=2, degrees=1, by="region", drop_effect=40.0, disagreement_effect=1.0),
    }
    section = builders.source(30, 1, 200).model_copy(update=grouped)
    assert result(Rule(kind=RuleKind.GROUPS, limit=0.1), section).outcome == "fail"
    tokens = section.model_copy(update={"unit": "token"})
    assert result(Rule(kind=RuleKind.GROUPS, limit=0.1), tokens).outcome == "inconclusive"
