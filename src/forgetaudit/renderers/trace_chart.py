"""The curve of a run as a chart: accuracy over steps, with intervals, the target's beside it, and the limit."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.chart import Chart, Level, Look, Point, Series
from forgetaudit.renderers.trace_words import accuracy_ends, answer_on, steps_known
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import TraceAnswers, TracePoint, TraceSection
from forgetaudit.wording import counted

__all__ = ["limit_on", "shown_points", "trace_chart"]

# More would cover each other, and the line.
_MOST_MARKS = 60


def trace_chart(report: AuditReport, trace: TraceSection, data: str, most: int) -> Chart:
    """Every checkpoint is on the line; of more than `most`, only some have a mark, the turning points among them."""
    steps = steps_known(trace)
    kept = shown_points(trace, data, min(most, _MOST_MARKS))
    target = None if isinstance(trace.target, Absent) else trace.target
    return Chart(
        ident="curve",
        title="Accuracy over steps" if steps else "Accuracy over checkpoints",
        x_title="step" if steps else "checkpoint",
        y_title="accuracy",
        x_ticks=tuple(_ticks(steps, len(trace.points))),
        series=(
            _source(trace, data, kept),
            *((_target(trace, target, kept),) if target else ()),
        ),
        levels=tuple(_levels(report, trace, data)),
        told=". ".join(_description(trace, data, target)) + ".",
        note=_note(trace, kept),
    )


def shown_points(trace: TraceSection, data: str | None, most: int) -> list[int]:
    """The places of the checkpoints that are shown: all, or the turning points and evenly spaced ones between."""
    n = len(trace.points)
    if n <= most:
        return list(range(n))
    names = {trace.last_within}
    for summary in trace.summaries:
        if data in (None, summary.data):
            names |= {summary.first_sure, summary.largest_drop, summary.best}
    turning = {at for at, point in enumerate(trace.points) if point.variant in names}
    n_even = max(most - len(turning), 2)
    return sorted(turning | {round(at * (n - 1) / (n_even - 1)) for at in range(n_even)})


def _places(trace: TraceSection) -> list[float]:
    return [float(step) for step in steps_known(trace) or range(1, len(trace.points) + 1)]


def _ticks(steps: list[int] | None, n: int) -> Iterator[tuple[float, str]]:
    yield 0.0, "base"
    for at, step in enumerate(steps or range(1, n + 1)):
        if at or step:
            yield float(step), numbers.count(step)


def _source(trace: TraceSection, data: str, kept: Sequence[int]) -> Series:
    answers = [answer_on(point, data) for point in trace.points]
    places = _places(trace)
    sure = [at for at in kept if answers[at].sure]
    legend: list[tuple[Look, str]] = [("open", f"{data}, no sure loss")]
    if sure:
        legend.append(("sure", f"{data}, the loss is sure"))
    return Series(
        points=(
            Point(x=0.0, y=answers[0].base, name="base", look="open"),
            *(_point(trace.points[at], answers[at], places[at]) for at in kept),
        ),
        path=_path(answers, places),
        look="open",
        legend=tuple(legend),
        name=data,
    )


def _target(trace: TraceSection, target: str, kept: Sequence[int]) -> Series:
    answers = [answer_on(point, target) for point in trace.points]
    places = _places(trace)
    named = [(0.0, answers[0].base, "base")]
    named += [(places[at], answers[at].accuracy, trace.points[at].variant) for at in kept]
    return Series(
        points=tuple(Point(x=x, y=y, name=f"{name} on {target}", look="other") for x, y, name in named),
        path=_path(answers, places),
        look="other",
        legend=(("other", f"{target}, the target"),),
        name=f"{target}, the target",
    )


def _point(point: TracePoint, answer: TraceAnswers, place: float) -> Point:
    low, high = accuracy_ends(answer)
    look: Look = "sure" if answer.sure else "open"
    return Point(x=place, y=answer.accuracy, low=low, high=high, name=point.variant, look=look)


def _path(answers: Sequence[TraceAnswers], places: Sequence[float]) -> tuple[tuple[float, float], ...]:
    reached = zip(places, (answer.accuracy for answer in answers), strict=True)
    return ((0.0, answers[0].base), *reached)


def limit_on(report: AuditReport, data: str) -> float | None:
    """The drop in accuracy that the rules allow on `data`; None where they say nothing of it."""
    rules = (rule for rule in report.verdict.rules if rule.rule == "accuracy" and rule.data in (None, data))
    return next((rule.limit for rule in rules), None)


def _levels(report: AuditReport, trace: TraceSection, data: str) -> Iterator[Level]:
    """What the rules allow, below base's accuracy."""
    if (limit := limit_on(report, data)) is not None:
        base = answer_on(trace.points[0], data).base
        yield Level(y=base - limit, words=f"limit, {100 * limit:.4g} pt below base")


def _description(trace: TraceSection, data: str, target: str | None) -> Iterator[str]:
    """What a reader who does not see the chart should know of it."""
    yield f"Line plot of accuracy at base and {counted(len(trace.points), 'checkpoint')}"
    for name in (data, *((target,) if target else ())):
        told = [(point.variant, answer_on(point, name).accuracy) for point in trace.points]
        lowest = min(told, key=lambda pair: pair[1])
        base = answer_on(trace.points[0], name).base
        yield (
            f"On {name}: {numbers.percent(base)} at base, {numbers.percent(lowest[1])} at its lowest, {lowest[0]}, "
            f"{numbers.percent(told[-1][1])} at {told[-1][0]}"
        )


def _note(trace: TraceSection, kept: Sequence[int]) -> str:
    n = len(trace.points)
    said = (
        "Upright lines are two-sided 95 % intervals of the drop, taken from base's accuracy. "
        f"Whether a loss is sure allows for {counted(n, 'look')}."
    )
    return said if len(kept) == n else f"{said} {_left_out(len(kept), n)}"


def _left_out(n_shown: int, n: int) -> str:
    return f"The line passes through all {n:,} checkpoints; {n_shown:,} of them have a mark."
