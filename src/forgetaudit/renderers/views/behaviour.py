"""What the examples said: before and after, flips, classes, groups, forgotten examples. Changes are tuned − base."""

from collections.abc import Callable, Iterator, Sequence

from forgetaudit.renderers import cells, numbers
from forgetaudit.renderers.blocks import Block, Cell, Column, Scale, Table, Tone
from forgetaudit.renderers.drop_words import drop_points
from forgetaudit.renderers.headline import Subject, rules_of
from forgetaudit.renderers.phrases import nats, perplexity, sample_text, soft_name
from forgetaudit.report.behaviour import (
    CalibrationPart,
    ClassResult,
    McNemarTest,
    ScoreSection,
    SourceSection,
)
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import plural

__all__ = ["behaviour", "drop_scale"]


# Below, limits by a score test err a little more often than they say.
_FEW = 200


def drop_scale(report: AuditReport, subject: Subject, tone: Tone) -> Iterator[Scale]:
    """The drop to be drawn against the limit it was judged by; nothing where it has no interval."""
    source = subject.source
    drop = Absent(not_measured="no data") if source is None else source.accuracy.drop
    if source is None or isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return
    rule = next((rule for rule in rules_of(report, subject) if rule.rule == "accuracy"), None)
    limit = rule.limit if rule else None
    against = f"; limit {100 * limit:.4g} pt" if limit is not None else ""
    yield Scale(
        ident="drop",
        span=(drop.low, drop.estimate, drop.high),
        limit=limit,
        tone=tone,
        words=f"drop {drop_points(drop.estimate)} pt, two-sided interval {drop_points(drop.low)} to "
        f"{drop_points(drop.high)} pt{against}. Drop = base − {_side(source)}, in points of all "
        f"{plural(source.unit)}; positive is forgetting.",
    )


def behaviour(subject: Subject) -> Iterator[Block]:
    """The tables of a page."""
    source = subject.source
    rows = [*(_measures(source) if source else ()), *(_score_row(score) for score in subject.scores)]
    if rows:
        yield _before_and_after(source, rows)
    if source is None:
        return
    if not source.unlabelled:
        yield _flips(source)
    for results, what in (
        (source.per_class, "class"),
        (source.per_group, "group"),
        (source.per_stratum, "stratum"),
    ):
        if results:
            yield _changes(source, results, what)


def _side(source: SourceSection | None) -> str:
    """What base is compared with: a repair's page has both tuned and repaired."""
    return "repaired" if source is not None and source.variant == "repaired" else "tuned"


def _before_and_after(source: SourceSection | None, rows: Sequence[tuple[Cell, ...]]) -> Table:
    """One line a measure."""
    same = f", on the same {sample_text(source)}" if source else ""
    notes = [f"Change = {_side(source)} − base{same}. Intervals are two-sided, 95 %."]
    if source and source.unlabelled:
        notes.append(
            "The data have no labels: base's answers stand for the right ones, so what seems lost is what changed, and"
            " no more than that can have been lost."
        )
    if source and source.sequential:
        notes.append("The run could stop at any example, and the limits hold for that.")
    return Table(
        ident="before-after",
        title="Before and after",
        what="measure",
        on="page",
        columns=(
            Column(title="measure"),
            Column(title="base", kind="number"),
            Column(title=_side(source), kind="number"),
            Column(title="change", kind="number"),
            Column(title="two-sided", kind="number"),
            Column(title="n", kind="number"),
            Column(title="kind"),
        ),
        rows=tuple(rows),
        note=" ".join(notes),
    )


def _measures(source: SourceSection) -> Iterator[tuple[Cell, ...]]:
    accuracy = source.accuracy
    yield _measure(
        cells.name(source.metric, code=source.metric != "accuracy"),
        numbers.percent(accuracy.base),
        numbers.percent(accuracy.tuned),
        f"{numbers.signed_points(accuracy.base - accuracy.tuned)} pt",
        _drop_limits(accuracy.drop),
        source.n,
        accuracy.drop,
    )
    if not source.unlabelled:
        yield from _loss_rows(source)
    if not isinstance(source.disagreement, Absent):
        yield _moved_row("changed answers", source.disagreement, source.n, numbers.percent)
    if not isinstance(source.calibration, Absent):
        yield from _calibration_rows(source.calibration, source.n)
    for soft in source.soft:
        unit = f", {soft.unit}/{source.unit}" if soft.unit else ""
        yield _moved_row(f"{soft_name(soft)}{unit}", soft.value, source.n, numbers.unit)


def _loss_rows(source: SourceSection) -> Iterator[tuple[Cell, ...]]:
    name, base, tuned = cells.text(f"log loss, nats/{source.unit}"), source.nll.base, source.nll.tuned
    if isinstance(base, Absent) or isinstance(tuned, Absent):
        reason = next(side.not_measured for side in (base, tuned) if isinstance(side, Absent))
        yield _not_measured(name, reason, source.n)
        return
    increase = source.nll.increase
    limits = _limits(increase, numbers.signed)
    yield _measure(name, nats(base), nats(tuned), numbers.signed(tuned - base), limits, source.n, increase)
    if source.task == "causal-lm":
        both = perplexity(base), perplexity(tuned)
        yield _measure(cells.text("perplexity"), *both, "", "", source.n, increase)


def _calibration_rows(calibration: CalibrationPart, n: int) -> Iterator[tuple[Cell, ...]]:
    pairs = {
        "mean confidence": (calibration.base_confidence, calibration.tuned_confidence),
        "calibration error": (calibration.base_error, calibration.tuned_error),
    }
    for name, (base, tuned) in pairs.items():
        change = f"{numbers.signed_points(base - tuned)} pt"
        texts = (name, numbers.percent(base), numbers.percent(tuned), change, "", numbers.count(n))
        yield tuple(cells.text(text) for text in (*texts, "diagnostic"))


def _score_row(score: ScoreSection) -> tuple[Cell, ...]:
    return _measure(
        cells.name(score.metric + (f", {score.unit}" if score.unit else "")),
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
        return _not_measured(cells.text(name), value.not_measured, n)
    return _measure(cells.text(name), "", "", show(value.estimate), _limits(value, show), n, value)


def _measure(
    name: Cell, base: str, tuned: str, change: str, limits: str, n: int, value: Measured
) -> tuple[Cell, ...]:
    kind = value.kind if isinstance(value, Estimate) else ""
    return (
        name,
        *(cells.text(text) for text in (base, tuned, change, limits)),
        cells.count(n),
        cells.text(kind),
    )


def _not_measured(name: Cell, reason: str, n: int) -> tuple[Cell, ...]:
    words = cells.text(f"not measured: {reason}", "dim")
    return (name, Cell(), Cell(), words, Cell(), cells.count(n), Cell())


def _limits(value: Measured, show: Callable[[float], str]) -> str:
    """Of what has a unit of its own in every row."""
    cell = cells.interval(value, show)
    return f"{cell.ends[0]} to {cell.ends[1]} {cell.mark}".rstrip() if cell.ends else ""


def _drop_limits(drop: Measured) -> str:
    """The limits of a drop, as limits of the change."""
    cell = cells.change(drop)
    return f"{cell.ends[0]} to {cell.ends[1]} pt {cell.mark}".rstrip() if cell.ends else ""


def _flips(source: SourceSection) -> Table:
    """Two by two: right and wrong in base, right and wrong in tuned."""
    flips = source.flips
    forgotten, gained = f"forgotten {flips.forgotten:,}", f"gained {flips.gained:,}"
    return Table(
        ident="flips",
        title="Flips",
        on="page",
        columns=(
            Column(title=""),
            Column(title=f"{_side(source)} right", kind="number"),
            Column(title=f"{_side(source)} wrong", kind="number"),
        ),
        rows=(
            (
                cells.text("base right"),
                cells.text(f"kept {flips.kept:,}"),
                cells.text(forgotten, "bad" if flips.forgotten else ""),
            ),
            (
                cells.text("base wrong"),
                cells.text(gained, "good" if flips.gained else ""),
                cells.text(f"missed {flips.missed:,}"),
            ),
        ),
        note=f"Exact: counts over the same {plural(source.unit)}.{_test(source.mcnemar)}",
    )


def _test(mcnemar: McNemarTest | Absent) -> str:
    if isinstance(mcnemar, Absent):
        return ""
    exact, mid = numbers.p_value(mcnemar.exact), numbers.p_value(mcnemar.mid_p)
    return f" McNemar's test of no change: exact p {exact}, mid-P {mid}."


def _changes(source: SourceSection, results: Sequence[ClassResult], what: str) -> Table:
    """The classes, groups or strata in order of what they lost, with their intervals on one axis."""
    title = {"class": "Classes", "group": "Groups", "stratum": "Strata"}[what]
    after = "Holm" if what == "stratum" else "Benjamini–Hochberg"
    return Table(
        ident=title.lower(),
        title=title,
        what=what,
        on="page",
        columns=(
            Column(title=what),
            Column(title="n", kind="number"),
            Column(title="base", kind="number"),
            Column(title=_side(source), kind="number"),
            Column(title="change, pt", kind="interval"),
            Column(title="adjusted p", kind="number"),
        ),
        rows=tuple(_change_row(one) for one in sorted(results, key=lambda one: one.tuned - one.base)),
        note=f"Statistical: change = {_side(source)} − base, intervals two-sided, 95 %, of each {what} by itself; "
        f"p after {after} over all of them.{_small_words(source, results, what)}",
    )


def _small_words(source: SourceSection, results: Sequence[ClassResult], what: str) -> str:
    few = sum(result.too_small_to_tell for result in results)
    words = f" {few:,} too small to tell: they may have fallen by 30 points or more." if few else ""
    if what == "stratum" and source.n < _FEW:
        words += f" Of fewer than {_FEW} examples, limits over strata can miss in up to 8 % of cases."
    return words


def _change_row(result: ClassResult) -> tuple[Cell, ...]:
    fell = result.adjusted_p < 0.05 and result.tuned < result.base
    return (
        cells.name(result.name),
        cells.count(result.n),
        cells.percent(result.base),
        cells.percent(result.tuned),
        cells.change(result.drop, estimate=result.base - result.tuned, tone="bad" if fell else ""),
        cells.text(_adjusted(result)),
    )


def _adjusted(result: ClassResult) -> str:
    """The p-value, which says nothing of a class that is too small: a high one is no sign that nothing fell."""
    p = numbers.p_value(result.adjusted_p)
    return f"{p}, too small to tell" if result.too_small_to_tell else p
