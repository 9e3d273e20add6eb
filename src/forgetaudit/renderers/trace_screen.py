"""The screen of a run: verdict on the last checkpoint, the curve, a line for each checkpoint, and what they come to."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.headline import subjects, verdict_line
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.phrases import asked
from forgetaudit.renderers.plot import Dot, plot
from forgetaudit.renderers.screen import finding_lines, provenance_line, rule_lines
from forgetaudit.renderers.trace_layers import layer_lines
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import ContinualMeasures, Forecast, TraceAnswers, TracePoint, TraceSection
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
        yield [("forgetaudit trace  ", "bold"), (f"{_run(report, trace)}{on}", "")]
        yield verdict_line(report, subject)
        yield []
        if subject.source is not None:
            yield from _curve(trace, subject.source.data)
            yield from _table(trace, subject.source.data)
            yield from layer_lines(trace)
            yield from _said(trace, subject.source.data)
        yield from rule_lines(report, subject)
        yield from finding_lines(report, subject)
    yield from _continual(trace)
    yield from provenance_line(report, exit_note)


def _run(report: AuditReport, trace: TraceSection) -> str:
    base = (
        (report.inputs.base.named or report.inputs.base.path)
        .replace("\\", "/")
        .rstrip("/")
        .rpartition("/")[2]
    )
    first, last = trace.points[0].variant, trace.points[-1].variant
    return f"{base} → {first} … {last}"


def _curve(trace: TraceSection, data: str) -> Iterator[Line]:
    """Accuracy over steps, and the target's beside it."""
    places = _places(trace)
    answers = [_on(point, data) for point in trace.points]
    dots = [Dot(place=0.0, value=answers[0].base, mark=_SOURCE)]
    for place, answer in zip(places, answers, strict=True):
        low, high = _ends(answer)
        dots.append(Dot(place=place, value=answer.accuracy, mark=_SOURCE, low=low, high=high))
    words = f"{_SOURCE} accuracy on {data}"
    if not isinstance(trace.target, Absent):
        target = [_on(point, trace.target) for point in trace.points]
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
    steps = [point.step for point in trace.points]
    known = [step for step in steps if step is not None]
    if len(known) == len(steps) and known[-1] > 0:
        return [step / known[-1] for step in known]
    return [(at + 1) / len(steps) for at in range(len(steps))]


def _ends(answer: TraceAnswers) -> tuple[float | None, float | None]:
    """The limits of the drop, taken from base's accuracy."""
    drop = answer.drop
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return None, None
    return max(answer.base - drop.high, 0.0), min(answer.base - drop.low, 1.0)


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
        answer = _on(point, data)
        drop = f"{_points(answer.drop):<7}{_span(answer.drop):<16}{_points(answer.below_best):<12}"
        other = (
            f"{numbers.percent(_on(point, str(trace.target)).accuracy)}{' *' if point.on_front else ''}"
            if with_target
            else _unit(point.lowest_cka.estimate if isinstance(point.lowest_cka, Estimate) else None)
        )
        yield [
            (f"{_step(point):<{wide}}{numbers.percent(answer.accuracy):<10}", ""),
            (drop, "bad" if answer.sure else ""),
            (f"{other:<10}{_number(point.relative):<10}{_number(point.net_over_path)}", "dim"),
        ]
    if with_target:
        yield [("* no checkpoint is better on source and target at once (Pareto front)", "dim")]
    yield []


def _said(trace: TraceSection, data: str) -> Iterator[Line]:
    """Turning points, the way through weight space, and the forecast."""
    summary = next(one for one in trace.summaries if one.data == data)
    begun = summary.first_sure or "no checkpoint"
    n = len(trace.points)
    yield _row(
        "sure loss", f"from {begun} on" if summary.first_sure else f"at {begun}", f"; allows for {n} looks"
    )
    yield _row("within", _within(trace))
    lowest = min(
        (point for point in trace.points if isinstance(point.lowest_cka, Estimate)),
        key=lambda point: point.lowest_cka.estimate if isinstance(point.lowest_cka, Estimate) else 1.0,
        default=None,
    )
    if lowest is not None and isinstance(lowest.lowest_cka, Estimate):
        said = f"{numbers.unit(lowest.lowest_cka.estimate)} in {lowest.lowest_layer}, at {lowest.variant}"
        yield _row("lowest CKA", said)
    used = [
        (point.budget_used, point.variant) for point in trace.points if isinstance(point.budget_used, float)
    ]
    if used:
        most, where = max(used)
        said = f"{numbers.percent(used[-1][0])} used at the end, {numbers.percent(most)} at most, at {where}"
        yield _row("budget", said, ", of how far the optimizer can have gone")
    forecast = trace.forecasts[trace.summaries.index(summary)]
    yield _row("power law", *_forecast(forecast))
    if isinstance(trace.target, Absent):
        yield _row("target", f"not measured: {trace.target.not_measured}")
    yield from (_row("note", note) for note in trace.notes)
    yield _row("order", trace.ordered)
    yield []


def _within(trace: TraceSection) -> str:
    if all(point.outcome == "not-judged" for point in trace.points):
        return "not judged: the run was traced without limits"
    if trace.last_within is None:
        return "no checkpoint surely keeps every limit"
    return f"{trace.last_within} is the last that keeps every limit"


def _forecast(forecast: Forecast | Absent) -> tuple[str, str]:
    if isinstance(forecast, Absent):
        return f"not fitted: {forecast.not_measured}", ""
    exponent, drop = forecast.exponent, forecast.drop
    if isinstance(exponent, Absent) or isinstance(drop, Absent):
        return "not fitted", ""
    fit = f"drop ≈ {numbers.plain(100 * forecast.scale)} pt · step^{exponent.estimate:.2f}"
    said = f"{fit}: {numbers.points(drop.estimate)} pt {_span(drop)} at step {forecast.at}"
    poor = (
        f"; a poor fit, chi-square {forecast.misfit:.1f} a degree of freedom" if forecast.misfit > 2 else ""
    )
    return said, f", did the run go on so{poor}; a diagnostic"


def _continual(trace: TraceSection) -> Iterator[Line]:
    found = trace.continual
    if not isinstance(found, ContinualMeasures):
        return
    yield [
        ("continual learning", "label"),
        (f"   R[t, i]: accuracy on task i after stage t; {counted(found.n_tasks, 'task')}", "dim"),
    ]
    rows = (
        ("BWT", found.backward_transfer, "mean R[T, i] − R[learned, i] (Lopez-Paz and Ranzato)"),
        ("forgetting", found.average_forgetting, "mean max over t < T of R[t, i] − R[T, i] (Chaudhry)"),
        ("Avalanche", found.avalanche, "mean R[learned, i] − R[T, i]"),
        ("Mammoth", found.mammoth, "mean max over all t of R[t, i] − R[T, i]"),
    )
    for name, value, formula in rows:
        sign = numbers.MINUS if value < 0 else ""
        yield _row(name, f"{sign}{numbers.points(value)} pt".ljust(10), f"  {formula}")
    yield []


def _row(label: str, text: str, more: str = "") -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, ""), (more, "dim")]


def _points(value: Measured) -> str:
    """A drop in points, with the sign a reader of accuracies expects."""
    return "·" if isinstance(value, Absent) else numbers.signed_points(value.estimate)


def _span(value: Measured) -> str:
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    return f"[{_limit(value.low)}, {_limit(value.high)}]"


def _limit(value: float) -> str:
    return (numbers.MINUS if value < 0 else "") + numbers.points(value)


def _number(value: float | Absent) -> str:
    return "·" if isinstance(value, Absent) else numbers.unit(value)


def _unit(value: float | None) -> str:
    return "·" if value is None else numbers.unit(value)


def _on(point: TracePoint, data: str) -> TraceAnswers:
    return next(answer for answer in point.answers if answer.data == data)
