"""The rule on the log loss: how far its mean rose, by the paired interval that the report holds."""

import math
from dataclasses import replace

from forgetaudit.inference.binomial import t_quantile
from forgetaudit.inference.means import FEWEST_TO_FAIL, bounded_reach, largest_assumed
from forgetaudit.judge.rules.decision import Decision, decide, is_proven, limits, undecided
from forgetaudit.policy import Policy, Rule
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import RuleResult
from forgetaudit.values import Interval
from forgetaudit.wording import counted, honest

__all__ = ["judge_log_loss"]

# A limit that nothing supports is as far away as a report can say.
_BEYOND = 1e6


def judge_log_loss(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """Increase in nats a question. A relative limit is that share of base's mean on the same examples."""
    increase, base = section.nll.increase, section.nll.base
    if isinstance(increase, Absent):
        return undecided(rule, section.variant, section.data, increase.not_measured)
    if isinstance(base, Absent):
        return undecided(rule, section.variant, section.data, base.not_measured)
    limit = (rule.limit or 0.0) * (base if rule.relative else 1.0)
    bound = _one_sided(section, policy.confidence)
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
        reason=_sentence(increase.estimate, limit, section) + found.reason,
    )


def _sentence(increase: float, limit: float, section: SourceSection) -> str:
    if section.unusable or section.known:
        return ""
    moved = "fell" if increase < 0 else "rose"
    return f"{moved} {honest(abs(increase), decimals=3)} nats, limit {honest(limit, decimals=3)}: "


def _one_sided(section: SourceSection, confidence: float) -> Interval | None:
    """The limits that the rule is judged on; None where there is no interval, as for what is known.

    On both sides the wider of Student's t and of the limit that holds whatever the differences' shape, as long as no
    question rises, or falls, by more than `_largest` of that side.
    """
    increase, error = section.nll.increase, _error(section)
    if isinstance(increase, Absent) or error is None:
        return None
    middle, n = increase.estimate, _independent(section)
    reach = error * t_quantile(confidence, 1, _degrees(section))
    above, below = (
        bounded_reach(
            n, side * middle, error, largest=_largest(section, rises=side > 0), confidence=confidence
        )
        for side in (1, -1)
    )
    return Interval(
        estimate=middle,
        low=max(middle - max(reach, below), -_BEYOND),
        high=min(middle + max(reach, above), _BEYOND),
        confidence=confidence,
        sides=1,
        method=increase.method,
    )


def _largest(section: SourceSection, *, rises: bool) -> float:
    """By how much no question is assumed to rise, or to fall; infinite where what was seen was not kept.

    The mean of a group is no single question: none is assumed to gain more than twice what any was seen to change, or
    than one question that gains the most would give to a group of mean size. A group of one is a question again.
    """
    rise, gain = section.nll.largest_rise, section.nll.largest_gain
    if rise is None or gain is None:
        return math.inf
    if rises:
        return largest_assumed(rise)
    if section.groups is None:
        return largest_assumed(gain)
    return max(2 * max(rise, gain), largest_assumed(0.0) * section.groups.n / section.n)


def _error(section: SourceSection) -> float | None:
    """The standard error, from the saved interval."""
    saved = section.nll.increase
    if isinstance(saved, Absent) or saved.low is None or saved.high is None:
        return None
    if saved.confidence is None or saved.sides is None or _degrees(section) <= 0:
        return None
    return (saved.high - saved.low) / 2 / t_quantile(saved.confidence, saved.sides, _degrees(section))


def _degrees(section: SourceSection) -> float:
    return section.groups.degrees if section.groups is not None else section.n - 1


def _independent(section: SourceSection) -> float:
    """How many independent differences there are, groups counted as so many of equal size."""
    return section.groups.effective if section.groups is not None else section.n


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
    n, unit = (section.groups.n, "group") if section.groups else (section.n, section.unit)
    found = decide(
        rule,
        policy,
        bound,
        limit,
        n=_independent(section),
        told=f"{counted(n, unit)} are",
        noun="the increase",
        further=lambda: _further(rule, policy, bound, limit, n),
    )
    if found.outcome in ("fail", "warned") and _independent(section) < FEWEST_TO_FAIL:
        few = f"{counted(n, unit)} are too few to fail a mean of log losses, which takes {FEWEST_TO_FAIL}"
        return Decision(
            outcome="inconclusive", reason=few, further=math.ceil(FEWEST_TO_FAIL - _independent(section))
        )
    if found.outcome in ("pass", "fail", "warned"):
        rises = found.outcome == "pass"
        most = f"{_largest(section, rises=rises):.3g} nats"
        assumed = f"were no {unit} to {'rise' if rises else 'gain'} by over {most}"
        return replace(found, reason=f"{found.reason}, {assumed}")
    return found


def _further(rule: Rule, policy: Policy, bound: Interval, limit: float, n: int) -> int | None:
    """About how many more examples (or groups) would decide, the scatter staying as it is: limits narrow with √n."""
    over = bound.estimate > limit
    target = limit if not over or is_proven(rule, policy) else 0.0
    gap = abs(bound.estimate - target)
    reach = bound.estimate - bound.low if over else bound.high - bound.estimate
    if gap == 0 or bound.high >= _BEYOND:
        return None
    needed = n * (reach / gap) ** 2
    least = 2 if over else rule.min_samples or policy.min_samples
    return None if needed > 10**9 else math.ceil(max(needed + 1, least, n) - n)
