"""The gate: a policy and what was found, to a verdict that is pass, fail or inconclusive.

With margin δ, estimate d and one-sided limits L, U: PASS if n ≥ min-samples and U < δ. FAIL if d > δ and L > 0
(`likely`), or if L > δ (`proven`), at any n. Else INCONCLUSIVE. Exact and diagnostic values are compared plainly.
With family-wise, all that fail are corrected together: see `family`.
A rule on something that was not measured is inconclusive, never passed, and so is a rule on numbers that do not
speak of everything that was handed over: see `gaps`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

from forgetaudit.judge.family import family_of, judge_family
from forgetaudit.judge.rules.accuracy import judge_accuracy
from forgetaudit.judge.rules.classes import judge_classes, parts_of
from forgetaudit.judge.rules.decision import undecided
from forgetaudit.judge.rules.geometry import (
    judge_calibration,
    judge_cka,
    judge_distance,
    judge_frozen,
    layers_of,
)
from forgetaudit.judge.rules.log_loss import judge_log_loss
from forgetaudit.judge.rules.shares import judge_disagreement, judge_forgotten, judge_without_labels
from forgetaudit.judge.rules.waiving import Judge, Waived, judge_waived, states_of
from forgetaudit.policy import OnInconclusive, Policy, Rule, RuleKind
from forgetaudit.report.behaviour import FeatureSection, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Finding, Outcome, RuleResult, Verdict
from forgetaudit.report.weights import WeightSection

__all__ = ["FAILED", "INCONCLUSIVE", "PASSED", "REFUSED", "judge"]

PASSED, FAILED, REFUSED, INCONCLUSIVE = 0, 1, 2, 3

Sections = tuple[SourceSection, ...] | Absent
FeatureSections = tuple[FeatureSection, ...] | Absent
WeightSections = Sequence[WeightSection] | Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What there is to judge."""

    source: Sections
    features: FeatureSections
    weights: WeightSections
    variants: Sequence[str]


def judge(
    policy: Policy,
    *,
    source: Sections,
    features: FeatureSections,
    weights: WeightSections,
    gaps: Sequence[Finding] = (),
    variants: Sequence[str] = (),
    today: date | None = None,
) -> Verdict:
    """Every rule for every variant (and data set), and the exit code: 2 beats 1 beats 3 beats 0.

    `gaps` are findings on what was not read, run or compared, each of one variant; others among them are ignored.
    `variants` can be left out where there are weights: their names are the variants' then. Waivers end, so the day
    counts: `today` in UTC, by default the machine's.
    """
    names = variants or ([] if isinstance(weights, Absent) else [section.variant for section in weights])
    measured = _Measured(source=source, features=features, weights=weights, variants=names)
    day = today or datetime.now(UTC).date()
    damage = {} if isinstance(weights, Absent) else {section.variant: section.damage for section in weights}
    judged = judge_family(policy, partial(_judge_all, measured=measured, day=day))
    results = tuple(
        _held_back(found.result, damage.get(found.result.variant) or _gap_under(found.result, gaps))
        for found in judged
    )
    refused = not isinstance(source, Absent) and any(section.unusable for section in source)
    outcome = _outcome(results, refused=refused)
    return Verdict(
        outcome=outcome,
        exit_code=_exit_code(outcome, policy),
        rules=results,
        waivers=states_of(policy.waivers, judged, day),
        family=family_of(policy, judged),
    )


def _judge_all(policy: Policy, *, measured: _Measured, day: date) -> list[Waived]:
    return [found for rule in policy.rules for found in _results(rule, policy, measured, day)]


def _held_back(result: RuleResult, why: str | None) -> RuleResult:
    """Damaged weights pass nothing: where the numbers look right, the rule does not measure what is wrong.

    Nor does a rule pass over what was not read, run or compared.
    """
    if why is None or result.outcome not in ("pass", "waived"):
        return result
    return result.model_copy(update={"outcome": "inconclusive", "reason": why})


def _gap_under(result: RuleResult, gaps: Sequence[Finding]) -> str | None:
    """What the rule's numbers do not speak of, of its variant and data; None where they speak of everything."""
    kind = "weights" if RuleKind(result.rule.partition("/")[0]).is_of_weights else "behaviour"
    for gap in gaps:
        if (
            gap.holds in (kind, "everything")
            and gap.variant == result.variant
            and (gap.data is None or result.data is None or gap.data == result.data)
        ):
            return f"cannot pass: {gap.title}"
    return None


def _outcome(results: Sequence[RuleResult], *, refused: bool) -> Outcome:
    """Rules at level warn are told, and change nothing."""
    outcomes = {result.outcome for result in results if result.level == "fail" or result.outcome == "refused"}
    if refused or "refused" in outcomes:
        return "refused"
    if not results:
        return "not-judged"
    if "fail" in outcomes:
        return "fail"
    return "inconclusive" if "inconclusive" in outcomes else "pass"


def _exit_code(outcome: Outcome, policy: Policy) -> int:
    match outcome:
        case "refused":
            return REFUSED
        case "fail":
            return FAILED
        case "inconclusive":
            return INCONCLUSIVE if policy.on_inconclusive is OnInconclusive.FAIL else PASSED
        case _:
            return PASSED


def _results(rule: Rule, policy: Policy, measured: _Measured, day: date) -> Iterator[Waived]:
    """The rule for every section that it is about, then for every variant that has none."""
    seen = set()
    for variant, data, parts, judge_one in _sections(rule, policy, measured):
        if rule.data in (None, data):
            seen.add(variant)
            yield from judge_waived(rule, policy.waivers, judge_one, data=data, parts=parts, today=day)
    reason = _why_missing(rule, measured)
    for variant in measured.variants:
        if variant not in seen:
            yield Waived(result=undecided(rule, variant, rule.data, reason))


_Judged = tuple[str, str | None, frozenset[str], Judge]


def _sections(rule: Rule, policy: Policy, measured: _Measured) -> Iterator[_Judged]:
    """Variant, data, what can be waived alone, and how the rule is judged, for every section that it is about."""
    if rule.kind.is_of_weights:
        for weights in () if isinstance(measured.weights, Absent) else measured.weights:
            yield weights.variant, None, frozenset(), partial(_judge_weights, weights)
    elif rule.kind is RuleKind.CKA:
        for drift in () if isinstance(measured.features, Absent) else measured.features:
            yield drift.variant, drift.data, layers_of(drift), partial(_judge_features, drift)
    else:
        for source in () if isinstance(measured.source, Absent) else measured.source:
            parts = parts_of(rule, source) if rule.kind.has_parts else frozenset()
            yield source.variant, source.data, parts, partial(_judge_source, policy, source)


def _judge_weights(section: WeightSection, rule: Rule, _: frozenset[str]) -> RuleResult:
    judged = judge_distance if rule.kind is RuleKind.DISTANCE else judge_frozen
    return judged(rule, section)


def _judge_features(section: FeatureSection, rule: Rule, without: frozenset[str]) -> RuleResult:
    return judge_cka(rule, section, without)


def _judge_source(policy: Policy, section: SourceSection, rule: Rule, without: frozenset[str]) -> RuleResult:
    if section.sequential and rule.kind is not RuleKind.ACCURACY:
        early = "the run could stop as soon as the accuracy was decided (--stop-early)"
        return undecided(rule, section.variant, section.data, early)
    if section.unlabelled and rule.kind in (RuleKind.ACCURACY, RuleKind.FORGOTTEN):
        return judge_without_labels(rule, policy, section)
    if section.unlabelled and rule.kind is not RuleKind.DISAGREEMENT:
        return undecided(rule, section.variant, section.data, "there are no labels (--label-column)")
    match rule.kind:
        case RuleKind.CLASSES | RuleKind.GROUPS:
            return judge_classes(rule, policy, section, without)
        case RuleKind.LOG_LOSS:
            return judge_log_loss(rule, policy, section)
        case RuleKind.FORGOTTEN:
            return judge_forgotten(rule, policy, section)
        case RuleKind.DISAGREEMENT:
            return judge_disagreement(rule, policy, section)
        case RuleKind.CALIBRATION:
            return judge_calibration(rule, section)
        case _:
            return judge_accuracy(rule, policy, section)


def _why_missing(rule: Rule, measured: _Measured) -> str:
    sections = (
        measured.weights
        if rule.kind.is_of_weights
        else measured.features
        if rule.kind is RuleKind.CKA
        else measured.source
    )
    if isinstance(sections, Absent):
        return sections.not_measured
    return f"there are no data named {rule.data}" if rule.data else "there is nothing of it in the report"
