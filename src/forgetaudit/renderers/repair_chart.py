"""What a repair tried as a chart: source accuracy against the target's, or against how much was taken back."""

import math
from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.chart import Chart, Look, Point, Series
from forgetaudit.renderers.repair_words import front_words
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairCandidate, RepairSection
from forgetaudit.wording import counted

__all__ = ["repair_chart"]

# Of the way from tuned to base, which is 1: a head that was fitted anew can lie ten times as far.
_FURTHEST = 1.25


def repair_chart(repair: RepairSection, data: str, shown: Sequence[RepairCandidate]) -> Chart | None:
    """None where nothing was tried. The line joins the Pareto front."""
    with_target = not isinstance(repair.target, Absent)
    beyond = 0 if with_target else sum(one.change > _FURTHEST for one in shown)
    if beyond:
        shown = [one for one in shown if one.change <= _FURTHEST]
    points = [_point(one, repair) for one in shown]
    if not points:
        return None
    front = sorted((_x(one), one.accuracy) for one in shown if one.on_front)
    ends = list(_ends(repair))
    return Chart(
        ident="tried",
        on="page",
        title=f"Source accuracy against {'target accuracy' if with_target else 'what was taken back'}",
        x_title=f"accuracy on {repair.target}, the target"
        if with_target
        else "share of fine-tuning taken back",
        y_title=f"accuracy on {data}",
        x_ticks=tuple(_ticks([point.x for point in (*points, *ends)])),
        series=(
            Series(
                points=tuple(points), path=tuple(front), look="front", legend=tuple(_legend(repair, shown))
            ),
            *(Series(points=(end,), path=(), look=end.look, legend=((end.look, end.name),)) for end in ends),
        ),
        levels=(),
        told=_description(repair, shown),
        note=f"The half that is searched, {counted(repair.n_search, 'example')}; chosen by these numbers, so that "
        f"they flatter. Pareto front: {front_words(repair)}.{_left_off(beyond)}",
    )


def _left_off(beyond: int) -> str:
    if not beyond:
        return ""
    what = f"{counted(beyond, 'remedy')} that {'changes' if beyond == 1 else 'change'}"
    return f" Not drawn: {what} the weights more than base would."


def _x(one: RepairCandidate) -> float:
    return one.change if isinstance(one.target, Absent) else one.target


def _point(one: RepairCandidate, repair: RepairSection) -> Point:
    look: Look = "chosen" if one.name == repair.chosen else "front" if one.on_front else "tried"
    return Point(x=_x(one), y=one.accuracy, name=one.name, look=look)


def _ends(repair: RepairSection) -> Iterator[Point]:
    """Base and tuned."""
    for end in repair.ends:
        taken_back = 1.0 if end.name == "base" else 0.0
        x = taken_back if isinstance(end.target, Absent) else end.target
        yield Point(x=x, y=end.accuracy, name=end.name, look=end.name)


def _legend(repair: RepairSection, shown: Sequence[RepairCandidate]) -> Iterator[tuple[Look, str]]:
    if repair.chosen is not None:
        yield "chosen", f"chosen: {repair.chosen}"
    if any(one.on_front for one in shown):
        yield "front", "Pareto front"
    if any(not one.on_front for one in shown):
        yield "tried", "tried"


def _ticks(values: Sequence[float]) -> Iterator[tuple[float, str]]:
    """Whole steps around all values, up to ten of them; the axis reaches from the first to the last."""
    length = max(max(values) - min(values), 0.01)
    step = next(step for step in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if length / step <= 8)
    first, last = math.floor(min(values) / step + 1e-9), math.ceil(max(values) / step - 1e-9)
    yield from (
        (at * step, f"{100 * at * step:.4g} %".replace("-", numbers.MINUS)) for at in range(first, last + 1)
    )


def _description(repair: RepairSection, shown: Sequence[RepairCandidate]) -> str:
    """What a reader who does not see the chart should know of it."""
    said = f"Scatter plot of {counted(len(shown), 'remedy')}"
    best = max(shown, key=lambda one: one.accuracy)
    said += f". Highest on the source: {best.name}, {numbers.percent(best.accuracy)}"
    if (chosen := next((one for one in shown if one.name == repair.chosen), None)) is None:
        return f"{said}. None was chosen."
    target = "" if isinstance(chosen.target, Absent) else f", {numbers.percent(chosen.target)} on the target"
    return f"{said}. Chosen: {chosen.name}, {numbers.percent(chosen.accuracy)}{target}."
