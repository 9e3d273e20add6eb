"""trace: the forgetting curve over a run's checkpoints, all of them in one stream, judged on the last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from forgetaudit.audits.compare import compare
from forgetaudit.audits.trace.curve import (
    Curve,
    continual_measures,
    for_looks,
    forecast,
    summary,
    trace_answers,
)
from forgetaudit.audits.trace.path_length import measure_moves
from forgetaudit.checkpoints.run_order import RunOrder
from forgetaudit.errors import UsageError
from forgetaudit.inference.trajectory import pareto_front
from forgetaudit.judge.findings import worst_first
from forgetaudit.judge.rejudge import judge_report
from forgetaudit.judge.trace_findings import gaps_of_earlier, trace_findings
from forgetaudit.plan import AuditPlan, DataPlan
from forgetaudit.progress import SILENT, Progress
from forgetaudit.report.behaviour import FeatureSection
from forgetaudit.report.budget import BudgetSection
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import TraceLayer, TracePoint, TraceSection
from forgetaudit.report.weights import WeightSection
from forgetaudit.wording import some

__all__ = ["TracePlan", "refuse", "trace"]

NO_TARGET = "no target data were passed (--target)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePlan:
    """A comparison of base with the checkpoints of a run, in their order, and what is asked of the curve.

    `audit` has the checkpoints as its tuned ones, in the order of `order`, and every data set, the target's among
    them. `learned` names the stage ("base", or a checkpoint) that learned a task, by its data; base's if not said.
    """

    audit: AuditPlan
    order: RunOrder
    target: DataPlan | None = None
    learned: Mapping[str, str] = field(default_factory=dict)


def trace(plan: TracePlan, *, progress: Progress = SILENT) -> AuditReport:
    """The curve, and the report on the last checkpoint with its verdict.

    AuditError where it cannot be done as asked.
    """
    refuse(plan)
    compared, _ = compare(plan.audit, progress=progress)
    _refuse_unlabelled(compared)
    moves = measure_moves(plan.audit, compared, progress)
    whole = _without_target(compared, plan)
    section = _section(plan, compared, whole, moves)
    last = _report_on(whole, plan.audit.names[-1])
    verdict = judge_report(last, plan.audit.policy, today=_day(compared))
    findings = (*last.findings, *trace_findings(section, last), *gaps_of_earlier(whole, plan.audit.names))
    return last.model_copy(
        update={
            "command": "trace",
            "verdict": verdict,
            "rivals": (),
            "findings": worst_first(findings),
            "trace": section,
        }
    )


def refuse(plan: TracePlan) -> None:
    """UsageError for what is no run to be followed, or asks for what there is none of."""
    audit = plan.audit
    if len(audit.tuned) < 2:
        raise UsageError(
            "trace follows a run over its checkpoints, and there is one",
            hint="pass several, or run forgetaudit compare",
        )
    later = {task for task, stage in plan.learned.items() if stage != "base"}
    if not [data for data in audit.data if data != plan.target and data.name not in later]:
        raise UsageError("trace needs --data: held-out examples of the source task", hint="pass --data DATA")
    if audit.settings.stop_early:
        raise UsageError("a curve is not stopped early: every checkpoint answers all examples")
    tasks, stages = [data.name for data in audit.data], ("base", *audit.names)
    for task, stage in plan.learned.items():
        if task not in tasks or stage not in stages:
            wrong, known = (task, tasks) if task not in tasks else (stage, stages)
            raise UsageError(
                f"--learned {task}={stage}: there is no {wrong}", hint=f"choose from {some(known, 12)}"
            )


def _refuse_unlabelled(report: AuditReport) -> None:
    """Of answers that only changed, nobody knows which were forgotten."""
    for section in () if isinstance(report.source, Absent) else report.source:
        if section.unlabelled:
            raise UsageError(
                f"trace needs to know which answers are right, and {section.data} has no labels",
                hint="name the column that says it: --label-column NAME",
            )


def _day(report: AuditReport) -> date:
    return date.fromisoformat(str(report.run["judged_on"]))


def _without_target(report: AuditReport, plan: TracePlan) -> AuditReport:
    """What is judged and looked through: the data of what base could do, not of what the run learned."""
    later = {task for task, stage in plan.learned.items() if stage != "base"}
    without = later if plan.target is None else later | {plan.target.name}
    source, features = report.source, report.features
    return report.model_copy(
        update={
            "source": source
            if isinstance(source, Absent)
            else tuple(section for section in source if section.data not in without),
            "features": features
            if isinstance(features, Absent)
            else tuple(section for section in features if section.data not in without),
            "scores": tuple(score for score in report.scores if score.data not in without),
            "lost": tuple(example for example in report.lost if example.data not in without),
            "noise": tuple(floor for floor in report.noise if floor.data not in without),
            "findings": tuple(found for found in report.findings if found.data not in without),
        }
    )


def _report_on(report: AuditReport, variant: str) -> AuditReport:
    """The report as it would be on one of its variants."""
    source, features, weights = report.source, report.features, report.weights
    place = [one.name for one in report.variants[1:]].index(variant)
    return report.model_copy(
        update={
            "inputs": report.inputs.model_copy(update={"tuned": (report.inputs.tuned[place],)}),
            "variants": (report.variants[0], report.variants[place + 1]),
            "source": source
            if isinstance(source, Absent)
            else tuple(section for section in source if section.variant == variant),
            "features": features
            if isinstance(features, Absent)
            else tuple(section for section in features if section.variant == variant),
            "weights": weights
            if isinstance(weights, Absent)
            else tuple(section for section in weights if section.variant == variant),
            "budget": tuple(budget for budget in report.budget if budget.variant == variant),
            "scores": tuple(score for score in report.scores if score.variant == variant),
            "lost": tuple(example for example in report.lost if example.variant == variant),
            "findings": tuple(found for found in report.findings if found.variant == variant),
        }
    )


def _section(
    plan: TracePlan, compared: AuditReport, whole: AuditReport, moves: tuple[float | Absent, ...]
) -> TraceSection:
    target = None if plan.target is None else plan.target.name
    curve = Curve.of(compared, plan.audit.names, plan.order.steps, target)
    points = _with_front(_points(plan, curve, whole, moves), target)
    kept = [point.variant for point in points if point.within]
    return TraceSection(
        ordered=plan.order.said,
        points=points,
        summaries=tuple(summary(name, points) for name in curve.source_names),
        last_within=kept[-1] if kept else None,
        target=target or Absent(not_measured=NO_TARGET),
        forecasts=tuple(forecast(name, points) for name in curve.source_names),
        continual=continual_measures(curve, points, plan.learned),
        notes=tuple(_notes(points)),
    )


def _points(
    plan: TracePlan, curve: Curve, whole: AuditReport, moves: tuple[float | Absent, ...]
) -> list[TracePoint]:
    points, path, day, policy = [], 0.0, _day(whole), plan.audit.policy
    # Whoever keeps the last of many that pass looks at each: some pass by chance.
    at_looks = replace(policy, confidence=for_looks(policy.confidence, len(curve.names)))
    for place, (name, step, moved) in enumerate(zip(plan.audit.names, plan.order.steps, moves, strict=True)):
        one = _report_on(whole, name)
        weights = None if isinstance(one.weights, Absent) else one.weights[0]
        path += 0.0 if isinstance(moved, Absent) else moved
        lowest, layer = _lowest(() if isinstance(one.features, Absent) else one.features)
        points.append(
            TracePoint(
                variant=name,
                step=step,
                file=whole.inputs.tuned[place],
                answers=trace_answers(curve, name),
                lowest_cka=lowest,
                lowest_layer=layer,
                distance=_distance(weights),
                relative=Absent(not_measured="no weights") if weights is None else weights.total.relative,
                moved=moved,
                net_over_path=_net(_distance(weights), moves[: place + 1], path),
                budget_used=_budget_used(one),
                outcome=(outcome := judge_report(one, policy, today=day).outcome),
                within=outcome == judge_report(one, at_looks, today=day).outcome == "pass",
                layers=tuple(_layers(weights, () if isinstance(one.features, Absent) else one.features)),
            )
        )
    return points


def _budget_used(report: AuditReport) -> float | Absent:
    """Of one checkpoint, where a log of the run lay beside it."""
    for budget in report.budget:
        if isinstance(budget, BudgetSection):
            return budget.used
        return Absent(not_measured=budget.not_measured)
    return Absent(not_measured="no log of the run was found")


def _distance(weights: WeightSection | None) -> float | Absent:
    return Absent(not_measured="no weights") if weights is None else weights.total.distance


def _net(distance: float | Absent, moves: tuple[float | Absent, ...], path: float) -> float | Absent:
    if isinstance(distance, Absent):
        return distance
    absent = next((move for move in moves if isinstance(move, Absent)), None)
    if absent is not None:
        return absent
    return distance / path if path else Absent(not_measured="nothing moved")


def _lowest(features: tuple[FeatureSection, ...]) -> tuple[Measured, str | None]:
    """The lowest CKA of any layer on any source data set."""
    found = [
        (layer.cka.estimate, layer)
        for section in features
        for layer in section.layers
        if not isinstance(layer.cka, Absent)
    ]
    if not found:
        return Absent(not_measured="no features were measured"), None
    _, lowest = min(found, key=lambda pair: pair[0])
    return lowest.cka, lowest.layer


def _layers(weights: WeightSection | None, features: tuple[FeatureSection, ...]) -> Iterator[TraceLayer]:
    """Every layer that has weights, the head without a CKA; of several data sets the lowest."""
    known: dict[str, Measured] = {}
    for section in features:
        for drift in section.layers:
            before = known.setdefault(drift.layer, drift.cka)
            if isinstance(drift.cka, Estimate) and (
                isinstance(before, Absent) or drift.cka.estimate < before.estimate
            ):
                known[drift.layer] = drift.cka
    for layer in () if weights is None else weights.layers:
        yield TraceLayer(
            layer=layer.layer,
            stage=layer.stage,
            cka=known.get(layer.layer, Absent(not_measured="its features were not watched")),
            relative=layer.parameters.relative,
        )


def _with_front(points: list[TracePoint], target: str | None) -> tuple[TracePoint, ...]:
    """Which checkpoints no other one, nor base, beats on source and target at once."""
    if target is None:
        return tuple(points)

    def both(point: TracePoint) -> tuple[float, float]:
        by_kind = {answer.target: answer for answer in reversed(point.answers)}
        return by_kind[False].accuracy, by_kind[True].accuracy

    first = {answer.target: answer.base for answer in reversed(points[0].answers)}
    front = pareto_front([(first[False], first[True]), *map(both, points)])
    return tuple(
        point.model_copy(update={"on_front": on}) for point, on in zip(points, front[1:], strict=True)
    )


def _notes(points: tuple[TracePoint, ...]) -> list[str]:
    """Checkpoints that are the same weights twice."""
    return [
        f"{point.variant} has the parameters of {before}, bit for bit"
        for before, point in zip(["base", *(p.variant for p in points)], points, strict=False)
        if point.moved == 0.0
    ]
