"""What the examples said, as tables: before and after, flips, classes. Changes are tuned − base throughout."""

from collections.abc import Callable, Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Cell, Column, Span, Table
from forgetaudit.renderers.phrases import asked, nats, perplexity, soft_name
from forgetaudit.report.behaviour import (
    CalibrationPart,
    LogLoss,
    McNemarTest,
    ScoreSection,
    SourceSection,
)
from forgetaudit.report.parts import Absent, Estimate, Measured

__all__ = ["before_and_after", "drop_limits", "drop_span", "flips_table", "side_of"]


def _columns(side: str) -> tuple[Column, ...]:
    return (
        Column(title="measure"),
        Column(title="base", numeric=True),
        Column(title=side, numeric=True),
        Column(title="change", numeric=True),
        Column(title="two-sided", numeric=True),
        Column(title="n", numeric=True),
        Column(title="kind"),
    )


def side_of(source: SourceSection | None) -> str:
    """What base is compared with: a repair's page has both tuned and repaired."""
    return "repaired" if source is not None and source.variant == "repaired" else "tuned"


def before_and_after(source: SourceSection | None, scores: tuple[ScoreSection, ...]) -> Table | None:
    """One line a measure; None where nothing was measured."""
    rows = [*(_source_rows(source) if source else ()), *(_score_row(score) for score in scores)]
    if not rows:
        return None
    note = (
        f"Change = {side_of(source)} − base, on the same questions: {asked(source)}. Intervals are two-sided, 95 %."
        if source
        else "Change = tuned − base. Intervals are two-sided, 95 %."
    )
    if source and source.unlabelled:
        note += (
            " The data have no labels: base's answers stand for the right ones, so what seems lost is what changed, and"
            " no more than that can have been lost."
        )
    if source and source.sequential:
        note += " The run could stop at any example, and the limits hold for that."
    return Table(
        ident="before-after",
        title="Before and after",
        columns=_columns(side_of(source)),
        rows=tuple(rows),
        note=note,
    )


def _source_rows(source: SourceSection) -> Iterator[tuple[Cell, ...]]:
    accuracy = source.accuracy
    drop = accuracy.drop
    yield _row(
        Cell(text=source.metric, named=source.metric != "accuracy"),
        numbers.percent(accuracy.base),
        numbers.percent(accuracy.tuned),
        f"{numbers.signed_points(accuracy.base - accuracy.tuned)} pt",
        drop_limits(drop),
        source.n,
        drop,
    )
    if not source.unlabelled:
        yield _loss_row(f"log loss, nats/{source.unit}", source.nll, source.n)
    if (
        source.task == "causal-lm"
        and isinstance(source.nll.base, float)
        and isinstance(source.nll.tuned, float)
    ):
        both = perplexity(source.nll.base), perplexity(source.nll.tuned)
        yield _row(Cell(text="perplexity"), *both, "", "", source.n, source.nll.increase)
    if not isinstance(source.disagreement, Absent):
        yield _moved_row("changed answers", source.disagreement, source.n, numbers.percent)
    if not isinstance(source.calibration, Absent):
        yield from _calibration_rows(source.calibration, source.n)
    for soft in source.soft:
        unit = f", {soft.unit}/{source.unit}" if soft.unit else ""
        yield _moved_row(f"{soft_name(soft)}{unit}", soft.value, source.n, numbers.unit)


def _calibration_rows(calibration: CalibrationPart, n: int) -> Iterator[tuple[Cell, ...]]:
    pairs = {
        "mean confidence": (calibration.base_confidence, calibration.tuned_confidence),
        "calibration error": (calibration.base_error, calibration.tuned_error),
    }
    for name, (base, tuned) in pairs.items():
        change = f"{numbers.signed_points(base - tuned)} pt"
        texts = (numbers.percent(base), numbers.percent(tuned), change, "", numbers.count(n), "diagnostic")
        yield (Cell(text=name), *(Cell(text=text) for text in texts))


def _loss_row(name: str, loss: LogLoss, n: int) -> tuple[Cell, ...]:
    if isinstance(loss.base, Absent) or isinstance(loss.tuned, Absent):
        reason = next(side.not_measured for side in (loss.base, loss.tuned) if isinstance(side, Absent))
        return _not_measured(Cell(text=name), reason, n)
    return _row(
        Cell(text=name), nats(loss.base), nats(loss.tuned), numbers.signed(loss.tuned - loss.base),
        _limits(loss.increase, numbers.signed), n, loss.increase,
    )  # fmt: skip


def _score_row(score: ScoreSection) -> tuple[Cell, ...]:
    return _row(
        Cell(text=score.metric + (f", {score.unit}" if score.unit else ""), named=True),
        numbers.unit(score.base),
        numbers.unit(score.tuned),
        numbers.signed(score.tuned - score.base),
        _limits(score.increase, numbers.signed),
        score.n,
        score.increase,
    )


def _moved_row(name: str, value: Measured, n: int, show: Callable[[float], str]) -> tuple[Cell, ...]:
    """What has no before: how far the answers of tuned lie from base's."""
    if isinstance(value, Absent):
        return _not_measured(Cell(text=name), value.not_measured, n)
    return _row(Cell(text=name), "", "", show(value.estimate), _limits(value, show), n, value)


def _row(
    name: Cell, base: str, tuned: str, change: str, limits: str, n: int, value: Measured
) -> tuple[Cell, ...]:
    kind = value.kind if isinstance(value, Estimate) else ""
    texts = (base, tuned, change, limits, numbers.count(n), kind)
    return (name, *(Cell(text=text) for text in texts))


def _not_measured(name: Cell, reason: str, n: int) -> tuple[Cell, ...]:
    words = Cell(text=f"not measured: {reason}", tone="dim")
    return (name, Cell(), Cell(), words, Cell(), Cell(text=numbers.count(n)), Cell())


def _limits(value: Measured, show: Callable[[float], str]) -> str:
    if isinstance(value, Absent) or value.low is None or value.high is None:
        return ""
    return f"{show(value.low)} to {show(value.high)}{_confidence(value)}"


def drop_limits(drop: Measured) -> str:
    """The limits of a drop, as limits of the change."""
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return ""
    return f"{numbers.signed_points(drop.high)} to {numbers.signed_points(drop.low)} pt{_confidence(drop)}"


def _confidence(value: Estimate) -> str:
    """Said where it is not the 95 % that the column's note names."""
    return f" at {100 * value.confidence:g} %" if value.confidence not in (None, 0.95) else ""


def flips_table(source: SourceSection) -> Table:
    """Two by two: right and wrong in base, right and wrong in tuned."""
    flips = source.flips
    return Table(
        ident="flips",
        title="Flips",
        columns=(
            Column(title=""),
            Column(title=f"{side_of(source)} right", numeric=True),
            Column(title=f"{side_of(source)} wrong", numeric=True),
        ),
        rows=(
            (
                Cell(text="base right"),
                Cell(text=f"kept {numbers.count(flips.kept)}"),
                Cell(
                    text=f"forgotten {numbers.count(flips.forgotten)}", tone="bad" if flips.forgotten else ""
                ),
            ),
            (
                Cell(text="base wrong"),
                Cell(text=f"gained {numbers.count(flips.gained)}", tone="good" if flips.gained else ""),
                Cell(text=f"missed {numbers.count(flips.missed)}"),
            ),
        ),
        note=f"Exact: counts over the same questions.{_test(source.mcnemar)}",
    )


def _test(mcnemar: McNemarTest | Absent) -> str:
    if isinstance(mcnemar, Absent):
        return ""
    exact, mid = numbers.p_value(mcnemar.exact), numbers.p_value(mcnemar.mid_p)
    return f" McNemar's test of no change: exact p {exact}, mid-P {mid}."


def drop_span(source: SourceSection, limit: float | None) -> Span | None:
    """The drop with its interval, against the limit, on an axis that holds all of them and 0."""
    drop = source.accuracy.drop
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return None
    ends = [0.0, drop.low, drop.high, *(() if limit is None else (limit,))]
    room = 0.06 * max(max(ends) - min(ends), 0.01)
    start, end = min(ends) - room, max(ends) + room
    return Span(low=drop.low, estimate=drop.estimate, high=drop.high, start=start, end=end, limit=limit)
