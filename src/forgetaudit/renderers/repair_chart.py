"""What a repair tried as a chart: source accuracy against the target's, or against how much was taken back."""

import math
from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Chart, Level, Look, Point, Series
from forgetaudit.renderers.repair_words import front_words
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairCandidate, RepairSection
from forgetaudit.wording import counted

__all__ = ["ends_of", "repair_chart"]


def repair_chart(repair: RepairSection, data: str, shown: Sequence[RepairCandidate]) -> Chart | None:
    """None where nothing was tried. The line joins the Pareto front."""
    points = [_point(one, repair) for one in shown]
    if not points:
        return None
    with_target = not isinstance(repair.target, Absent)
    front = sorted((_x(one), one.accuracy) for one in shown if one.on_front)
    ends = list(_ends(repair))
    return Chart(
        ident="tried",
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
        levels=tuple(_levels(repair, with_target=with_target)),
        told=_told(repair, shown),
        note=f"The half that is searched, {counted(repair.n_search, 'example')}; chosen by these numbers, so that "
        f"they flatter. Pareto front: {front_words(repair)}.",
    )


def _x(one: RepairCandidate) -> float:
    return one.change if isinstance(one.target, Absent) else one.target


def _point(one: RepairCandidate, repair: RepairSection) -> Point:
    look: Look = "chosen" if one.name == repair.chosen else "front" if one.on_front else "tried"
    return Point(x=_x(one), y=one.accuracy, name=one.name, look=look)


def ends_of(repair: RepairSection) -> tuple[float, float] | None:
    """Base's and tuned's accuracy on the half that is searched; None where nothing was lost there.

    The report holds the points lost, and of each remedy its accuracy and the share of them that it won back.
    """
    for one in repair.candidates:
        if not isinstance(one.won_back, Absent) and not isinstance(repair.lost, Absent):
            tuned = one.accuracy - one.won_back * repair.lost.estimate
            return min(tuned + repair.lost.estimate, 1.0), max(tuned, 0.0)
    return None


def _ends(repair: RepairSection) -> Iterator[Point]:
    """Tuned; and base, where its place is known: what base does on the target was not asked."""
    found = ends_of(repair)
    if found is None:
        return
    base, tuned = found
    if isinstance(repair.target, Absent):
        yield Point(x=1.0, y=base, name="base", look="base")
        yield Point(x=0.0, y=tuned, name="tuned", look="tuned")
        return
    for one in repair.candidates:
        if not isinstance(one.target, Absent) and not isinstance(one.target_loss, Absent):
            yield Point(x=one.target + one.target_loss.estimate, y=tuned, name="tuned", look="tuned")
            return


def _levels(repair: RepairSection, *, with_target: bool) -> Iterator[Level]:
    found = ends_of(repair)
    if found is not None and with_target:
        yield Level(y=found[0], words=f"base, {numbers.percent(found[0])}")


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
    step = next(step for step in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if length / step <= 8)
    first, last = math.floor(min(values) / step + 1e-9), math.ceil(max(values) / step - 1e-9)
    yield from (
        (at * step, f"{100 * at * step:.4g} %".replace("-", numbers.MINUS)) for at in range(first, last + 1)
    )


def _told(repair: RepairSection, shown: Sequence[RepairCandidate]) -> str:
    """What a reader who does not see the chart should know of it."""
    said = f"Scatter plot of {counted(len(shown), 'remedy')}"
    best = max(shown, key=lambda one: one.accuracy)
    said += f". Highest on the source: {best.name}, {numbers.percent(best.accuracy)}"
    if (chosen := next((one for one in shown if one.name == repair.chosen), None)) is None:
        return f"{said}. None was chosen."
    target = "" if isinstance(chosen.target, Absent) else f", {numbers.percent(chosen.target)} on the target"
    return f"{said}. Chosen: {chosen.name}, {numbers.percent(chosen.accuracy)}{target}."
