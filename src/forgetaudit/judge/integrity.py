"""Whether a saved report still adds up: counts, accuracies, intervals, distances and the verdict are made again.

It finds a report that was edited by hand or damaged. It is no signature: whoever makes everything anew is not found.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import date

from forgetaudit import __version__
from forgetaudit.inference.binomial import tail_beyond
from forgetaudit.inference.corrections import benjamini_hochberg, holm
from forgetaudit.inference.intervals import drop_interval, share_interval
from forgetaudit.inference.paired import mcnemar
from forgetaudit.judge.policy_record import policy_of
from forgetaudit.judge.rejudge import judge_report
from forgetaudit.report.behaviour import ClassResult, FlipTable, RivalSection, SourceSection, counts_of
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import RuleResult, Verdict
from forgetaudit.report.weights import WeightSection

__all__ = ["inconsistencies"]

# What these commands measured is all in their reports.
_JUDGED = ("compare", "weights", "trace")


def inconsistencies(report: AuditReport) -> Iterator[str]:
    """Everything that does not follow from the rest of the report, one line each."""
    names = {variant.name for variant in report.variants[1:]}
    for section in () if isinstance(report.source, Absent) else report.source:
        yield from (f"{section.variant} on {section.data}: {said}" for said in _source(section))
        if section.variant not in names:
            yield f"{section.variant} is none of the variants"
    for rival in report.rivals:
        yield from (f"{rival.first} and {rival.second} on {rival.data}: {said}" for said in _rivals(rival))
    for weights in () if isinstance(report.weights, Absent) else report.weights:
        yield from (f"weights of {weights.variant}: {said}" for said in _weights(weights))
    yield from _known_absences(report)
    if report.inputs.versions.get("forgetaudit") == __version__:
        yield from _trace(report)
    yield from _verdict(report)


def _source(section: SourceSection) -> Iterator[str]:
    flips, n, accuracy = section.flips, section.n, section.accuracy
    if _n_of(flips) != n or min(flips.forgotten, flips.gained, flips.kept, flips.missed) < 0 or n < 1:
        yield f"the flips add up to {_n_of(flips)}, and n is {n}"
        return
    for side, right in (("base", flips.kept + flips.forgotten), ("tuned", flips.kept + flips.gained)):
        said = accuracy.base if side == "base" else accuracy.tuned
        if not _near(said, right / n):
            yield f"accuracy of {side} is {said:.6g}, and the flips make it {right / n:.6g}"
    yield from _drop(accuracy.drop, flips, section)
    if not isinstance(section.mcnemar, Absent):
        test = mcnemar(flips.forgotten, flips.gained)
        if not (_near(section.mcnemar.exact, test.exact) and _near(section.mcnemar.mid_p, test.mid_p)):
            yield "the test of McNemar is not that of the flips"
    yield from _disagreement(section)
    yield from _log_loss(section)
    for rows, what in (
        (section.per_class, "classes"),
        (section.per_group, "groups"),
        (section.per_stratum, "strata"),
    ):
        yield from _rows(rows, section, what)


def _n_of(flips: FlipTable) -> int:
    return flips.forgotten + flips.gained + flips.kept + flips.missed


def _drop(drop: Measured, flips: FlipTable, section: SourceSection) -> Iterator[str]:
    if isinstance(drop, Absent):
        return
    n = _n_of(flips)
    if not _near(drop.estimate, (flips.forgotten - flips.gained) / n):
        yield f"the drop is {drop.estimate:.6g}, and the flips make it {(flips.forgotten - flips.gained) / n:.6g}"
    elif drop.confidence is not None and drop.sides is not None:
        groups = section.groups if drop.method == "grouped-tango" else None
        found = drop_interval(
            flips.forgotten,
            flips.gained,
            n,
            method=drop.method,
            effect=groups.drop_effect if groups else None,
            degrees=groups.degrees if groups else None,
            confidence=drop.confidence,
            sides=drop.sides,
            strata=counts_of(section.per_stratum),
        )
        if found is not None and not (_near(drop.low, found.low) and _near(drop.high, found.high)):
            yield f"the limits of the drop are not those of the flips, {found.low:.4g} to {found.high:.4g}"


def _disagreement(section: SourceSection) -> Iterator[str]:
    said = section.disagreement
    if isinstance(said, Absent):
        return
    count = said.estimate * section.n
    if not (0 <= said.estimate <= 1 and math.isclose(count, round(count), abs_tol=1e-6)):
        yield f"the share of changed answers, {said.estimate:.6g}, is none of {section.n}"
    elif not _is_share(said, round(count), section):
        yield "the limits of the share of changed answers are not those of its count"


def _is_share(said: Estimate, count: int, section: SourceSection) -> bool:
    """Whether the limits are those of Clopper and Pearson; put in, not solved for, where the count is whole."""
    n, groups = section.n, section.groups
    if said.low is None or said.high is None or said.confidence is None or said.sides is None:
        return said.kind == "exact" and count == 0
    if groups is not None:
        made = share_interval(
            count,
            n,
            effect=groups.disagreement_effect,
            degrees=groups.degrees,
            confidence=said.confidence,
            sides=said.sides,
        )
        return made is None or (_near(said.low, made.low) and _near(said.high, made.high))
    alpha = (1 - said.confidence) / said.sides
    if not 0 <= said.low <= said.estimate <= said.high <= 1:
        return False
    low = said.low == 0 if count == 0 else said.low > 0 and _close(tail_beyond(count, n, said.low), alpha)
    high = said.high == 1 if count == n else said.high < 1 and _close(tail_beyond(count, n, said.high), alpha)
    return low and high


def _close(said: float, made: float) -> bool:
    return math.isclose(said, made, rel_tol=1e-6)


def _log_loss(section: SourceSection) -> Iterator[str]:
    base, tuned, increase = section.nll.base, section.nll.tuned, section.nll.increase
    if isinstance(base, Absent) or isinstance(tuned, Absent) or isinstance(increase, Absent):
        return
    # Means of differences and differences of means are rounded apart.
    if not math.isclose(tuned - base, increase.estimate, abs_tol=1e-6 * max(1.0, abs(base), abs(tuned))):
        yield f"the log loss rose by {increase.estimate:.6g}, and {base:.6g} to {tuned:.6g} is {tuned - base:.6g}"
    elif increase.low is not None and increase.high is not None:
        middle = (increase.low + increase.high) / 2
        if not math.isclose(middle, increase.estimate, abs_tol=1e-6 * max(1.0, abs(increase.high))):
            yield "the limits of the log loss do not lie around its increase"


def _rows(rows: Sequence[ClassResult], section: SourceSection, what: str) -> Iterator[str]:
    tables = [(row, row.flips) for row in rows if isinstance(row.flips, FlipTable)]
    if not rows or len(tables) < len(rows):
        return
    for row, flips in tables:
        if _n_of(flips) != row.n or not row.n:
            yield f"{row.name} of its {what} has {row.n} examples, and its flips add up to {_n_of(flips)}"
            return
        right = (flips.kept + flips.forgotten) / row.n, (flips.kept + flips.gained) / row.n
        if not (_near(row.base, right[0]) and _near(row.tuned, right[1])):
            yield f"the accuracies of {row.name} of its {what} are not those of its flips"
        yield from (f"{row.name} of its {what}: {said}" for said in _drop(row.drop, flips, section))
    for name in ("forgotten", "gained", "kept", "missed"):
        total = sum(getattr(flips, name) for _, flips in tables)
        if total != getattr(section.flips, name):
            yield f"the {what} add up to {total} {name}, and there are {getattr(section.flips, name)}"
    adjust = holm if what == "strata" else benjamini_hochberg
    adjusted = adjust([mcnemar(flips.forgotten, flips.gained).mid_p for _, flips in tables])
    if not all(_near(row.adjusted_p, p) for (row, _), p in zip(tables, adjusted, strict=True)):
        yield f"the adjusted p-values of its {what} are not those of the flips"


def _rivals(rival: RivalSection) -> Iterator[str]:
    said, difference = rival.advantage_of_first, rival.only_first_right - rival.only_second_right
    if not 0 <= rival.only_first_right + rival.only_second_right <= rival.n:
        yield "more examples differ than there are"
    elif not isinstance(said, Absent) and not _near(said.estimate, difference / rival.n):
        yield f"the advantage is {said.estimate:.6g}, and the counts make it {difference / rival.n:.6g}"


def _weights(weights: WeightSection) -> Iterator[str]:
    rows = [row for row in weights.tensors if row.role == "parameter"]
    total = weights.total
    if total.n_tensors != len(rows):
        yield f"the total is of {total.n_tensors} parameters, and {len(rows)} are listed"
    still = sum(row.change in ("identical", "renamed", "cast") for row in rows)
    if total.n_identical != still:
        yield f"{total.n_identical} parameters are called unchanged, and {still} are"
    left = tuple(row.name for row in weights.not_compared)
    if not isinstance(total.compared_share, Absent) and total.not_compared != left:
        yield f"{len(total.not_compared)} parameters are called not compared, and {len(left)} are"
    parts = [row.distance for row in rows if not isinstance(row.distance, Absent)]
    if not isinstance(total.distance, Absent):
        added = math.sqrt(math.fsum(part * part for part in parts))
        if not math.isclose(total.distance, added, rel_tol=1e-4, abs_tol=1e-12):
            yield f"the total distance is {total.distance:.6g}, and the tensors make it {added:.6g}"
    if weights.identical != all(row.change in ("identical", "renamed") for row in weights.tensors):
        yield "whether every tensor is bit-identical does not follow from the tensors"


def _known_absences(report: AuditReport) -> Iterator[str]:
    """Only bytes prove that nothing can have changed."""
    sections = () if isinstance(report.weights, Absent) else report.weights
    identical = {section.variant for section in sections if section.identical}
    for source in () if isinstance(report.source, Absent) else report.source:
        flipped = source.flips.forgotten + source.flips.gained
        if source.known and (source.variant not in identical or flipped):
            yield f"{source.variant} on {source.data}: it is called known, and the weights do not prove it"
        drop = source.accuracy.drop
        if isinstance(drop, Estimate) and drop.kind == "exact" and not source.known:
            yield f"{source.variant} on {source.data}: the drop is called exact, and it is not known"


def _trace(report: AuditReport) -> Iterator[str]:
    """Of a run: the checkpoint that keeps every limit is the last of those that do."""
    if report.trace is None:
        return
    kept = [point for point in report.trace.points if point.within]
    last = kept[-1].variant if kept else None
    if report.trace.last_within != last:
        yield f"{report.trace.last_within} is called the last within the limits, and {last} is"
    yield from (f"{point.variant} is within, and is no pass" for point in kept if point.outcome != "pass")


def _verdict(report: AuditReport) -> Iterator[str]:
    """Judged again by the policy that the report names, on the day that it names."""
    verdict, settings = report.verdict, report.inputs.settings.get("gate")
    failed = any(rule.outcome == "fail" for rule in verdict.rules)
    if failed and verdict.outcome not in ("fail", "refused"):
        yield f"the verdict is {verdict.outcome}, and a rule failed"
    asked = report.command in _JUDGED and report.inputs.versions.get("forgetaudit") == __version__
    if not asked or settings is None:
        return
    policy, day = policy_of(settings), _day(report.run.get("judged_on"))
    if policy is None or day is None:
        yield "the policy or the day that it was judged by cannot be read"
        return
    again = judge_report(report, policy, today=day)
    if (again.outcome, again.exit_code) != (verdict.outcome, verdict.exit_code):
        yield f"the verdict is {verdict.outcome} ({verdict.exit_code}), and its rules make it {again.outcome}"
    elif _verdict_values(verdict) != _verdict_values(again):
        said = [
            one.rule
            for one, other in zip(verdict.rules, again.rules, strict=False)
            if _key(one) != _key(other)
        ]
        yield f"rules are not judged as the numbers say: {', '.join(said) or 'one is missing'}"
    elif verdict.family != again.family:
        yield "how often all rules together err does not follow from the rules"


def _verdict_values(verdict: Verdict) -> list[tuple[object, ...]]:
    return [_key(rule) for rule in verdict.rules]


def _key(rule: RuleResult) -> tuple[object, ...]:
    numbers = [None if value is None else float(f"{value:.9g}") for value in (rule.value, rule.limit)]
    return (rule.rule, rule.outcome, rule.level, rule.variant, rule.data, *numbers)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _near(said: float | None, made: float) -> bool:
    return said is not None and math.isclose(said, made, rel_tol=1e-9, abs_tol=1e-9)
