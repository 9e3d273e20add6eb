"""The way of a run through weight space: how far each checkpoint lies from the one before."""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise

from forgetaudit.audits.align_by_model import align_through_model
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.models.model_source import ModelSource
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import Progress
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.weights import WeightTotal
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Role
from forgetaudit.weights.distance import measure_weights
from forgetaudit.weights.groups import total
from forgetaudit.wording import counted, some

__all__ = ["measure_moves"]


def measure_moves(plan: AuditPlan, compared: AuditReport, progress: Progress) -> tuple[float | Absent, ...]:
    """‖θ_t − θ_{t−1}‖ over the parameters, of the first checkpoint from base, as the report has it already.

    Not measured where a parameter could not be compared: the lengths of a path add only over one set of tensors.
    Every checkpoint but the ends is read twice more. AuditError where one cannot be read again.
    """
    if isinstance(compared.weights, Absent):
        return (compared.weights,) * len(plan.tuned)
    moves = [_first(compared.weights[0].total)]
    with ExitStack() as files:
        family = ModelSource(plan)
        files.enter_context(family.open_base())
        opened = [files.enter_context(family.open_tuned(path)) for path in plan.tuned]
        for before, after in pairwise(opened):
            moves.append(_between(before, after, family, progress))
    return tuple(moves)


def _first(of_base: WeightTotal) -> float | Absent:
    return _left_out(of_base.not_compared, of_base.n_tensors) or of_base.distance


def _between(
    before: Checkpoint, after: Checkpoint, family: ModelSource, progress: Progress
) -> float | Absent:
    alignment = align_through_model(before, after, family.model_names)
    changes = measure_weights(before, after, alignment, progress)
    parameters = [row for row in changes.tensors if row.role is Role.PARAMETER]
    left = _left_out([row.name for row in parameters if not row.is_compared], len(parameters))
    distance = total(changes).distance
    return left or (Absent(not_measured=distance.reason) if isinstance(distance, NotMeasured) else distance)


def _left_out(names: Sequence[str], n_tensors: int) -> Absent | None:
    if not names:
        return None
    return Absent(
        not_measured=f"{len(names):,} of {counted(n_tensors, 'parameter')} "
        f"{'was' if len(names) == 1 else 'were'} not compared: {some(names)}"
    )
