"""The learning rate of every step: of a named schedule, or of a log with gaps."""

import math
from collections.abc import Iterator, Mapping
from typing import get_args

from forgetaudit.budget.clues import Schedule
from forgetaudit.budget.rates import Rates, Stretch

__all__ = ["SCHEDULES", "fill_gaps", "has_every_step", "has_gap_at_peak", "rises_once", "scheduled"]

SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
# A longer schedule is taken in so many blocks of steps, each at its highest rate: a bound all the same.
_EXACT, _BLOCKS = 100_000, 10_000


def scheduled(
    schedule: Schedule, peak: float, n_steps: int, n_warmup: int = 0, n_first: int | None = None
) -> Rates:
    """Linear warm-up to `peak`, then constant, or down to 0 along a line or half a cosine; the `n_first` of its steps.

    No step's rate is below that of transformers' or timm's schedule of this name, whichever way they count from.
    """
    n_wanted = n_steps if n_first is None else min(n_first, n_steps)
    return Rates(_blocks(schedule, peak, n_steps, n_warmup, n_wanted))


def _blocks(schedule: Schedule, peak: float, n_steps: int, n_warmup: int, n_wanted: int) -> Iterator[Stretch]:
    if schedule == "constant" and n_warmup == 0:
        yield peak, n_wanted
        return
    each = 1 if n_wanted <= _EXACT else -(-n_wanted // _BLOCKS)
    for start in range(1, n_wanted + 1, each):
        stop = min(start + each - 1, n_wanted)
        ends = [_share(schedule, step, n_steps, n_warmup) for step in (start, stop)]
        yield peak * (1.0 if start <= n_warmup <= stop else max(ends)), stop - start + 1


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
) -> Rates:
    """Between logged steps the larger neighbour, beside the largest of them `peak` where it is known.

    A bound on every schedule that rises and then falls, if its highest rate was logged or is `peak`. Where the rates
    rise again, `peak` stands in every gap. With `shifted`, a logged rate may also be that of the next step, as older
    versions of the Trainer logged it.
    """
    steps = sorted(step for step in logged if step >= 0)
    highest = max(logged[step] for step in steps)
    everywhere = not rises_once(logged)

    def unlogged(rate: float) -> float:
        return rate if peak is None or not (everywhere or rate == highest) else max(rate, peak)

    def stretches() -> Iterator[Stretch]:
        past, before = 0, None
        for step in steps:
            rate = logged[step]
            around = rate if before is None else max(before, rate)
            if past < n_steps:
                gap = min(step - 1, n_steps) - past
                yield unlogged(around), max(gap, 0)
            if 1 <= step <= n_steps:
                here = unlogged(rate) if shifted and before is None else (around if shifted else rate)
                yield here, 1
            past, before = max(past, step), rate
        if before is not None:
            yield unlogged(before), n_steps - past

    return Rates(stretches())


def has_every_step(logged: Mapping[int, float], n_steps: int, *, shifted: bool = False) -> bool:
    """Whether no rate has to be guessed from its neighbours."""
    return sum(0 <= step <= n_steps if shifted else 1 <= step <= n_steps for step in logged) == (
        n_steps + 1 if shifted else n_steps
    )


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
