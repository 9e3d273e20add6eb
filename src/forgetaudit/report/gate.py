"""The gate: a policy and what was found, to a verdict that is pass, fail or inconclusive.

With margin δ, estimate d and one-sided limits L, U: PASS if n ≥ min-samples and U < δ. FAIL if d > δ and L > 0
(`likely`), or if L > δ (`proven`), at any n. Else INCONCLUSIVE. Exact and diagnostic values are compared plainly.
A rule on something that was not measured is inconclusive, never passed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from forgetaudit.policy import OnInconclusive, Policy, Rule, RuleKind, covers
from forgetaudit.report.accuracy_rule import judge_accuracy
from forgetaudit.report.behaviour import FeatureSection, LayerDrift, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Outcome, RuleOutcome, RuleResult, Verdict, broken
from forgetaudit.report.weights import WeightSection, WeightTotal
from forgetaudit.wording import counted, some

__all__ = ["FAILED", "INCONCLUSIVE", "PASSED", "REFUSED", "judge"]

PASSED, FAILED, REFUSED, INCONCLUSIVE = 0, 1, 2, 3

Sections = tuple[SourceSection, ...] | Absent
FeatureSections = tuple[FeatureSection, ...] | Absent
WeightSections = Sequence[WeightSection] | Absent


def judge(
    policy: Policy,
    *,
    source: Sections,
    features: FeatureSections,
    weights: WeightSections,
    variants: Sequence[str] = (),
) -> Verdict:
    """Every rule for every variant (and data set), and the exit code: 2 beats 1 beats 3 beats 0.

    `variants` can be left out where there are weights: their names are the variants' then.
    """
    names = variants or ([] if isinstance(weights, Absent) else [section.variant for section in weights])
    damage = {} if isinstance(weights, Absent) else {section.variant: section.damage for section in weights}
    results = tuple(
        _held_back(result, damage.get(result.variant))
        for rule in policy.rules
        for result in _results(rule, policy, source, features, weights, names)
    )
    refused = not isinstance(source, Absent) and any(section.unusable for section in source)
    outcome = _outcome(results, refused=refused)
    return Verdict(outcome=outcome, exit_code=_exit_code(outcome, policy), rules=results)


def _held_back(result: RuleResult, damage: str | None) -> RuleResult:
    """Damaged weights pass nothing: where the numbers look right, the rule does not measure what is wrong."""
    if damage is None or result.outcome != "pass":
        return result
    return result.model_copy(update={"outcome": "inconclusive", "reason": damage})


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


def _results(
    rule: Rule,
    policy: Policy,
    source: Sections,
    features: FeatureSections,
    weights: WeightSections,
    variants: Sequence[str],
) -> Iterator[RuleResult]:
    match rule.kind:
        case RuleKind.ACCURACY:
            yield from _over(source, rule, variants, lambda section: judge_accuracy(rule, policy, section))
        case RuleKind.CKA:
            yield from _over(features, rule, variants, lambda section: _cka(rule, section))
        case RuleKind.DISTANCE:
            yield from _over(weights, rule, variants, lambda section: _distance(rule, section))
        case RuleKind.FROZEN:
            yield from _over(weights, rule, variants, lambda section: _frozen(rule, section))


Section = TypeVar("Section")


def _over(
    sections: Sequence[Section] | Absent,
    rule: Rule,
    variants: Sequence[str],
    judged: Callable[[Section], RuleResult],
) -> list[RuleResult]:
    """`judged` for each section; where there is none, inconclusive for each variant, with the reason."""
    if not isinstance(sections, Absent):
        return [judged(section) for section in sections]
    return [
        RuleResult(
            rule=rule.name,
            outcome="inconclusive",
            level=rule.level.value,
            variant=variant,
            limit=rule.limit,
            reason=f"not measured: {sections.not_measured}",
        )
        for variant in variants
    ]


def _cka(rule: Rule, section: FeatureSection) -> RuleResult:
    watched = [
        layer
        for layer in section.layers
        if (layer.layer == rule.where if rule.where else layer.stage != "head")
    ]
    absent = [layer for layer in watched if isinstance(layer.cka, Absent)]
    measured = [(layer.cka.estimate, layer) for layer in watched if not isinstance(layer.cka, Absent)]
    lowest: tuple[float, LayerDrift] | None = min(measured, key=lambda pair: pair[0], default=None)
    outcome: RuleOutcome
    if lowest is not None and rule.limit is not None and lowest[0] < rule.limit:
        outcome, reason = broken(rule), f"{lowest[1].layer} drifted furthest"
    elif absent or lowest is None:
        names = ", ".join(layer.layer for layer in absent) or "no layer is watched"
        outcome, reason = "inconclusive", f"not measured: {names}"
    else:
        outcome, reason = "pass", f"{lowest[1].layer} is lowest"
    return RuleResult(
        rule=rule.name if rule.where or lowest is None else f"cka/{lowest[1].layer}",
        outcome=outcome,
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=None if lowest is None else lowest[0],
        limit=rule.limit,
        n=watched[0].n if watched else None,
        reason=reason,
    )


def _distance(rule: Rule, section: WeightSection) -> RuleResult:
    total = section.total if rule.where is None else _parameters_of(rule.where, section)
    outcome: RuleOutcome
    if isinstance(total.relative, Absent):
        value, outcome, reason = None, "inconclusive", f"not measured: {total.relative.not_measured}"
    elif rule.limit is not None and total.relative > rule.limit:
        value, outcome, reason = total.relative, broken(rule), "the weights moved further than the limit"
    else:
        value, outcome, reason = total.relative, "pass", "the weights moved less than the limit"
    return RuleResult(
        rule=rule.name,
        outcome=outcome,
        level=rule.level.value,
        variant=section.variant,
        value=value,
        limit=rule.limit,
        reason=reason,
    )


def _parameters_of(where: str, section: WeightSection) -> WeightTotal:
    """The layer's own sums; what is nowhere in the report was not measured."""
    for layer in section.layers:
        if layer.layer == where:
            return layer.parameters
    absent = Absent(not_measured=f"{where} is none of the layers that were measured")
    return WeightTotal(
        n_tensors=0,
        n_identical=0,
        n_elements=0,
        distance=absent,
        relative=absent,
        one_minus_cosine=absent,
        max_abs=absent,
    )


_STILL = {"identical", "cast", "renamed"}


def _frozen(rule: Rule, section: WeightSection) -> RuleResult:
    rows = [row for row in section.tensors if any(covers(pattern, row.name) for pattern in rule.patterns)]
    moved = [row.name for row in rows if row.change not in _STILL]
    n_cast = sum(row.change == "cast" for row in rows)
    cast = f" up to a cast ({n_cast} cast)" if n_cast else ""
    reason = (
        f"{len(moved)} of {len(rows)} tensors changed: {some(moved)}"
        if moved
        else f"{counted(len(rows), 'tensor')}, every one bit-identical{cast}"
    )
    return RuleResult(
        rule=rule.name,
        outcome=broken(rule) if moved else "pass",
        level=rule.level.value,
        variant=section.variant,
        value=float(len(moved)),
        limit=0.0,
        reason=reason,
    )
