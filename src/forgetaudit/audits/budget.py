"""The drift budget of one variant: the log settled, every tensor held against what the optimizer could do."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from forgetaudit.audits.weight_diff import WeightDiff
from forgetaudit.budget.bounds import TravelBound, sgd_distance
from forgetaudit.budget.find_log import clues_beside, clues_of
from forgetaudit.budget.optimizers import BOUNDED
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.budget.rates import Rates
from forgetaudit.budget.run import Group, Run, settle
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.models.evidence import is_adapter
from forgetaudit.progress import Progress
from forgetaudit.report.budget import BudgetAbsent, BudgetSection, FurtherSteps, LayerBudget, TensorBudget
from forgetaudit.report.parts import Absent
from forgetaudit.values import NotMeasured
from forgetaudit.weights.budget_used import (
    HALF_ULP,
    BudgetUsed,
    Rounding,
    coordinate_share,
    fewer_bits,
    norm_share,
    rounding,
)
from forgetaudit.weights.changes import Change, Role, TensorChange
from forgetaudit.weights.groups import by_layer, layer_of
from forgetaudit.weights.layer_names import layer_names
from forgetaudit.weights.sums import add_up

__all__ = ["measure_budget"]

_FACTORS = "an adapter's factors were trained, and the bound is not one of their product"
_TOGETHER = "all tensors together"
_ELSEWHERE = "the optimizer holds no parameter of this shape"
_ENDLESS = "its bound is beyond all numbers"
_NEVER = "it moved, and its learning rate was 0 in every step"
# torch's norm of many float32 numbers is off by as much, and so is what a gradient was clipped by.
_NORMS_OFF = 0.02


def measure_budget(
    weighed: WeightDiff, base: Checkpoint, tuned: Checkpoint, path: Path, plan: BudgetPlan, progress: Progress
) -> BudgetSection | BudgetAbsent | None:
    """What tuned, which lies at `path`, used of its budget; None where nothing is known of a run and nothing asked.

    Tensors are read again where decoupled decay gives each weight a bound of its own. AuditError for a bad `plan.log`.
    """
    read = clues_beside(path) if plan.log is None else clues_of(plan.log)
    if not (read or plan.is_asked):
        return None
    notes = tuple(note for one in read for note in one.notes)
    sources = tuple(source for one in read for source in one.sources)
    if is_adapter(path):
        return _absent(weighed.name, _FACTORS, sources, notes)
    run = settle(plan.asked, *read)
    if isinstance(run, NotMeasured):
        return _absent(weighed.name, run.reason, sources, notes)
    rows = [row for row in weighed.changes.tensors if row.role is Role.PARAMETER and row.sums is not None]
    if not rows or any(row.base is None for row in rows):
        return _absent(weighed.name, "no parameter could be subtracted from base's", sources, notes)
    measured, bounds = {}, _Bounds(run)
    with progress.phase("budget", len(rows), "tensors") as advance:
        for row in rows:
            measured[row.name] = _tensor(row, run, bounds, base, tuned)
            advance(1)
    return _section(weighed, run, bounds, measured, tuned, plan.n_more)


def _absent(name: str, reason: str, sources: tuple[str, ...], notes: tuple[str, ...]) -> BudgetAbsent:
    return BudgetAbsent(variant=name, not_measured=reason, sources=sources, notes=notes)


class _Bounds:
    """What the run can have done: how far, in each of its groups, summed over the steps once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._travels = {group: run.travel(group) for group in run.groups} if run.by_coordinate else {}

    def of(self, groups: Sequence[Group]) -> TravelBound:
        """What holds in whichever of `groups` a tensor is, by coordinate."""
        mine = [self._travels[group] for group in groups]
        return TravelBound(reach=max(one.reach for one in mine), decay=max(one.decay for one in mine))

    def distance(self, groups: Sequence[Group], base_norm: float) -> float:
        """The same of the Euclidean norm."""
        return max(
            sgd_distance(
                group.rates,
                self._run.gradients,
                momentum=group.momentum,
                dampening=group.dampening,
                nesterov=nesterov,
                decay=group.decay,
                base_norm=base_norm,
            )
            for group in groups
            for nesterov in ((False, True) if group.nesterov is None else (group.nesterov,))
        )

    def reach(self, groups: Sequence[Group], base_norm: float) -> float:
        """Either, of a weight that began at 0 and of a tensor of this norm."""
        return self.of(groups).reach if self._run.by_coordinate else self.distance(groups, base_norm)


def _tensor(
    row: TensorChange, run: Run, bounds: _Bounds, base: Checkpoint, tuned: Checkpoint
) -> TensorBudget:
    assert row.base is not None  # noqa: S101
    assert row.sums is not None  # noqa: S101
    reason = _why_not(row)
    groups = run.groups_of(row.name, row.base.shape)
    if not groups and row.change is Change.CHANGED:
        reason = _ELSEWHERE
    if reason is not None:
        return TensorBudget(tensor=row.name, used=_not_measured(reason), reach=_not_measured(reason))
    norm = math.sqrt(row.sums.base_square)
    reach = bounds.reach(groups or run.groups, norm)
    if not math.isfinite(reach):
        return TensorBudget(tensor=row.name, used=_not_measured(_ENDLESS), reach=_not_measured(_ENDLESS))
    if row.change is not Change.CHANGED:
        return TensorBudget(tensor=row.name, used=0.0, reach=reach)
    if run.by_coordinate:
        used = coordinate_share(row, base, tuned, bounds.of(groups), _rounding(row, run, None))
    else:
        distance = math.sqrt(row.sums.delta_square)
        rounded = _rounding(row, run, tuned if distance > reach else None)
        used = norm_share(distance, norm, reach, rounded, row.sums.n_elements, _NORMS_OFF)
    if not math.isfinite(used.share):
        return TensorBudget(tensor=row.name, used=_not_measured(_NEVER), reach=reach, refuted=used.refuted)
    return TensorBudget(tensor=row.name, used=used.share, reach=reach, refuted=used.refuted)


def _why_not(row: TensorChange) -> str | None:
    """Why no difference of this tensor can be held against a bound."""
    if row.change is Change.RESHAPED:
        return "its shape changed"
    if row.tuned is None or row.tuned.dtype not in HALF_ULP:
        return "its numbers are not real floating ones"
    if row.tuned.stored is not None or (row.base is not None and row.base.stored is not None):
        return "its numbers were rounded when they were quantised"
    sums = row.sums
    if (
        sums is None
        or sums.n_nonfinite_base + sums.n_nonfinite_tuned
        or isinstance(sums.distance, NotMeasured)
    ):
        return "some of its elements are not finite"
    return None


def _not_measured(reason: str) -> Absent:
    return Absent(not_measured=reason)


def _section(
    weighed: WeightDiff,
    run: Run,
    bounds: _Bounds,
    measured: Mapping[str, TensorBudget],
    tuned: Checkpoint,
    n_more: int | None,
) -> BudgetSection | BudgetAbsent:
    known = {name: row.used for name, row in measured.items() if isinstance(row.used, float)}
    if not known:
        reasons = {row.used.not_measured for row in measured.values() if isinstance(row.used, Absent)}
        if _NEVER in reasons:
            # Nothing moved but what cannot have: that is an answer, and no share of anything.
            reasons = {_NEVER}
        return _absent(weighed.name, "; ".join(sorted(reasons)), run.sources, run.notes)
    most = max(known, key=lambda name: known[name])
    used, reach, decay, tensors = known[most], 0.0, 0.0, tuple(measured.values())
    rows = [row for row in weighed.changes.tensors if row.name in known]
    if run.by_coordinate:
        widest = bounds.of(run.groups)
        reach, decay = widest.reach, widest.decay
    else:
        together, reach = _whole_model(rows, run, bounds, tuned)
        if not math.isfinite(reach):
            return _absent(weighed.name, _ENDLESS, run.sources, run.notes)
        used, most = together.share if math.isfinite(together.share) else 0.0, _TOGETHER
        whole = TensorBudget(tensor=most, used=used, reach=reach, refuted=together.refuted)
        tensors = (*tensors, whole)
    dtypes = [_rounding(row, run, tuned if used > 1 else None).written for row in rows]
    return BudgetSection(
        variant=weighed.name,
        optimizer=BOUNDED[run.optimizer],
        of="coordinate" if run.by_coordinate else "norm",
        n_steps=run.n_steps,
        used=used,
        most=most,
        reach=reach,
        decay=decay,
        layers=tuple(_layers(weighed, measured)),
        tensors=tensors,
        written=max(sorted(set(dtypes)), key=dtypes.count),
        written_declared=run.dtype is not None,
        forecast=_forecast(run, n_more),
        sources=run.sources,
        assumed=run.assumed,
        notes=run.notes,
    )


def _rounding(row: TensorChange, run: Run, tuned: Checkpoint | None) -> Rounding:
    """By what the run says; and by the numbers themselves, where `tuned` is to be read again for that."""
    rounded = rounding(row, run.dtype, run.n_steps)
    fewer = None if tuned is None else fewer_bits(row, tuned)
    return rounded if fewer is None else rounded.of_fewer_bits(fewer)


def _whole_model(
    rows: Sequence[TensorChange], run: Run, bounds: _Bounds, tuned: Checkpoint
) -> tuple[BudgetUsed, float]:
    """Of all tensors as one vector, whose gradient is what is clipped: the tightest that SGD allows; and that bound."""
    total = add_up(row.sums for row in rows if row.sums is not None)
    norm = math.sqrt(total.base_square)
    reach = bounds.distance(run.groups, norm)
    distance = math.sqrt(total.delta_square)
    # Where all lies within the bound, nothing has to be read again for what it was rounded to.
    every = [_rounding(row, run, tuned if distance > reach else None) for row in rows]
    coarsest = max(every, key=lambda one: HALF_ULP[one.written])
    return norm_share(distance, norm, reach, coarsest, total.n_elements, _NORMS_OFF), reach


def _layers(weighed: WeightDiff, measured: Mapping[str, TensorBudget]) -> list[LayerBudget]:
    layers = list(layer_names(row.name for row in weighed.changes.tensors).stages)
    order = [group.name for group in by_layer(weighed.changes, layers)]
    shares: dict[str, list[float]] = {}
    for name, row in measured.items():
        kept = shares.setdefault(layer_of(name, layers), [])
        if isinstance(row.used, float):
            kept.append(row.used)
    absent = Absent(not_measured="none of its tensors")
    return [
        LayerBudget(layer=name or "(top)", used=max(shares[name]) if shares[name] else absent)
        for name in order
        if name in shares
    ]


def _forecast(run: Run, n_more: int | None) -> FurtherSteps | Absent:
    """At the rate of the last step; by default over the steps that the run had planned."""
    n_steps = n_more if n_more is not None else max((run.n_planned or 0) - run.n_steps, 0)
    if not n_steps:
        return Absent(not_measured="no further steps were planned (--more-steps)")
    if not run.by_coordinate:
        return Absent(not_measured="nothing says how long the next gradients will be")
    rate = max(group.rates[-1] for group in run.groups)
    further = [run.travel(group, Rates([(group.rates[-1], n_steps)])) for group in run.groups]
    if not all(math.isfinite(one.reach) and math.isfinite(one.decay) for one in further):
        return Absent(not_measured="the bound on so many more steps is beyond all numbers")
    return FurtherSteps(
        n_steps=n_steps,
        rate=rate,
        reach=max(one.reach for one in further),
        decay=max(one.decay for one in further),
    )
