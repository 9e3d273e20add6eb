"""The rule on the accuracy drop: by the one-sided limits of Tango's score interval; questions may come in groups."""

from forgetaudit.inference.clusters import grouped_tango
from forgetaudit.inference.paired import tango
from forgetaudit.inference.power import further_examples
from forgetaudit.inference.sequential import sequential_limits
from forgetaudit.inference.strata import stratified_tango
from forgetaudit.judge.rules.decision import (
    Decision,
    decide,
    in_groups,
    independent_share,
    is_proven,
    limits,
    sample_size_text,
)
from forgetaudit.policy import Policy, Rule
from forgetaudit.report.behaviour import SourceSection, counts_of
from forgetaudit.report.verdict import RuleResult
from forgetaudit.values import Interval

__all__ = ["judge_accuracy"]


def judge_accuracy(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """One data set under one rule. `further_examples` counts groups where questions come in them."""
    limit = (rule.limit or 0.0) * (section.accuracy.base if rule.relative else 1.0)
    flips, n = section.flips, section.n
    bound = _drop_limits(section, policy.confidence)
    found = _decided(rule, policy, section, bound, limit)
    return RuleResult(
        rule=rule.name,
        outcome=found.outcome,
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=(flips.forgotten - flips.gained) / n,
        limit=limit,
        n=n,
        limits=None if section.known else limits(bound),
        further_examples=found.further,
        reason=found.reason,
    )


def _drop_limits(section: SourceSection, confidence: float) -> Interval:
    """One-sided limits of the drop, from the counts: the gate's confidence need not be the report's."""
    flips, n, groups = section.flips, section.n, section.groups
    if section.sequential:
        return sequential_limits(flips.forgotten, flips.gained, n, confidence=confidence, sides=1)
    if section.per_stratum:
        return stratified_tango(counts_of(section.per_stratum), confidence=confidence, sides=1)
    if groups is None:
        return tango(flips.forgotten, flips.gained, n, confidence=confidence, sides=1)
    return grouped_tango(
        flips.forgotten,
        flips.gained,
        n,
        effect=groups.drop_effect,
        degrees=groups.degrees,
        confidence=confidence,
        sides=1,
    )


def _decided(rule: Rule, policy: Policy, section: SourceSection, bound: Interval, limit: float) -> Decision:
    if section.unusable:
        return Decision(outcome="refused", reason=section.unusable.reason)
    if section.known:
        return Decision(
            outcome="pass", reason="every parameter and buffer is bit-identical: the drop is exactly 0"
        )
    effect = section.groups.drop_effect if section.groups else None
    share = independent_share(section, effect, policy.confidence)
    return decide(
        rule,
        policy,
        bound,
        limit,
        n=section.n * share,
        told=sample_size_text(section, share),
        noun="the drop",
        further=lambda: _further(rule, policy, section, limit, share),
    )


def _further(rule: Rule, policy: Policy, section: SourceSection, limit: float, share: float) -> int | None:
    """How many more examples would decide; of questions in groups how many more groups."""
    if section.n * share < 1:
        return None
    further = further_examples(
        section.flips.forgotten * share,
        section.flips.gained * share,
        section.n * share,
        limit=limit,
        confidence=policy.confidence,
        proven=is_proven(rule, policy),
        min_samples=rule.min_samples or policy.min_samples,
    )
    return in_groups(section, further, share)
