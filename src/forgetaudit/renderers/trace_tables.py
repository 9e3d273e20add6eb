"""A run as tables: turning points, a row for each checkpoint, its way through weight space, and what it comes to."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Bar, Caps, Cell, Column, Table
from forgetaudit.renderers.drop_words import drop_points, number, span_to
from forgetaudit.renderers.gate_tables import RULE_TONES
from forgetaudit.renderers.spans import common_axis, on_axis
from forgetaudit.renderers.tables import left_out, said_table
from forgetaudit.renderers.trace_chart import shown_points
from forgetaudit.renderers.trace_words import (
    answer_on,
    budget_words,
    continual_rows,
    forecast_words,
    lowest_words,
    within_words,
)
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.report.trace import ContinualMeasures, TracePoint, TraceSection, TraceSummary
from forgetaudit.wording import counted

__all__ = ["checkpoints_table", "continual_table", "run_table", "turning_table", "way_table"]

_NAMED = (Column(title="checkpoint"), Column(title="step", numeric=True))


def turning_table(trace: TraceSection, summary: TraceSummary) -> Table:
    """Where the curve turns: the first sure loss, the last within limits, the deepest, the best, and the end."""
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
        columns=(Column(title=""), *_NAMED, *_ANSWERED, *_target_column(trace)),
        rows=tuple(_turn(trace, summary.data, what, name) for what, name in turns),
        note=f"{_KINDS} A loss is called sure where it is after allowing for {counted(len(trace.points), 'look')} "
        f"(Bonferroni). Limits: {within_words(trace)}.",
    )


_ANSWERED = (
    Column(title="accuracy", numeric=True),
    Column(title="drop, pt", numeric=True),
    Column(title="two-sided", numeric=True),
)
_KINDS = "Statistical: drop = base − checkpoint, positive is forgetting; intervals two-sided, 95 %."


def _target_column(trace: TraceSection) -> tuple[Column, ...]:
    return () if isinstance(trace.target, Absent) else (Column(title="target", numeric=True),)


def _turn(trace: TraceSection, data: str, what: str, name: str | None) -> tuple[Cell, ...]:
    point = next((point for point in trace.points if point.variant == name), None)
    first = answer_on(trace.points[0], data)
    if point is not None:
        return (Cell(text=what), *_name_cells(point), *_answered(point, data), *_target_cell(trace, point))
    if name == "base":
        reached = () if isinstance(trace.target, Absent) else (answer_on(trace.points[0], trace.target).base,)
        accuracies = (Cell(), Cell(text=numbers.percent(first.base)), Cell(text="0"), Cell())
        return (Cell(text=what), Cell(text="base"), *accuracies, *(_percent(one) for one in reached))
    blank = (Cell(),) * (4 + len(_target_column(trace)))
    judged = what != "last within the limits" or any(p.outcome != "not-judged" for p in trace.points)
    return (Cell(text=what), Cell(text="none" if judged else "not judged", tone="dim"), *blank)


def _name_cells(point: TracePoint) -> tuple[Cell, Cell]:
    step = "·" if point.step is None else numbers.count(point.step)
    return Cell(text=point.variant, named=True), Cell(text=step)


def _answered(point: TracePoint, data: str) -> tuple[Cell, Cell, Cell]:
    answer = answer_on(point, data)
    return (
        _percent(answer.accuracy),
        Cell(text=_points(answer.drop), tone="bad" if answer.sure else ""),
        Cell(text=span_to(answer.drop)),
    )


def _target_cell(trace: TraceSection, point: TracePoint) -> tuple[Cell, ...]:
    if isinstance(trace.target, Absent):
        return ()
    return (_percent(answer_on(point, trace.target).accuracy),)


def _percent(fraction: float) -> Cell:
    return Cell(text=numbers.percent(fraction))


def _points(value: Measured) -> str:
    return "·" if isinstance(value, Absent) else drop_points(value.estimate)


def checkpoints_table(trace: TraceSection, data: str, limit: float | None, caps: Caps) -> Table:
    """A row a checkpoint, its drop drawn on one axis with all others."""
    kept = [trace.points[at] for at in shown_points(trace, data, caps.checkpoints)]
    answers = [answer_on(point, data) for point in kept]
    axis = common_axis([answer.drop for answer in answers], limit)
    with_target = not isinstance(trace.target, Absent)
    judged = any(point.outcome != "not-judged" for point in trace.points)
    return Table(
        ident="checkpoints",
        title="Checkpoints",
        columns=(
            *_NAMED,
            *_ANSWERED,
            Column(title=axis.title, drawn=True),
            Column(title="below best", numeric=True),
            *_target_column(trace),
            *((Column(title="rules"),) if judged else ()),
            *((Column(title="front"),) if with_target else ()),
        ),
        rows=tuple(
            (
                *_name_cells(point),
                *_answered(point, data),
                on_axis(answer.drop, axis, tone="bad" if answer.sure else ""),
                Cell(text=_points(answer.below_best)),
                *_target_cell(trace, point),
                *((_outcome(point),) if judged else ()),
                *((Cell(text="yes" if point.on_front else ""),) if with_target else ()),
            )
            for point, answer in zip(kept, answers, strict=True)
        ),
        note=" ".join(filter(None, _checkpoint_notes(trace, len(kept), with_target=with_target))),
    )


def _outcome(point: TracePoint) -> Cell:
    return Cell(text=point.outcome, tone=RULE_TONES.get(point.outcome, "dim"))


def _checkpoint_notes(trace: TraceSection, n_shown: int, *, with_target: bool) -> Iterator[str]:
    yield f"{_KINDS} Below best: against the best of base and all checkpoints before."
    if with_target:
        yield "Front: no checkpoint is better on source and target at once (Pareto)."
    yield left_out(len(trace.points) - n_shown, "checkpoint")


def way_table(trace: TraceSection, caps: Caps) -> Table:
    """How far each checkpoint's features and weights lie from base's, and by which way they came there."""
    kept = [trace.points[at] for at in shown_points(trace, None, caps.checkpoints)]
    titles = ("‖Δ‖/‖θ₀‖", "‖Δ‖", "moved", "net/path", "budget used")
    return Table(
        ident="way",
        title="Features and weights",
        columns=(
            *_NAMED,
            Column(title="lowest CKA", numeric=True),
            Column(title="CKA, 0 to 1", drawn=True),
            Column(title="in layer"),
            *(Column(title=title, numeric=True) for title in titles),
        ),
        rows=tuple((*_name_cells(point), *_cka_cells(point), *_way_cells(point)) for point in kept),
        note=" ".join(filter(None, _way_notes(trace, len(kept)))),
    )


def _way_notes(trace: TraceSection, n_shown: int) -> Iterator[str]:
    yield (
        "CKA (debiased, linear): diagnostic. Distances from base over the parameters, exact; moved: from the "
        "checkpoint before; net/path: the distance over the sum of all moves, 1 for a straight way."
    )
    if any(isinstance(point.budget_used, float) for point in trace.points):
        yield (
            "Budget: how much of what the optimizer can have moved any weight was moved; a bound by the log and by what"
            " it leaves to assume, which `forgetaudit weights` lists."
        )
    yield left_out(len(trace.points) - n_shown, "checkpoint")


def _cka_cells(point: TracePoint) -> tuple[Cell, Cell, Cell]:
    if isinstance(point.lowest_cka, Absent):
        return Cell(text="·", tone="dim"), Cell(), Cell()
    lowest = point.lowest_cka.estimate
    named = Cell(text=point.lowest_layer or "", named=point.lowest_layer is not None)
    return Cell(text=numbers.unit(lowest)), Cell(mark=Bar(value=lowest)), named


def _way_cells(point: TracePoint) -> tuple[Cell, ...]:
    sizes = [number(point.relative), *(_plain(value) for value in (point.distance, point.moved))]
    used = "·" if isinstance(point.budget_used, Absent) else numbers.percent(point.budget_used)
    return tuple(Cell(text=text) for text in (*sizes, number(point.net_over_path), used))


def _plain(value: float | Absent) -> str:
    return "·" if isinstance(value, Absent) else numbers.plain(value)


def run_table(trace: TraceSection) -> Table:
    """What the run comes to, in sentences, each with what kind of claim it is."""
    told: list[tuple[str, str]] = [("order", trace.ordered)]
    if lowest := lowest_words(trace):
        told.append(("lowest CKA", f"{lowest}; a diagnostic"))
    if used := budget_words(trace):
        told.append(
            ("drift budget", f"{used}, of what the log, and what it leaves to assume, allow; a bound")
        )
    for summary, forecast in zip(trace.summaries, trace.forecasts, strict=True):
        told.append((f"power law on {summary.data}", "".join(forecast_words(forecast))))
    if isinstance(trace.target, Absent):
        told.append(("target", f"not measured: {trace.target.not_measured}"))
    if isinstance(trace.continual, Absent) and len(trace.summaries) > 1:
        told.append(("continual learning", f"not measured: {trace.continual.not_measured}"))
    told += [("note", note) for note in trace.notes]
    return said_table("run", "The run in words", told)


def continual_table(trace: TraceSection) -> Table | None:
    """The measures of continual learning with their formulas; None where there is one task."""
    found = trace.continual
    if not isinstance(found, ContinualMeasures):
        return None
    learned = ", ".join(f"{task} by {stage}" for task, stage in found.learned.items())
    return Table(
        ident="continual",
        title="Continual learning",
        columns=(
            Column(title="measure"),
            Column(title="points", numeric=True),
            Column(title="formula", wide=True),
        ),
        rows=tuple(
            (Cell(text=row.name), Cell(text=drop_points(row.value)), Cell(text=row.formula))
            for row in continual_rows(found)
        ),
        note=f"R[t, i] is the accuracy on task i after stage t; {counted(found.n_tasks, 'task')}. Learned: {learned}.",
    )
