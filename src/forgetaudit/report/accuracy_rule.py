"""The rule on the accuracy drop: pass, fail or inconclusive by a one-sided limit; questions may come in groups."""

import math

from forgetaudit.inference.clusters import effective_share, grouped_tango
from forgetaudit.inference.paired import tango
from forgetaudit.inference.power import further_examples
from forgetaudit.policy import FailWhen, Policy, Rule
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.verdict import Limits, RuleOutcome, RuleResult, broken
from forgetaudit.values import Interval
from forgetaudit.wording import counted

__all__ = ["judge_accuracy"]


def judge_accuracy(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """One data set under one rule. `further_examples` counts groups where questions come in them."""
    limit = (rule.limit or 0.0) * (section.accuracy.base if rule.relative else 1.0)
    flips, n = section.flips, section.n
    interval = _drop_limits(section, policy.confidence)
    outcome, further, reason = _accuracy_outcome(rule, policy, section, interval, limit)
    return RuleResult(
        rule=rule.name,
        outcome=outcome,
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=(flips.forgotten - flips.gained) / n,
        limit=limit,
        n=n,
        limits=None
        if section.known
        else Limits(low=interval.low, high=interval.high, confidence=policy.confidence, sides=1),
        further_examples=further,
        reason=reason,
    )


def _drop_limits(section: SourceSection, confidence: float) -> Interval:
    """One-sided limits of the drop, from the counts: the gate's confidence need not be the report's."""
    flips, n, groups = section.flips, section.n, section.groups
    if groups is None:
        return tango(flips.forgotten, flips.gained, n, confidence=confidence, sides=1)
    return grouped_tango(
        flips.forgotten,
        flips.gained,
        n,
        effect=groups.drop_effect,
        n_groups=groups.n,
        confidence=confidence,
        sides=1,
    )


def _accuracy_outcome(
    rule: Rule, policy: Policy, section: SourceSection, bound: Interval, limit: float
) -> tuple[RuleOutcome, int | None, str]:
    """The outcome, how many further examples would decide it, and why."""
    if section.unusable:
        return "refused", None, section.unusable.reason
    if section.known:
        return "pass", None, "every parameter and buffer is bit-identical: the drop is exactly 0"
    proven = policy.fail_when is FailWhen.PROVEN
    fewest = rule.min_samples or policy.min_samples
    if (bound.low > limit) if proven else (bound.estimate > limit and bound.low > 0):
        sure = (
            "the drop is surely over the limit"
            if proven
            else "the drop is over the limit, and a loss is sure"
        )
        return broken(rule), None, sure
    share = _independent_share(section, policy.confidence)
    if bound.high < limit and section.n * share >= fewest:
        return "pass", None, "the drop is surely under the limit"
    further = _further(section, policy, limit, proven=proven, fewest=fewest, share=share)
    if bound.high < limit:
        return "inconclusive", further, f"{_told_n(section, share)} fewer than min-samples {fewest}"
    if further is None:
        return "inconclusive", None, "no number of examples would decide it: the drop lies on the limit"
    return "inconclusive", further, "the examples cannot decide it"


def _independent_share(section: SourceSection, confidence: float) -> float:
    groups = section.groups
    if groups is None:
        return 1.0
    return effective_share(groups.drop_effect, groups.n, confidence=confidence, sides=1)


def _further(
    section: SourceSection, policy: Policy, limit: float, *, proven: bool, fewest: int, share: float
) -> int | None:
    """How many more examples would decide; of questions in groups how many more groups."""
    if section.n * share < 1:
        return None
    further = further_examples(
        section.flips.forgotten * share,
        section.flips.gained * share,
        section.n * share,
        limit=limit,
        confidence=policy.confidence,
        proven=proven,
        min_samples=fewest,
    )
    if further is None or section.groups is None:
        return further
    return math.ceil(further / share * section.groups.n / section.n)


def _told_n(section: SourceSection, share: float) -> str:
    if section.groups is None:
        return f"{section.n} examples are"
    return (
        f"{counted(section.n, section.unit)} in {section.groups.n:,} groups tell as much as "
        f"{counted(int(section.n * share), 'example')},"
    )
