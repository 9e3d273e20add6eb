"""The learning rate of every step: of a named schedule, or of a log with gaps."""

import math
from collections.abc import Mapping
from typing import get_args

from forgetaudit.budget.clues import Schedule

__all__ = ["SCHEDULES", "fill_gaps", "has_gap_at_peak", "rises_once", "scheduled"]

SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)


def scheduled(schedule: Schedule, peak: float, n_steps: int, n_warmup: int = 0) -> tuple[float, ...]:
    """Linear warm-up to `peak`, then constant, or down to 0 along a line or half a cosine.

    No step's rate is below that of transformers' or timm's schedule of this name, whichever way they count from.
    """
    return tuple(peak * _share(schedule, step, n_steps, n_warmup) for step in range(1, n_steps + 1))


def _share(schedule: Schedule, step: int, n_steps: int, n_warmup: int) -> float:
    if step <= n_warmup:
        return step / n_warmup
    past = (step - 1 - n_warmup) / (n_steps - n_warmup)
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - past
        case "cosine":
            return (1 + math.cos(math.pi * past)) / 2


def fill_gaps(
    logged: Mapping[int, float], n_steps: int, peak: float | None = None, *, shifted: bool = False
) -> tuple[float, ...]:
    """Between logged steps the larger neighbour, beside the largest of them `peak` where it is known.

    A bound on every schedule that rises and then falls, if its highest rate was logged or is `peak`. With `shifted`,
    a logged rate may also be that of the next step, as older versions of the Trainer logged it.
    """
    steps = sorted(step for step in logged if step >= 0)
    highest = max(logged[step] for step in steps)
    rates, place = [], 0
    for step in range(1, n_steps + 1):
        while place < len(steps) and steps[place] < step:
            place += 1
        before = logged[steps[place - 1]] if place else None
        after = logged[steps[place]] if place < len(steps) else None
        here = place < len(steps) and steps[place] == step
        known = [after] if here and not shifted else [before, after]
        rate = max(value for value in known if value is not None)
        rates.append(max(rate, peak) if peak is not None and not here and rate == highest else rate)
    return tuple(rates)


def has_gap_at_peak(logged: Mapping[int, float], n_steps: int) -> bool:
    """Whether the highest rate may have been one that was not logged."""
    steps = sorted(step for step in logged if 1 <= step <= n_steps)
    if not steps:
        return True
    place = max(range(len(steps)), key=lambda at: logged[steps[at]])
    before = steps[place - 1] if place else 0
    after = steps[place + 1] if place + 1 < len(steps) else n_steps + 1
    return steps[place] - before > 1 or after - steps[place] > 1


def rises_once(logged: Mapping[int, float]) -> bool:
    """Whether the rates rise, then fall, and never rise again, as those of a schedule with restarts do."""
    rates = [logged[step] for step in sorted(logged)]
    top = rates.index(max(rates))
    return sorted(rates[:top]) == rates[:top] and sorted(rates[top:], reverse=True) == rates[top:]
