"""Points of a forgetting curve: every checkpoint against base and against the best so far, and what they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.intervals import drop_interval
from forgetaudit.inference.trajectory import continual_learning, fit_power_law
from forgetaudit.report.behaviour import RivalSection, SourceSection, counts_of
from forgetaudit.report.parts import Absent, Estimate, Measured, estimate_from
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import ContinualMeasures, Forecast, TraceAnswers, TracePoint, TraceSummary
from forgetaudit.values import NotMeasured

__all__ = ["Curve", "continual_measures", "for_looks", "forecast", "summary", "trace_answers"]

CONFIDENCE = 0.95
"""Of intervals, and that no checkpoint is called sure by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What every checkpoint answered on every data set, and every checkpoint against every other."""

    names: tuple[str, ...]
    steps: tuple[int | None, ...]
    sections: Mapping[tuple[str, str], SourceSection]
    rivals: Mapping[tuple[str, str, str], RivalSection]
    data: tuple[str, ...]
    target: str | None

    @classmethod
    def of(
        cls,
        report: AuditReport,
        names: Sequence[str],
        steps: Sequence[int | None],
        target: str | None,
    ) -> "Curve":
        """Of a comparison of all checkpoints, in their order, with base."""
        source = () if isinstance(report.source, Absent) else report.source
        return cls(
            names=tuple(names),
            steps=tuple(steps),
            sections={(section.data, section.variant): section for section in source},
            rivals={(rival.data, rival.first, rival.second): rival for rival in report.rivals},
            data=tuple(dict.fromkeys(section.data for section in source)),
            target=target,
        )

    @property
    def source_names(self) -> tuple[str, ...]:
        """All data sets but the target's."""
        return tuple(name for name in self.data if name != self.target)

    def best_before(self, data: str, name: str) -> str:
        """The best of base and the checkpoints before `name`; the earliest of equals."""
        found, accuracy = "base", self.sections[data, name].accuracy.base
        for earlier in self.names[: self.names.index(name)]:
            if self.sections[data, earlier].accuracy.tuned > accuracy:
                found, accuracy = earlier, self.sections[data, earlier].accuracy.tuned
        return found


def trace_answers(curve: Curve, name: str) -> tuple[TraceAnswers, ...]:
    """What a checkpoint answered on every data set, the target's among them."""
    return tuple(_answers(curve, data, name) for data in curve.data)


def _answers(curve: Curve, data: str, name: str) -> TraceAnswers:
    section, best = curve.sections[data, name], curve.best_before(data, name)
    below = section.accuracy.drop
    if best != "base":
        rival = curve.rivals.get((data, best, name))
        below = (
            Absent(not_measured="checkpoints were not paired with each other")
            if rival is None
            else rival.advantage_of_first
        )
    return TraceAnswers(
        data=data,
        n=section.n,
        base=section.accuracy.base,
        accuracy=section.accuracy.tuned,
        drop=section.accuracy.drop,
        sure=_is_sure(section, n_looks=len(curve.names)),
        flips=section.flips,
        best=best,
        below_best=below,
        nll=section.nll.tuned,
        target=data == curve.target,
    )


def _is_sure(section: SourceSection, *, n_looks: int) -> bool:
    """Whether the lower limit of the drop is over 0, were every checkpoint looked at (Bonferroni)."""
    drop, flips, groups = section.accuracy.drop, section.flips, section.groups
    if isinstance(drop, Absent) or section.known:
        return False
    found = drop_interval(
        flips.forgotten,
        flips.gained,
        section.n,
        method=drop.method,
        effect=None if groups is None else groups.drop_effect,
        degrees=None if groups is None else groups.degrees,
        confidence=for_looks(CONFIDENCE, n_looks),
        sides=1,
        strata=counts_of(section.per_stratum),
    )
    return found is not None and found.low > 0


def for_looks(confidence: float, n_looks: int) -> float:
    """The confidence of one look of as many, so that all of them hold (Bonferroni)."""
    return 1 - (1 - confidence) / n_looks


def summary(data: str, points: Sequence[TracePoint]) -> TraceSummary:
    """The turning points of the curve on one data set."""
    answers = [(point.variant, _answers_on(point, data)) for point in points]
    base = answers[0][1].base
    best = max(answers, key=lambda pair: pair[1].accuracy)
    return TraceSummary(
        data=data,
        first_sure=next((name for name, answer in answers if answer.sure), None),
        largest_drop=min(answers, key=lambda pair: pair[1].accuracy)[0],
        best=best[0] if best[1].accuracy > base else "base",
    )


def forecast(data: str, points: Sequence[TracePoint]) -> Forecast | Absent:
    """A power law through the drops, and its drop at twice the steps of the last checkpoint."""
    steps = [point.step for point in points]
    if any(step is None for step in steps):
        return Absent(not_measured="the steps of the checkpoints are not known")
    known = [step for step in steps if step is not None]
    drops = [_answers_on(point, data).drop for point in points]
    if any(isinstance(drop, Absent) or _error(drop) is None for drop in drops):
        return Absent(not_measured="a drop has no standard error")
    law = fit_power_law(
        known,
        [drop.estimate for drop in drops if isinstance(drop, Estimate)],
        [error for drop in drops if (error := _error(drop)) is not None],
        at=2 * known[-1],
        confidence=CONFIDENCE,
    )
    if isinstance(law, NotMeasured):
        return Absent(not_measured=law.reason)
    return Forecast(
        data=data,
        scale=law.scale,
        exponent=estimate_from(law.exponent, "diagnostic"),
        at=law.at,
        drop=estimate_from(law.forecast, "diagnostic"),
        misfit=law.misfit,
    )


def _error(drop: Measured) -> float | None:
    """The half width of its interval in standard errors."""
    if isinstance(drop, Absent) or drop.low is None or drop.high is None or drop.confidence is None:
        return None
    return (drop.high - drop.low) / 2 / z_quantile(drop.confidence, 2)


def continual_measures(
    curve: Curve, points: Sequence[TracePoint], learned: Mapping[str, str]
) -> ContinualMeasures | Absent:
    """Of all source data sets, each a task."""
    tasks = curve.source_names
    if len(tasks) < 2:
        return Absent(not_measured="the measures of continual learning are for several tasks (--data)")
    stages = ("base", *curve.names)
    known = {task: learned.get(task, "base") for task in tasks}
    found = continual_learning(
        [
            [_answers_on(points[0], task).base for task in tasks],
            *([_answers_on(point, task).accuracy for task in tasks] for point in points),
        ],
        [stages.index(known[task]) for task in tasks],
    )
    if isinstance(found, NotMeasured):
        return Absent(not_measured=found.reason)
    return ContinualMeasures(
        n_tasks=found.n_tasks,
        learned=known,
        backward_transfer=found.backward_transfer,
        average_forgetting=found.average_forgetting,
        avalanche=found.avalanche,
        mammoth=found.mammoth,
    )


def _answers_on(point: TracePoint, data: str) -> TraceAnswers:
    return next(answer for answer in point.answers if answer.data == data)
