"""What `trace` says: accuracy over the checkpoints of a run, where it turns, its way through weight space."""

from collections.abc import Iterator

from forgetaudit.renderers import cells, numbers
from forgetaudit.renderers.blocks import Block, Cell, Column, Facts, Heading, Table
from forgetaudit.renderers.drop_words import drop_points
from forgetaudit.renderers.headline import Subject, subjects, verdict_line
from forgetaudit.renderers.lines import evenly
from forgetaudit.renderers.rule_amounts import RULE_TONES
from forgetaudit.renderers.trace_chart import limit_on, trace_chart
from forgetaudit.renderers.trace_words import (
    answer_on,
    began_words,
    budget_words,
    continual_rows,
    forecast_words,
    lowest_words,
    run_words,
    within_words,
)
from forgetaudit.renderers.views import compare, shared
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import ContinualMeasures, TraceLayer, TracePoint, TraceSection, TraceSummary
from forgetaudit.wording import counted

__all__ = ["blocks"]

_MOST_MARKS = 60
# With them the columns fit a terminal of 80.
_MOST_STEPS = 8
_KINDS = "Drop = base − checkpoint, positive is forgetting; statistical."


def blocks(report: AuditReport, exit_note: str = "") -> Iterator[Block]:
    """The curve on each source data set and what it comes to; then the whole run, and its last checkpoint.

    ValueError for a report of another command.
    """
    trace = report.trace
    if trace is None:
        raise ValueError("the report is of no run")
    verdicts = [
        (
            subject,
            shared.verdict(report, subject, verdict_line(report, subject), files=run_words(report, trace)),
        )
        for subject in subjects(report)
    ]
    for summary in trace.summaries:
        yield from (verdict for subject, verdict in verdicts if _data_of(subject) == summary.data)
        yield from _curve(report, trace, summary)
    yield Heading(text="The whole run")
    yield from _run(trace)
    for subject, _ in verdicts:
        yield from shared.rules_on_screen(report, subject)
        yield shared.findings(report, subject)
    for subject, verdict in verdicts:
        yield from compare.below(report, subject, verdict, f"The last checkpoint, {subject.variant},")
    yield from shared.closing(report, exit_note)


def _data_of(subject: Subject) -> str | None:
    return subject.source.data if subject.source else None


def _curve(report: AuditReport, trace: TraceSection, summary: TraceSummary) -> Iterator[Block]:
    data = summary.data
    yield Heading(text=f"The run on {data}")
    yield trace_chart(report, trace, data, _MOST_MARKS)
    yield _turning_points(trace, summary)
    yield _checkpoints(trace, summary, limit_on(report, data))
    yield _summary(trace, summary)


def _turning_points(trace: TraceSection, summary: TraceSummary) -> Table:
    """The first sure loss, the last within limits, the deepest, the best, and the end."""
    turns = (
        ("first sure loss", summary.first_sure),
        ("last within the limits", trace.last_within),
        ("largest drop", summary.largest_drop),
        ("best of base and all", summary.best),
        ("last", trace.points[-1].variant),
    )
    return Table(
        ident="turns",
        title="Turning points",
        what="turning point",
        on="page",
        columns=(Column(title=""), *_NAMED, *_ANSWERED, *_target_column(trace)),
        rows=tuple(_turn(trace, summary.data, what, name) for what, name in turns),
        note=f"{_KINDS} A loss is called sure where it is after allowing for {counted(len(trace.points), 'look')} "
        f"(Bonferroni). Limits: {within_words(trace)}.",
    )


_NAMED = (Column(title="checkpoint", on="page"), Column(title="step", kind="number"))
_ANSWERED = (Column(title="accuracy", kind="number"), Column(title="drop, pt", kind="interval"))


def _target_column(trace: TraceSection) -> tuple[Column, ...]:
    return () if isinstance(trace.target, Absent) else (Column(title="target", kind="number"),)


def _turn(trace: TraceSection, data: str, what: str, name: str | None) -> tuple[Cell, ...]:
    point = next((point for point in trace.points if point.variant == name), None)
    if point is not None:
        return (cells.text(what), *_name_cells(point), *_answered(point, data), *_target_cell(trace, point))
    first = trace.points[0]
    if name == "base":
        reached = (
            () if isinstance(trace.target, Absent) else (cells.percent(answer_on(first, trace.target).base),)
        )
        accuracy = cells.percent(answer_on(first, data).base)
        return (cells.text(what), cells.text("base"), Cell(), accuracy, cells.text("0"), *reached)
    blank = (Cell(),) * (3 + len(_target_column(trace)))
    judged = what != "last within the limits" or any(p.outcome != "not-judged" for p in trace.points)
    return (cells.text(what), cells.text("none" if judged else "not judged", "dim"), *blank)


def _name_cells(point: TracePoint) -> tuple[Cell, Cell]:
    """The name for a page, the step for both; a screen shows the name where there is no step."""
    step = cells.name(point.variant) if point.step is None else cells.count(point.step)
    return cells.name(point.variant), step


def _answered(point: TracePoint, data: str) -> tuple[Cell, Cell]:
    answer = answer_on(point, data)
    return cells.percent(answer.accuracy), cells.drop(answer.drop, tone="bad" if answer.sure else "")


def _target_cell(trace: TraceSection, point: TracePoint, mark: str = "") -> tuple[Cell, ...]:
    if isinstance(trace.target, Absent):
        return ()
    return (Cell(text=numbers.percent(answer_on(point, trace.target).accuracy), mark=mark),)


def _checkpoints(trace: TraceSection, summary: TraceSummary, limit: float | None) -> Table:
    """A row a checkpoint: against base, against the best so far, and its way through weight space."""
    turning = {summary.first_sure, summary.largest_drop, summary.best, trace.last_within}
    judged = any(point.outcome != "not-judged" for point in trace.points)
    return Table(
        ident="checkpoints",
        title="Checkpoints",
        what="checkpoint",
        curve=True,
        columns=(
            *_NAMED,
            Column(title="accuracy", kind="number"),
            Column(title="drop, pt", kind="interval", limit=limit),
            Column(title="below best", kind="number"),
            *_target_column(trace),
            Column(title="‖Δ‖/‖θ₀‖", kind="number"),
            Column(title="net/path", kind="number"),
            *((Column(title="rules", on="page"),) if judged else ()),
        ),
        rows=tuple(_checkpoint(trace, point, summary.data, judged=judged) for point in trace.points),
        weight=tuple(float(point.variant in turning) for point in trace.points),
        note=" ".join(_checkpoint_notes(trace)),
    )


def _checkpoint(trace: TraceSection, point: TracePoint, data: str, *, judged: bool) -> tuple[Cell, ...]:
    below = answer_on(point, data).below_best
    return (
        *_name_cells(point),
        *_answered(point, data),
        cells.text("·" if isinstance(below, Absent) else drop_points(below.estimate)),
        *_target_cell(trace, point, "*" if point.on_front else ""),
        cells.number(point.relative),
        cells.number(point.net_over_path),
        *((cells.text(point.outcome, RULE_TONES.get(point.outcome, "dim")),) if judged else ()),
    )


def _checkpoint_notes(trace: TraceSection) -> Iterator[str]:
    if not isinstance(trace.target, Absent):
        yield "* no checkpoint is better on source and target at once (Pareto front)."
    yield f"{_KINDS} Below best: against the best of base and all checkpoints before."


def _summary(trace: TraceSection, summary: TraceSummary) -> Facts:
    """From where on the loss is sure, what keeps the limits, and the forecast."""
    forecast = trace.forecasts[trace.summaries.index(summary)]
    return Facts(
        ident="summary",
        title="In words",
        rows=(
            ("sure loss", "".join(began_words(trace, summary.first_sure))),
            ("within", within_words(trace)),
            ("power law", "".join(forecast_words(forecast))),
        ),
    )


def _run(trace: TraceSection) -> Iterator[Block]:
    """What is of no data set alone: layers, features and weights, the measures of continual learning, and the rest."""
    yield _way(trace)
    yield from _layers_over_steps(trace)
    yield from _continual(trace)
    yield Facts(ident="run", title="The run in words", rows=tuple(_run_words(trace)))


def _way(trace: TraceSection) -> Table:
    """How far each checkpoint's features and weights lie from base's, and by which way they came there."""
    budget = any(isinstance(point.budget_used, float) for point in trace.points)
    return Table(
        ident="way",
        title="Features and weights",
        what="checkpoint",
        curve=True,
        folded=True,
        on="page",
        columns=(
            *_NAMED,
            Column(title="lowest CKA", kind="number"),
            Column(title="CKA, 0 to 1", kind="bar"),
            Column(title="in layer"),
            *(
                Column(title=title, kind="number")
                for title in ("‖Δ‖/‖θ₀‖", "‖Δ‖", "moved", "net/path", "budget used")
            ),
        ),
        rows=tuple((*_name_cells(point), *_cka_cells(point), *_way_cells(point)) for point in trace.points),
        note="CKA (debiased, linear): diagnostic. Distances from base over the parameters, exact; moved: from the "
        "checkpoint before; net/path: the distance over the sum of all moves, 1 for a straight way."
        + (
            " Budget: how much of what the optimizer can have moved any weight was moved; a bound by the log and by "
            "what it leaves to assume, which `forgetaudit weights` lists."
            if budget
            else ""
        ),
    )


def _cka_cells(point: TracePoint) -> tuple[Cell, Cell, Cell]:
    if isinstance(point.lowest_cka, Absent):
        return cells.text("·", "dim"), Cell(), Cell()
    lowest = point.lowest_cka.estimate
    return cells.number(lowest), cells.share(lowest), cells.name(point.lowest_layer or "")


def _way_cells(point: TracePoint) -> tuple[Cell, ...]:
    return (
        cells.number(point.relative),
        cells.number(point.distance, numbers.plain),
        cells.number(point.moved, numbers.plain),
        cells.number(point.net_over_path),
        cells.percent(point.budget_used),
    )


def _layers_over_steps(trace: TraceSection) -> Iterator[Table]:
    """Of CKA and of weight distance a table each: a row a layer, a column a checkpoint; none without layers."""
    points = evenly(trace.points, _MOST_STEPS)
    layers = points[-1].layers
    kinds = (
        ("cka", "CKA", "Debiased linear CKA with base, the lowest over the source data: diagnostic."),
        ("distance", "‖Δ‖/‖θ₀‖", "‖Δ‖/‖θ₀‖ of the parameters: exact."),
    )
    hidden = len(trace.points) - len(points)
    more = f" {counted(hidden, 'checkpoint')} between these in the report." if hidden else ""
    for which, title, note in kinds if layers else ():
        yield Table(
            ident="layers-over-steps",
            title=f"{title} by layer and step",
            what="layer",
            curve=True,
            columns=(
                Column(title=f"{title} at step"),
                *(Column(title=_step(point), kind="number") for point in points),
            ),
            rows=tuple(
                (cells.name(row.layer), *(_layer_cell(point, row.layer, which) for point in points))
                for row in layers
            ),
            note=note + more,
        )


def _layer_cell(point: TracePoint, layer: str, which: str) -> Cell:
    row: TraceLayer | None = next((row for row in point.layers if row.layer == layer), None)
    if row is None:
        return cells.text("·", "dim")
    if which == "distance":
        return cells.number(row.relative)
    return cells.number(row.cka.estimate if isinstance(row.cka, Estimate) else row.cka)


def _step(point: TracePoint) -> str:
    name = point.variant if point.step is None else f"{point.step}"
    return name if len(name) <= 12 else f"…{name[-11:]}"


def _continual(trace: TraceSection) -> Iterator[Table]:
    """The measures of continual learning with their formulas; none where there is one task."""
    found = trace.continual
    if not isinstance(found, ContinualMeasures):
        return
    learned = ", ".join(f"{task} by {stage}" for task, stage in found.learned.items())
    yield Table(
        ident="continual",
        title="Continual learning",
        what="measure",
        columns=(
            Column(title="continual"),
            Column(title="points", kind="number"),
            Column(title="formula", kind="prose"),
        ),
        rows=tuple(
            (cells.text(row.name), cells.text(drop_points(row.value)), cells.text(row.formula))
            for row in continual_rows(found)
        ),
        note=f"R[t, i] is the accuracy on task i after stage t; {counted(found.n_tasks, 'task')}. Learned: {learned}.",
    )


def _run_words(trace: TraceSection) -> Iterator[tuple[str, str]]:
    if lowest := lowest_words(trace):
        yield "lowest CKA", f"{lowest}; a diagnostic"
    if used := budget_words(trace):
        yield "budget", f"{used}, of what the log, and what it leaves to assume, allow; a bound"
    if isinstance(trace.target, Absent):
        yield "target", f"not measured: {trace.target.not_measured}"
    if isinstance(trace.continual, Absent) and len(trace.summaries) > 1:
        yield "continual", f"not measured: {trace.continual.not_measured}"
    yield from (("note", note) for note in trace.notes)
    yield "order", trace.ordered
