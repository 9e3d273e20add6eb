"""The screen of a run: verdict on the last checkpoint, the curve, a line for each checkpoint, and what they come to."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.drop_words import drop_points, number, span
from forgetaudit.renderers.headline import subjects, verdict_line
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.phrases import asked
from forgetaudit.renderers.plot import Dot, plot
from forgetaudit.renderers.screen import family_lines, finding_lines, gap_lines, provenance_line, rule_lines
from forgetaudit.renderers.trace_layers import layer_lines
from forgetaudit.renderers.trace_words import (
    accuracy_ends,
    answer_on,
    began_words,
    budget_words,
    continual_rows,
    forecast_words,
    lowest_words,
    run_words,
    steps_known,
    within_words,
)
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import ContinualMeasures, TracePoint, TraceSection
from forgetaudit.wording import counted

__all__ = ["trace_screen"]

_SOURCE, _TARGET = "●", "○"
_MOST_ROWS = 40


def trace_screen(report: AuditReport, exit_note: str = "") -> Iterator[Line]:
    """Every line. ValueError for a report of another command."""
    trace = report.trace
    if trace is None:
        raise ValueError("the report is of no run")
    for subject in subjects(report):
        on = f"   {subject.source.data} · {asked(subject.source)}" if subject.source else ""
        yield [("forgetaudit trace  ", "bold"), (f"{run_words(report, trace)}{on}", "")]
        yield verdict_line(report, subject)
        yield from gap_lines(report, subject)
        yield []
        if subject.source is not None:
            yield from _curve(trace, subject.source.data)
            yield from _table(trace, subject.source.data)
            yield from layer_lines(trace)
            yield from _said(trace, subject.source.data)
        yield from rule_lines(report, subject)
        yield from finding_lines(report, subject)
    yield from _continual(trace)
    yield from family_lines(report)
    yield from provenance_line(report, exit_note)


def _curve(trace: TraceSection, data: str) -> Iterator[Line]:
    """Accuracy over steps, and the target's beside it."""
    places = _places(trace)
    answers = [answer_on(point, data) for point in trace.points]
    dots = [Dot(place=0.0, value=answers[0].base, mark=_SOURCE)]
    for place, answer in zip(places, answers, strict=True):
        low, high = accuracy_ends(answer)
        dots.append(Dot(place=place, value=answer.accuracy, mark=_SOURCE, low=low, high=high))
    words = f"{_SOURCE} accuracy on {data}"
    if not isinstance(trace.target, Absent):
        target = [answer_on(point, trace.target) for point in trace.points]
        dots.append(Dot(place=0.0, value=target[0].base, mark=_TARGET))
        dots += [
            Dot(place=place, value=one.accuracy, mark=_TARGET)
            for place, one in zip(places, target, strict=True)
        ]
        words += f"   {_TARGET} on {trace.target}, the target"
    yield [(words, "label")]
    labels = ["base", *(_step(point) for point in trace.points)]
    yield from plot(dots, list(zip([0.0, *places], labels, strict=True)))
    yield []


def _places(trace: TraceSection) -> list[float]:
    """By step where steps are known, else evenly."""
    n = len(trace.points)
    known = steps_known(trace)
    return [step / known[-1] for step in known] if known else [(at + 1) / n for at in range(n)]


def _step(point: TracePoint) -> str:
    return point.variant if point.step is None else f"{point.step}"


def _table(trace: TraceSection, data: str) -> Iterator[Line]:
    """A line for each checkpoint: against base, against the best so far, and its way through weight space."""
    wide = max(5, *(len(_step(point)) for point in trace.points)) + 2
    with_target = not isinstance(trace.target, Absent)
    head = f"{'step':<{wide}}{'accuracy':<10}{'drop':<7}{'two-sided 95 %':<16}{'below best':<12}"
    yield [(head, "label"), (f"{'target' if with_target else 'min CKA':<10}{'‖Δ‖/‖θ₀‖':<10}net/path", "dim")]
    shown = trace.points[-_MOST_ROWS:]
    if hidden := len(trace.points) - len(shown):
        yield [("…", "dim"), (f" {counted(hidden, 'checkpoint')} before, all in the report", "dim")]
    for point in shown:
        answer = answer_on(point, data)
        drop = f"{_points(answer.drop):<7}{span(answer.drop):<16}{_points(answer.below_best):<12}"
        other = (
            f"{numbers.percent(answer_on(point, str(trace.target)).accuracy)}{' *' if point.on_front else ''}"
            if with_target
            else _unit(point.lowest_cka.estimate if isinstance(point.lowest_cka, Estimate) else None)
        )
        yield [
            (f"{_step(point):<{wide}}{numbers.percent(answer.accuracy):<10}", ""),
            (drop, "bad" if answer.sure else ""),
            (f"{other:<10}{number(point.relative):<10}{number(point.net_over_path)}", "dim"),
        ]
    if with_target:
        yield [("* no checkpoint is better on source and target at once (Pareto front)", "dim")]
    yield []


def _said(trace: TraceSection, data: str) -> Iterator[Line]:
    """Turning points, the way through weight space, and the forecast."""
    summary = next(one for one in trace.summaries if one.data == data)
    yield _row("sure loss", *began_words(trace, summary.first_sure))
    yield _row("within", within_words(trace))
    if lowest := lowest_words(trace):
        yield _row("lowest CKA", lowest)
    if used := budget_words(trace):
        yield _row("budget", used, ", of what the log, and what it leaves to assume, allow")
    yield _row("power law", *forecast_words(trace.forecasts[trace.summaries.index(summary)]))
    if isinstance(trace.target, Absent):
        yield _row("target", f"not measured: {trace.target.not_measured}")
    yield from (_row("note", note) for note in trace.notes)
    yield _row("order", trace.ordered)
    yield []


def _continual(trace: TraceSection) -> Iterator[Line]:
    found = trace.continual
    if not isinstance(found, ContinualMeasures):
        return
    yield [
        ("continual learning", "label"),
        (f"   R[t, i]: accuracy on task i after stage t; {counted(found.n_tasks, 'task')}", "dim"),
    ]
    for row in continual_rows(found):
        yield _row(row.name, f"{drop_points(row.value)} pt".ljust(10), f"  {row.formula}")
    yield []


def _row(label: str, text: str, more: str = "") -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, ""), (more, "dim")]


def _points(value: Measured) -> str:
    """A drop in points, with the sign a reader of accuracies expects."""
    return "·" if isinstance(value, Absent) else numbers.signed_points(value.estimate)


def _unit(value: float | None) -> str:
    return "·" if value is None else numbers.unit(value)
