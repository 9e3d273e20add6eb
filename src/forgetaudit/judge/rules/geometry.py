"""Rules on exact and diagnostic values, compared plainly: CKA, weight distance, frozen tensors, calibration."""

from forgetaudit.judge.rules.decision import undecided
from forgetaudit.policy import Rule, covers
from forgetaudit.report.behaviour import FeatureSection, LayerDrift, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import RuleOutcome, RuleResult, broken
from forgetaudit.report.weights import TensorRow, WeightSection, WeightTotal
from forgetaudit.wording import counted, points, some

__all__ = ["judge_calibration", "judge_cka", "judge_distance", "judge_frozen", "layers_of"]


def layers_of(section: FeatureSection) -> frozenset[str]:
    """The watched layers but heads, each of which can be waived alone."""
    return frozenset(layer.layer for layer in section.layers if layer.stage != "head")


def judge_calibration(rule: Rule, section: SourceSection) -> RuleResult:
    """How much the expected calibration error grew, as a fraction: a diagnostic without an interval."""
    found = section.calibration
    if isinstance(found, Absent):
        return undecided(rule, section.variant, section.data, found.not_measured)
    increase = found.tuned_error - found.base_error
    over = rule.limit is not None and increase > rule.limit
    return RuleResult(
        rule=rule.name,
        outcome="refused" if section.unusable else broken(rule) if over else "pass",
        level=rule.level.value,
        variant=section.variant,
        data=section.data,
        value=increase,
        limit=rule.limit,
        n=section.n,
        reason=section.unusable.reason
        if section.unusable
        else f"the calibration error went from {points(found.base_error)} to {points(found.tuned_error)} points",
    )


def judge_cka(rule: Rule, section: FeatureSection, without: frozenset[str] = frozenset()) -> RuleResult:
    """The lowest CKA of the watched layers but heads and those in `without`; of one layer where the rule names it."""
    watched = [
        layer
        for layer in section.layers
        if (layer.layer == rule.where if rule.where else layer.stage != "head") and layer.layer not in without
    ]
    absent = [layer for layer in watched if isinstance(layer.cka, Absent)]
    measured = [(layer.cka.estimate, layer) for layer in watched if not isinstance(layer.cka, Absent)]
    lowest: tuple[float, LayerDrift] | None = min(measured, key=lambda pair: pair[0], default=None)
    outcome: RuleOutcome
    if lowest is not None and rule.limit is not None and lowest[0] < rule.limit:
        outcome, reason = broken(rule), f"{lowest[1].layer} drifted furthest"
    elif absent or lowest is None:
        outcome, reason = "inconclusive", f"not measured: {_missing(rule, absent)}"
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


def _missing(rule: Rule, absent: list[LayerDrift]) -> str:
    if absent:
        return some([layer.layer for layer in absent])
    return f"{rule.where} is none of the watched layers" if rule.where else "no layer is watched"


def judge_distance(rule: Rule, section: WeightSection) -> RuleResult:
    """The relative distance of all parameters from base's, or of one layer's."""
    total = section.total if rule.where is None else _parameters_of(rule.where, section)
    if isinstance(total, Absent):
        return undecided(rule, section.variant, None, total.not_measured)
    outcome: RuleOutcome
    if isinstance(total.relative, Absent):
        value, outcome, reason = None, "inconclusive", f"not measured: {total.relative.not_measured}"
    elif rule.limit is not None and total.relative > rule.limit:
        value, outcome, reason = total.relative, broken(rule), "the weights moved further than the limit"
    elif total.not_compared:
        # What was not compared can have moved any distance.
        value, outcome, reason = total.relative, "inconclusive", f"cannot pass: {_left_words(total)}"
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


def _left_words(total: WeightTotal) -> str:
    n = len(total.not_compared)
    return (
        f"{n:,} of {counted(total.n_tensors, 'parameter')} {'was' if n == 1 else 'were'} not compared: "
        f"{some(total.not_compared)}"
    )


def _parameters_of(where: str, section: WeightSection) -> WeightTotal | Absent:
    """The layer's own sums; what is nowhere in the report was not measured."""
    for layer in section.layers:
        if layer.layer == where:
            return layer.parameters
    return Absent(not_measured=f"{where} is none of the layers that were measured")


def judge_frozen(rule: Rule, section: WeightSection) -> RuleResult:
    """Every tensor that the patterns mean is bit-identical up to a declared cast, buffers included.

    A tensor that tuned lacks, or has besides, is one that changed. Where bytes of another kind could not be compared,
    nobody knows.
    """
    rows = [row for row in section.tensors if any(covers(pattern, row.name) for pattern in rule.patterns)]
    if not rows:
        return undecided(rule, section.variant, None, f"no tensor is named {some(rule.patterns)}")
    by_name = {row.name: row for row in section.tensors}
    seen = [(row, by_name.get(row.copy_of or row.name, row)) for row in rows]
    unknown = [row.name for row, bytes_of in seen if _is_unknown(bytes_of)]
    moved = [row.name for row, bytes_of in seen if not bytes_of.is_unchanged and row.name not in unknown]
    n_cast = sum(row.change == "cast" for row in rows)
    cast = f" up to a cast ({n_cast} cast)" if n_cast else ""
    outcome: RuleOutcome
    if moved:
        outcome, reason = broken(rule), f"{len(moved)} of {len(rows)} tensors changed: {some(moved)}"
    elif unknown:
        reason = f"{len(unknown)} of {len(rows)} tensors could not be compared: {some(unknown)}"
        outcome, reason = "inconclusive", f"cannot pass: {reason}"
    else:
        outcome, reason = "pass", f"{counted(len(rows), 'tensor')}, every one bit-identical{cast}"
    return RuleResult(
        rule=rule.name,
        outcome=outcome,
        level=rule.level.value,
        variant=section.variant,
        value=float(len(moved)),
        limit=0.0,
        reason=reason,
    )


def _is_unknown(row: TensorRow) -> bool:
    """Bytes of two kinds say nothing of each other, and an empty shell says nothing at all."""
    empty = (0,) in (row.shape, row.tuned_shape)
    return empty or (row.change == "not-comparable" and row.dtype != row.tuned_dtype)
