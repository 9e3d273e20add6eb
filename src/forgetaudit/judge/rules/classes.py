"""Rules on every class, or every group of examples: many looks, so a fall has to be sure of having looked often.

FAIL where d > δ and the one-sided test of "no drop" is significant after Holm, over all that have min-samples; PASS
where every one of those has U < δ, which needs no correction; else inconclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from forgetaudit.inference.corrections import holm
from forgetaudit.inference.paired import no_drop, score, tango
from forgetaudit.inference.power import further_examples
from forgetaudit.judge.rules.decision import independent_share, is_proven, limits, undecided
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.report.behaviour import ClassResult, FlipTable, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import RuleOutcome, RuleResult, broken
from forgetaudit.values import Interval
from forgetaudit.wording import counted, points, some

__all__ = ["FEWEST", "judge_classes", "parts_of"]

FEWEST = 30
"""Examples of a class that is judged, where the rule says nothing else: those of smaller ones are listed only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One class under the rule. `p` is one-sided, before Holm: of no drop, or of a drop within the limit (`proven`)."""

    name: str
    n: int
    bound: Interval
    limit: float
    p: float
    further: int | None


def parts_of(rule: Rule, section: SourceSection) -> frozenset[str]:
    """The names of the classes, or groups, that can be judged or waived alone."""
    rows = _rows(rule, section)
    return frozenset() if isinstance(rows, Absent) else frozenset(row.name for row in rows)


def judge_classes(
    rule: Rule, policy: Policy, section: SourceSection, without: frozenset[str] = frozenset()
) -> RuleResult:
    """Every class but those in `without`; only one where the rule names it."""
    rows = _rows(rule, section)
    if isinstance(rows, Absent):
        return undecided(rule, section.variant, section.data, rows.not_measured)
    rows = [row for row in rows if row.name not in without and rule.where in (None, row.name)]
    fewest = rule.min_samples or FEWEST
    enough = [row for row in rows if row.n >= fewest]
    if section.unusable:
        return _result(rule, section, (), "refused", section.unusable.reason)
    if section.known:
        same = "every parameter and buffer is bit-identical: no class can have changed"
        return _result(rule, section, (), "pass", same)
    if not enough:
        return undecided(rule, section.variant, section.data, _why_none(rule, rows, fewest))
    flips = [row.flips for row in enough if isinstance(row.flips, FlipTable)]
    if len(flips) < len(enough):
        return undecided(
            rule, section.variant, section.data, "the report does not hold the flips of every class"
        )
    judged = [_judge_one(rule, policy, section, *pair) for pair in zip(enough, flips, strict=True)]
    return _decided(rule, policy, section, judged, n_small=len(rows) - len(enough), fewest=fewest)


def _rows(rule: Rule, section: SourceSection) -> Sequence[ClassResult] | Absent:
    if rule.kind is RuleKind.GROUPS:
        return (
            section.per_group
            or section.per_stratum
            or Absent(not_measured="examples were not grouped by a column (--group-by or --strata)")
        )
    return section.per_class or Absent(not_measured=f"{section.task} has no classes")


def _why_none(rule: Rule, rows: Sequence[ClassResult], fewest: int) -> str:
    if rule.where is not None and not rows:
        return f"the data hold no {_noun(rule)} {rule.where}"
    return (
        f"no {_noun(rule)} has {fewest} examples"
        if rule.where is None
        else f"{rule.where} has under {fewest} examples"
    )


def _noun(rule: Rule) -> str:
    return "group" if rule.kind is RuleKind.GROUPS else "class"


def _judge_one(
    rule: Rule, policy: Policy, section: SourceSection, row: ClassResult, flips: FlipTable
) -> _Judged:
    # A group is asked about by itself, so that other groups say nothing of it; tokens depend on each other there, too.
    alone = rule.kind is RuleKind.GROUPS and section.unit != "token"
    effect = section.groups.drop_effect if section.groups and not alone else None
    share = max(independent_share(section, effect, policy.confidence), 1 / row.n)
    lost, gained, n = flips.forgotten * share, flips.gained * share, row.n * share
    limit = (rule.limit or 0.0) * (row.base if rule.relative else 1.0)
    p = no_drop(lost, gained)
    if is_proven(rule, policy):
        p = max(p, 1 - NormalDist().cdf(score(lost, gained, n, limit)))
    bound = tango(lost, gained, n, confidence=policy.confidence, sides=1)
    further = further_examples(
        lost, gained, n, limit=limit, confidence=policy.confidence, proven=is_proven(rule, policy)
    )
    # Classes keep their shares of the data, so the data grow as a whole.
    total = None if further is None else -(-further * section.n // int(max(n, 1)))
    return _Judged(name=row.name, n=row.n, bound=bound, limit=limit, p=p, further=total)


def _decided(
    rule: Rule,
    policy: Policy,
    section: SourceSection,
    judged: Sequence[_Judged],
    *,
    n_small: int,
    fewest: int,
) -> RuleResult:
    alpha = 1 - policy.confidence
    adjusted = holm([one.p for one in judged])
    fallen = [
        (one, p)
        for one, p in zip(judged, adjusted, strict=True)
        if one.bound.estimate > one.limit and p < alpha
    ]
    small = f"; {counted(n_small, _noun(rule))} under {fewest} examples not judged" if n_small else ""
    if fallen:
        fallen.sort(key=lambda pair: pair[0].bound.estimate, reverse=True)
        worst, p = fallen[0]
        more = f"; {len(fallen) - 1} more over the limit" if len(fallen) > 1 else ""
        said = f"{_noun(rule)} {worst.name} fell {points(worst.bound.estimate)} pt (n {worst.n:,}, Holm p {p:.1g}), "
        said += f"limit {100 * worst.limit:.4g} pt"
        return _result(rule, section, [worst], broken(rule), said + more + small)
    open_ = [one for one in judged if one.bound.high >= one.limit]
    if not open_:
        one = judged[0].name if len(judged) == 1 else None
        kept = f"{_noun(rule)} {one} is" if one else f"all {counted(len(judged), _noun(rule))} are"
        return _result(rule, section, judged, "pass", f"{kept} surely under the limit{small}")
    names = some([one.name for one in open_])
    said = f"{len(open_)} of {counted(len(judged), _noun(rule))} undecided: {names}"
    further = [one.further for one in open_]
    most = None if None in further else max(one for one in further if one is not None)
    return _result(rule, section, open_, "inconclusive", said + small, further=most)


def _result(
    rule: Rule,
    section: SourceSection,
    told: Sequence[_Judged],
    outcome: RuleOutcome,
    reason: str,
    further: int | None = None,
) -> RuleResult:
    """With the values of the class that fell furthest among those told."""
    worst = max(told, key=lambda one: one.bound.estimate, default=None)
    return RuleResult(
        rule=rule.name,
        outcome=outcome,
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=None if worst is None else worst.bound.estimate,
        limit=rule.limit if worst is None else worst.limit,
        n=section.n if worst is None else worst.n,
        limits=None if worst is None else limits(worst.bound),
        further_examples=further or None,
        reason=reason,
    )
