"""Accuracies over time: the measures of continual learning by their authors' formulas, a power law, a Pareto front."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.inference.binomial import t_quantile
from forgetaudit.values import Interval, NotMeasured

__all__ = ["ContinualLearning", "PowerLaw", "continual_learning", "fit_power_law", "pareto_front"]

FEWEST_POINTS = 4
"""Two numbers are fitted; fewer points leave their uncertainty unknown."""

# Forgetting that grows faster than the fourth power of the steps is no power law.
_LARGEST_EXPONENT = 4.0
_GRID = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualLearning:
    """Means over the `n_tasks` tasks that were learned before the last stage. Fractions.

    With R[t, i] the accuracy on task i after stage t, T the last stage and l the stage that learned task i:
    `backward_transfer` R[T, i] − R[l, i] (Lopez-Paz and Ranzato, arXiv 1706.08840); `average_forgetting` of Chaudhry
    et al. (arXiv 1801.10112) max over t < T of R[t, i] − R[T, i]; `avalanche` R[l, i] − R[T, i]; `mammoth` max over
    all t of R[t, i] − R[T, i].
    """

    n_tasks: int
    backward_transfer: float
    average_forgetting: float
    avalanche: float
    mammoth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """`drop ≈ scale · step^exponent`, and what that says of the step `at`. No law says that it goes on so.

    `misfit` is chi² per degree of freedom: 1 where the points scatter as their errors say, more where they do not lie
    on a power law; the intervals are widened by its root where it is over 1.
    """

    scale: float
    exponent: Interval
    at: int
    forecast: Interval
    misfit: float


def continual_learning(
    accuracies: Sequence[Sequence[float]], learned: Sequence[int]
) -> ContinualLearning | NotMeasured:
    """Of R: a row for each stage, a column for each task; `learned[i]` is the stage that learned task i, from 0.

    NotMeasured where no task was learned before the last stage. ValueError for rows of other lengths.
    """
    last = len(accuracies) - 1
    columns = [list(column) for column in zip(*accuracies, strict=True)]
    if len(columns) != len(learned) or any(not 0 <= stage <= last for stage in learned):
        raise ValueError(f"{len(learned)} tasks with their stages do not fit {len(columns)} columns")
    old = [(column, column[stage]) for column, stage in zip(columns, learned, strict=True) if stage < last]
    if not old:
        return NotMeasured("no task was learned before the last stage")

    def mean(values: Sequence[float]) -> float:
        return math.fsum(values) / len(values)

    transfer = mean([column[last] - first for column, first in old])
    return ContinualLearning(
        n_tasks=len(old),
        backward_transfer=transfer,
        average_forgetting=mean([max(column[:last]) - column[last] for column, _ in old]),
        avalanche=-transfer,
        mammoth=mean([max(column) - column[last] for column, _ in old]),
    )


def fit_power_law(
    steps: Sequence[int], drops: Sequence[float], errors: Sequence[float], *, at: int, confidence: float
) -> PowerLaw | NotMeasured:
    """Weighted least squares of drop = scale · step^exponent, with limits from its curvature and Student's t.

    `errors` are the standard errors of the drops. They are taken as independent of each other, which those of
    one run, measured on the same examples, are not: the limits are an order of magnitude. NotMeasured for fewer than
    four points, and where there is no drop to speak of.
    """
    if len(steps) < FEWEST_POINTS:
        return NotMeasured(f"a power law needs {FEWEST_POINTS} checkpoints, and there are {len(steps)}")
    if min(steps) < 1 or min(errors) <= 0:
        return NotMeasured("a power law needs steps from 1 on, and drops with an error")
    largest = max(steps)
    logs = [math.log(step / largest) for step in steps]
    weights = [1 / error**2 for error in errors]
    exponent = _best_exponent(logs, drops, weights)
    scale = _scale(exponent, logs, drops, weights)
    if scale <= 0:
        return NotMeasured("the accuracy did not fall")
    degrees = len(steps) - 2
    misfit = _misfit(exponent, logs, drops, weights) / degrees
    reach = t_quantile(confidence, 2, degrees) * math.sqrt(max(1.0, misfit))
    errors_of = _covariance(scale, exponent, logs, weights)
    if errors_of is None:
        return NotMeasured("the points do not tell one power law from another")
    log_at = math.log(at / largest)
    forecast = scale * math.exp(exponent * log_at)
    return PowerLaw(
        scale=scale * math.exp(-exponent * math.log(largest)),
        exponent=_around(exponent, reach * math.sqrt(errors_of[2]), confidence),
        at=at,
        forecast=_around(forecast, reach * _spread(forecast, scale, log_at, errors_of), confidence),
        misfit=misfit,
    )


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[bool, ...]:
    """Whether each point is on the front: no other is at least as good in both, and better in one. More is better."""
    return tuple(
        not any(
            one[0] >= point[0] and one[1] >= point[1] and (one[0] > point[0] or one[1] > point[1])
            for one in points
        )
        for point in points
    )


def _scale(exponent: float, logs: Sequence[float], drops: Sequence[float], weights: Sequence[float]) -> float:
    """The best scale for an exponent, at the last step."""
    shapes = [math.exp(exponent * log) for log in logs]
    top = math.fsum(w * d * s for w, d, s in zip(weights, drops, shapes, strict=True))
    return top / math.fsum(w * s * s for w, s in zip(weights, shapes, strict=True))


def _misfit(
    exponent: float, logs: Sequence[float], drops: Sequence[float], weights: Sequence[float]
) -> float:
    scale = _scale(exponent, logs, drops, weights)
    return math.fsum(
        w * (d - scale * math.exp(exponent * log)) ** 2
        for w, d, log in zip(weights, drops, logs, strict=True)
    )


def _best_exponent(logs: Sequence[float], drops: Sequence[float], weights: Sequence[float]) -> float:
    """From 0 to the largest: the best of a grid, then the best beside it, to 1e-9."""
    low, high = 0.0, _LARGEST_EXPONENT
    while high - low > 1e-9:
        grid = [low + (high - low) * at / _GRID for at in range(_GRID + 1)]
        best = min(range(len(grid)), key=lambda at: _misfit(grid[at], logs, drops, weights))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, _GRID)]
    return (low + high) / 2


def _covariance(
    scale: float, exponent: float, logs: Sequence[float], weights: Sequence[float]
) -> tuple[float, float, float] | None:
    """Variance of the scale, covariance, variance of the exponent: the inverse of JᵀWJ."""
    shapes = [math.exp(exponent * log) for log in logs]
    aa = math.fsum(w * s * s for w, s in zip(weights, shapes, strict=True))
    ab = math.fsum(w * s * scale * s * log for w, s, log in zip(weights, shapes, logs, strict=True))
    bb = math.fsum(w * (scale * s * log) ** 2 for w, s, log in zip(weights, shapes, logs, strict=True))
    determinant = aa * bb - ab * ab
    if determinant <= 1e-12 * aa * bb:
        return None
    return bb / determinant, -ab / determinant, aa / determinant


def _spread(forecast: float, scale: float, log_at: float, errors: tuple[float, float, float]) -> float:
    by_scale, by_exponent = forecast / scale, forecast * log_at
    aa, ab, bb = errors
    return math.sqrt(max(by_scale**2 * aa + 2 * by_scale * by_exponent * ab + by_exponent**2 * bb, 0.0))


def _around(estimate: float, reach: float, confidence: float) -> Interval:
    return Interval(
        estimate=estimate,
        low=estimate - reach,
        high=estimate + reach,
        confidence=confidence,
        sides=2,
        method="power-law",
    )
