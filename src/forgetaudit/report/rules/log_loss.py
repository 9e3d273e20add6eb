"""The rule on the log loss: how far its mean rose, by the paired interval that the report holds."""

import math

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.clusters import t_quantile
from forgetaudit.policy import Policy, Rule
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.report.rules.decision import Decision, decide, is_proven, limits, undecided
from forgetaudit.report.verdict import RuleResult
from forgetaudit.values import Interval, Sides
from forgetaudit.wording import counted, honest

__all__ = ["judge_log_loss"]


def judge_log_loss(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """Increase in nats a question. A relative limit is that share of base's mean on the same examples."""
    increase, base = section.nll.increase, section.nll.base
    if isinstance(increase, Absent):
        return undecided(rule, section.variant, section.data, increase.not_measured)
    if isinstance(base, Absent):
        return undecided(rule, section.variant, section.data, base.not_measured)
    limit = (rule.limit or 0.0) * (base if rule.relative else 1.0)
    bound = _one_sided(increase, section, policy.confidence)
    found = _decided(rule, policy, section, bound, limit)
    return RuleResult(
        rule=rule.name,
        outcome=found.outcome,
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=increase.estimate,
        limit=limit,
        unit="nats",
        n=section.n,
        limits=None if bound is None else limits(bound),
        further_examples=found.further,
        reason=_said(increase.estimate, limit, section) + found.reason,
    )


def _said(increase: float, limit: float, section: SourceSection) -> str:
    if section.unusable or section.known:
        return ""
    moved = "fell" if increase < 0 else "rose"
    return f"{moved} {honest(abs(increase), decimals=3)} nats, limit {honest(limit, decimals=3)}: "


def _one_sided(increase: Estimate, section: SourceSection, confidence: float) -> Interval | None:
    """The standard error is in the saved interval; None where there is none, as for what is known."""
    if increase.low is None or increase.high is None or increase.confidence is None or increase.sides is None:
        return None
    half = (increase.high - increase.low) / 2
    reach = half * _quantile(section, confidence, 1) / _quantile(section, increase.confidence, increase.sides)
    return Interval(
        estimate=increase.estimate,
        low=increase.estimate - reach,
        high=increase.estimate + reach,
        confidence=confidence,
        sides=1,
        method=increase.method,
    )


def _quantile(section: SourceSection, confidence: float, sides: Sides) -> float:
    """As the interval was made: Student's t over groups, the normal quantile over examples."""
    if section.groups is not None:
        return t_quantile(confidence, sides, section.groups.n - 1)
    return z_quantile(confidence, sides)


def _decided(
    rule: Rule, policy: Policy, section: SourceSection, bound: Interval | None, limit: float
) -> Decision:
    if section.unusable:
        return Decision(outcome="refused", reason=section.unusable.reason)
    if section.known:
        return Decision(
            outcome="pass", reason="every parameter and buffer is bit-identical: it rose by exactly 0"
        )
    if bound is None:
        return Decision(outcome="inconclusive", reason="not measured: the increase has no interval")
    n = section.groups.n if section.groups else section.n
    return decide(
        rule,
        policy,
        bound,
        limit,
        n=n,
        told=f"{counted(n, 'group' if section.groups else section.unit)} are",
        noun="the increase",
        further=lambda: _further(rule, policy, bound, limit, n),
    )


def _further(rule: Rule, policy: Policy, bound: Interval, limit: float, n: int) -> int | None:
    """How many more examples (or groups) would decide, the scatter staying as it is: limits narrow with √n."""
    over = bound.estimate > limit
    target = limit if not over or is_proven(rule, policy) else 0.0
    gap = abs(bound.estimate - target)
    if gap == 0:
        return None
    needed = n * ((bound.high - bound.estimate) / gap) ** 2
    least = 2 if over else rule.min_samples or policy.min_samples
    return None if needed > 10**9 else math.ceil(max(needed + 1, least, n) - n)
