"""The three answers for a value that was estimated from examples: pass, fail or inconclusive.

With limit δ, estimate d and one-sided limits L, U: FAIL if d > δ and L > 0 (`likely`), or if L > δ (`proven`), at any
number of examples. PASS if U < δ and there are min-samples. Else INCONCLUSIVE.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from forgetaudit.inference.clusters import effective_share
from forgetaudit.policy import FailWhen, Policy, Rule
from forgetaudit.report.behaviour import Groups, SourceSection
from forgetaudit.report.verdict import Limits, RuleOutcome, RuleResult, broken
from forgetaudit.values import Interval
from forgetaudit.wording import counted

__all__ = [
    "Decision",
    "decide",
    "groups_text",
    "in_groups",
    "independent_share",
    "is_proven",
    "limits",
    "sample_size_text",
    "undecided",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a rule comes to and why; `further` is how many more examples (or groups) would decide it."""

    outcome: RuleOutcome
    reason: str
    further: int | None = None


def decide(
    rule: Rule,
    policy: Policy,
    bound: Interval,
    limit: float,
    *,
    n: float,
    told: str,
    noun: str,
    further: Callable[[], int | None],
) -> Decision:
    """`n` counts independent examples, `told` is how a sentence says them, `noun` what is limited."""
    proven = is_proven(rule, policy)
    fewest = rule.min_samples or policy.min_samples
    if proven and bound.low > limit:
        return Decision(outcome=broken(rule), reason=f"{noun} is surely over the limit")
    if not proven and bound.estimate > limit and bound.low > 0:
        return Decision(outcome=broken(rule), reason=f"{noun} is over the limit, and some of it is sure")
    if bound.high < limit and n >= fewest:
        return Decision(outcome="pass", reason=f"{noun} is surely under the limit")
    if n < 1:
        return Decision(
            outcome="inconclusive", reason="so few or unequal groups of questions say nothing about others"
        )
    more = further()
    if bound.high < limit:
        few = f"{told} fewer than min-samples {fewest}"
        return Decision(outcome="inconclusive", reason=few, further=more)
    if more is None:
        stuck = f"no number of examples would decide it: {noun} lies on the limit"
        return Decision(outcome="inconclusive", reason=stuck)
    return Decision(outcome="inconclusive", reason="the examples cannot decide it", further=more)


def is_proven(rule: Rule, policy: Policy) -> bool:
    """Whether a failure has to be surely over the limit."""
    return (rule.fail_when or policy.fail_when) is FailWhen.PROVEN


def independent_share(section: SourceSection, effect: float | None, confidence: float) -> float:
    """What share of the questions counts as independent, one-sided; 1 where they do not come in groups."""
    if section.groups is None or effect is None:
        return 1.0
    return effective_share(effect, section.groups.degrees, confidence=confidence, sides=1)


def in_groups(section: SourceSection, further: int | None, share: float) -> int | None:
    """Further independent examples, as questions are gathered: of questions in groups, as groups."""
    if further is None or section.groups is None:
        return further
    return math.ceil(further / share * section.groups.n / section.n)


def sample_size_text(section: SourceSection, share: float) -> str:
    """How many examples there are, ready for `fewer than`."""
    if section.groups is None:
        return f"{counted(section.n, section.unit)} are"
    return (
        f"{counted(section.n, section.unit)} in {groups_text(section.groups)} tell as much as "
        f"{counted(int(section.n * share), 'example')},"
    )


def groups_text(groups: Groups) -> str:
    """How many groups there are, and as how many they count where sizes differ much."""
    said = counted(groups.n, "group")
    return f"{said} that count as {groups.effective:.2g}" if groups.effective < 0.8 * groups.n else said


def limits(bound: Interval) -> Limits:
    """The one-sided limits that a rule was judged on, in the report's form."""
    return Limits(low=bound.low, high=bound.high, confidence=bound.confidence, sides=1)


def undecided(rule: Rule, variant: str, data: str | None, reason: str) -> RuleResult:
    """The result of a rule on something that was not measured."""
    return RuleResult(
        rule=rule.name,
        outcome="inconclusive",
        level=rule.level.value,
        variant=variant,
        data=data,
        limit=None if rule.relative else rule.limit,
        reason=f"not measured: {reason}",
    )
