"""Classes, and groups of examples, in order of what they lost. Changes are tuned − base."""

from collections.abc import Sequence
from dataclasses import replace

from forgetaudit.renderers import numbers
from forgetaudit.renderers.behaviour_tables import drop_limits, side_of
from forgetaudit.renderers.document import Caps, Cell, Column, Span, Table
from forgetaudit.report.behaviour import ClassResult, SourceSection
from forgetaudit.report.parts import Absent, Measured

__all__ = ["classes_table", "groups_table", "strata_table"]

# Below, limits by a score test err a little more often than they say.
_FEW = 200


def classes_table(source: SourceSection, caps: Caps) -> Table | None:
    """The classes in order of what they lost, with their intervals on one scale."""
    return _parts_table(source, source.per_class, "class", caps)


def groups_table(source: SourceSection, caps: Caps) -> Table | None:
    """The same of groups of examples, where a column made few of them."""
    return _parts_table(source, source.per_group, "group", caps)


def strata_table(source: SourceSection, caps: Caps) -> Table | None:
    """The same of every stratum: those are few, so none is left out."""
    return _parts_table(source, source.per_stratum, "stratum", replace(caps, classes=len(source.per_stratum)))


def _parts_table(
    source: SourceSection, results: Sequence[ClassResult], what: str, caps: Caps
) -> Table | None:
    if not results:
        return None
    worst = sorted(results, key=lambda result: result.tuned - result.base)
    shown, left = worst[: caps.classes], len(worst) - caps.classes
    start, end = _scale(shown)
    title = {"class": "Classes", "group": "Groups", "stratum": "Strata"}[what]
    after = "Holm" if what == "stratum" else "Benjamini–Hochberg"
    few = sum(result.too_small_to_tell for result in results)
    small = (
        f" {numbers.count(few)} too small to tell: they may have fallen by 30 points or more." if few else ""
    )
    if what == "stratum" and source.n < _FEW:
        small += f" Of fewer than {_FEW} examples, limits over strata can miss in up to 8 % of cases."
    more = f" {numbers.count(left)} more, which lost less, are in the report." if left > 0 else ""
    return Table(
        ident=title.lower(),
        title=title,
        columns=(
            Column(title=what),
            Column(title="n", numeric=True),
            Column(title="base", numeric=True),
            Column(title=side_of(source), numeric=True),
            Column(title="change", numeric=True),
            Column(title="two-sided", numeric=True),
            Column(title=f"{_axis(start)} to {_axis(end)} pt", drawn=True),
            Column(title="adjusted p", numeric=True),
        ),
        rows=tuple(_class_row(result, start, end) for result in shown),
        note=f"Statistical: change = {side_of(source)} − base, intervals two-sided, 95 %, of each {what} by itself; "
        f"p after {after} over all of them.{small}{more}",
    )


def _class_row(result: ClassResult, start: float, end: float) -> tuple[Cell, ...]:
    sure = result.adjusted_p < 0.05
    tone = "bad" if sure and result.tuned < result.base else "good" if sure else ""
    return (
        Cell(text=result.name, named=True),
        Cell(text=numbers.count(result.n)),
        Cell(text=numbers.percent(result.base)),
        Cell(text=numbers.percent(result.tuned)),
        Cell(
            text=f"{numbers.signed_points(result.base - result.tuned)} pt",
            tone="bad" if tone == "bad" else "",
        ),
        Cell(text=drop_limits(result.drop)),
        Cell(mark=_change_span(result.drop, start, end), tone="bad" if tone == "bad" else ""),
        Cell(text=_adjusted(result)),
    )


def _adjusted(result: ClassResult) -> str:
    """The p-value, which says nothing of a class that is too small: a high one is no sign that nothing fell."""
    p = numbers.p_value(result.adjusted_p)
    return f"{p}, too small to tell" if result.too_small_to_tell else p


def _change_span(drop: Measured, start: float, end: float) -> Span | None:
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return None
    return Span(low=-drop.high, estimate=-drop.estimate, high=-drop.low, start=start, end=end)


def _axis(value: float) -> str:
    return numbers.signed_points(-value)


def _scale(results: list[ClassResult]) -> tuple[float, float]:
    """An axis in tens of points that holds every interval, and 0."""
    ends = [0.0]
    for result in results:
        if not isinstance(result.drop, Absent):
            ends += [-end for end in (result.drop.low, result.drop.high) if end is not None]
    low, high = min(ends), max(ends)
    return -_tens_up(-low), _tens_up(high)


def _tens_up(value: float) -> float:
    # Of 0.1 + 0.2 no digit beyond the twelfth counts.
    return -(-round(value, 12) * 10 // 1) / 10 if value > 0 else 0.0
