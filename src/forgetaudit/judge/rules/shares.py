"""Rules on shares of the examples: forgotten ones, and those answered differently. Exact binomial limits.

drop ≤ forgotten ≤ disagreement: whatever the labels are, no more can have been lost than answers have changed.
"""

from forgetaudit.inference.proportions import clopper_pearson, further_for_share
from forgetaudit.judge.rules.decision import (
    Decision,
    decide,
    in_groups,
    independent_share,
    is_proven,
    limits,
    sample_size_text,
    undecided,
)
from forgetaudit.policy import Policy, Rule
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import RuleResult
from forgetaudit.values import Interval
from forgetaudit.wording import points

__all__ = ["judge_disagreement", "judge_forgotten", "judge_without_labels"]


def judge_forgotten(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """The negative flip rate, forgotten / n (Yan et al. 2021, arXiv 2011.09161).

    Of questions in groups the larger design effect of the two that were measured counts.
    """
    groups = section.groups
    effect = max(groups.drop_effect, groups.disagreement_effect) if groups else None
    return _judge(rule, policy, section, section.flips.forgotten, effect, "the share of forgotten examples")


def judge_disagreement(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """The share of questions that base and tuned answer differently, right or wrong: it needs no labels."""
    if isinstance(section.disagreement, Absent):
        return undecided(rule, section.variant, section.data, section.disagreement.not_measured)
    changed = round(section.disagreement.estimate * section.n)
    effect = section.groups.disagreement_effect if section.groups else None
    result = _judge(rule, policy, section, changed, effect, "the share of changed answers")
    if result.limits is None or result.outcome == "refused":
        return result
    most = points(result.limits.high)
    return result.model_copy(
        update={"reason": f"{result.reason}; whatever the labels, at most {most} pt can be lost"}
    )


def judge_without_labels(rule: Rule, policy: Policy, section: SourceSection) -> RuleResult:
    """A limit on the loss where nothing says what is right: what changed can rule a loss out, and never show it."""
    result = judge_disagreement(rule, policy, section)
    if result.outcome in ("pass", "inconclusive", "refused"):
        return result
    reason = "without labels a loss can be ruled out, and not shown: pass labels (--label-column)"
    return result.model_copy(update={"outcome": "inconclusive", "reason": reason, "further_examples": None})


def _judge(
    rule: Rule, policy: Policy, section: SourceSection, count: int, effect: float | None, noun: str
) -> RuleResult:
    limit = (rule.limit or 0.0) * (section.accuracy.base if rule.relative else 1.0)
    n, share = section.n, independent_share(section, effect, policy.confidence)
    bound = _bound(count, n, share, policy.confidence)
    found = _decided(rule, policy, section, bound, limit, (count, share), noun)
    said = "" if section.known or section.unusable else f"{points(count / n)} pt, limit {100 * limit:.4g}: "
    return RuleResult(
        rule=rule.name,
        outcome=found.outcome,
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=count / n,
        limit=limit,
        n=n,
        limits=None if section.known else limits(bound),
        further_examples=found.further,
        reason=said + found.reason,
    )


def _bound(count: int, n: int, share: float, confidence: float) -> Interval:
    """One group alone proves nothing: its limits are 0 and 1."""
    if n * share >= 1:
        found = clopper_pearson(count * share, n * share, confidence=confidence, sides=1)
        low, high = found.low, found.high
    else:
        low, high = 0.0, 1.0
    return Interval(
        estimate=count / n, low=low, high=high, confidence=confidence, sides=1, method="clopper-pearson"
    )


def _decided(
    rule: Rule,
    policy: Policy,
    section: SourceSection,
    bound: Interval,
    limit: float,
    counted: tuple[int, float],
    noun: str,
) -> Decision:
    if section.unusable:
        return Decision(outcome="refused", reason=section.unusable.reason)
    if section.known:
        return Decision(
            outcome="pass", reason="every parameter and buffer is bit-identical: no answer changed"
        )
    count, share = counted

    def further() -> int | None:
        found = further_for_share(
            count * share,
            section.n * share,
            limit=limit,
            confidence=policy.confidence,
            proven=is_proven(rule, policy),
            min_samples=rule.min_samples or policy.min_samples,
        )
        return in_groups(section, found, share)

    return decide(
        rule,
        policy,
        bound,
        limit,
        n=section.n * share,
        told=sample_size_text(section, share),
        noun=noun,
        further=further,
    )
