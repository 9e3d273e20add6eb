"""The way of a run through weight space: how far each checkpoint lies from the one before."""

from contextlib import ExitStack
from itertools import pairwise

from forgetaudit.audits.naming import align_through_model
from forgetaudit.models.opening import Family
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import Progress
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.values import NotMeasured
from forgetaudit.weights.distance import measure_weights
from forgetaudit.weights.groups import total

__all__ = ["measure_moves"]


def measure_moves(plan: AuditPlan, compared: AuditReport, progress: Progress) -> tuple[float | Absent, ...]:
    """‖θ_t − θ_{t−1}‖ over the parameters, of the first checkpoint from base, as the report has it already.

    Every checkpoint but the ends is read twice more. AuditError where one cannot be read again.
    """
    if isinstance(compared.weights, Absent):
        return (compared.weights,) * len(plan.tuned)
    moves: list[float | Absent] = [compared.weights[0].total.distance]
    with ExitStack() as files:
        family = Family(plan)
        files.enter_context(family.open_base())
        opened = [files.enter_context(family.open_tuned(path)) for path in plan.tuned]
        for before, after in pairwise(opened):
            alignment = align_through_model(before, after, family.model_names)
            distance = total(measure_weights(before, after, alignment, progress)).distance
            moves.append(
                Absent(not_measured=distance.reason) if isinstance(distance, NotMeasured) else distance
            )
    return tuple(moves)
