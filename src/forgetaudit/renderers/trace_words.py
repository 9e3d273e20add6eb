"""What the checkpoints of a run come to, in words and places that screen and page share."""

from collections.abc import Iterator
from dataclasses import dataclass

from forgetaudit.renderers import numbers
from forgetaudit.renderers.drop_words import span
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import ContinualMeasures, Forecast, TraceAnswers, TracePoint, TraceSection
from forgetaudit.wording import counted

__all__ = [
    "ContinualRow",
    "accuracy_ends",
    "answer_on",
    "began_words",
    "budget_words",
    "continual_rows",
    "forecast_words",
    "lowest_words",
    "run_words",
    "steps_known",
    "within_words",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualRow:
    """A measure of continual learning by the name and formula of its authors. `value` is a fraction."""

    name: str
    value: float
    formula: str


def run_words(report: AuditReport, trace: TraceSection) -> str:
    """`base.safetensors → checkpoint-20 … checkpoint-120`."""
    base = report.inputs.base.named or report.inputs.base.path
    name = base.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{name} → {trace.points[0].variant} … {trace.points[-1].variant}"


def answer_on(point: TracePoint, data: str) -> TraceAnswers:
    """What the checkpoint answered on `data`."""
    return next(answer for answer in point.answers if answer.data == data)


def accuracy_ends(answer: TraceAnswers) -> tuple[float | None, float | None]:
    """The limits of the drop, taken from base's accuracy."""
    drop = answer.drop
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return None, None
    return max(answer.base - drop.high, 0.0), min(answer.base - drop.low, 1.0)


def steps_known(trace: TraceSection) -> list[int] | None:
    """The steps of all checkpoints, where all are known and they lead away from base."""
    known = [point.step for point in trace.points if point.step is not None]
    return known if len(known) == len(trace.points) and known[-1] > 0 else None


def began_words(trace: TraceSection, first_sure: str | None) -> tuple[str, str]:
    """From where on the loss is sure, and what that allows for."""
    said = f"from {first_sure} on" if first_sure else "at no checkpoint"
    return said, f"; {_allowance(trace)}"


def within_words(trace: TraceSection) -> str:
    """Which checkpoint is the last that keeps every limit, and what that allows for."""
    if all(point.outcome == "not-judged" for point in trace.points):
        return "not judged: the run was traced without limits"
    if trace.last_within is None:
        return f"no checkpoint surely keeps every limit; {_allowance(trace)}"
    return f"{trace.last_within} is the last that keeps every limit; {_allowance(trace)}"


def _allowance(trace: TraceSection) -> str:
    return f"allows for {counted(len(trace.points), 'look')}"


def lowest_words(trace: TraceSection) -> str | None:
    """The lowest CKA of the run and where; None where none was measured."""
    found = [
        (point.lowest_cka.estimate, point) for point in trace.points if isinstance(point.lowest_cka, Estimate)
    ]
    if not found:
        return None
    lowest, point = min(found, key=lambda pair: pair[0])
    return f"{numbers.unit(lowest)} in {point.lowest_layer}, at {point.variant}"


def budget_words(trace: TraceSection) -> str | None:
    """How much of its drift budget the run used; None without one."""
    used = [
        (point.budget_used, point.variant) for point in trace.points if isinstance(point.budget_used, float)
    ]
    if not used:
        return None
    most, where = max(used)
    return f"{numbers.percent(used[-1][0])} used at the end, {numbers.percent(most)} at most, at {where}"


def forecast_words(forecast: Forecast | Absent) -> tuple[str, str]:
    """The power law and the drop it expects; and how much that is worth."""
    if isinstance(forecast, Absent):
        return f"not fitted: {forecast.not_measured}", ""
    exponent, drop = forecast.exponent, forecast.drop
    if isinstance(exponent, Absent) or isinstance(drop, Absent):
        return "not fitted", ""
    fit = f"drop ≈ {numbers.plain(100 * forecast.scale)} pt · step^{exponent.estimate:.2f}"
    said = f"{fit}: {numbers.points(drop.estimate)} pt {span(drop)} at step {forecast.at}"
    poor = (
        f"; a poor fit, chi-square {forecast.misfit:.1f} a degree of freedom" if forecast.misfit > 2 else ""
    )
    return said, f", did the run go on so{poor}; a diagnostic"


def continual_rows(found: ContinualMeasures) -> Iterator[ContinualRow]:
    """The four that the literature knows; positive is forgetting, but for BWT."""
    rows = (
        ("BWT", found.backward_transfer, "mean R[T, i] − R[learned, i] (Lopez-Paz and Ranzato)"),
        ("forgetting", found.average_forgetting, "mean max over t < T of R[t, i] − R[T, i] (Chaudhry)"),
        ("Avalanche", found.avalanche, "mean R[learned, i] − R[T, i]"),
        ("Mammoth", found.mammoth, "mean max over all t of R[t, i] − R[T, i]"),
    )
    yield from (ContinualRow(name=name, value=value, formula=formula) for name, value, formula in rows)
