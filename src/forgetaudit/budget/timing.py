"""How many steps a run had, and the learning rate and longest gradient of each; what has to be assumed for that."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from forgetaudit.budget.clues import Clues, GroupClues
from forgetaudit.budget.rates import Rates, Stretch
from forgetaudit.budget.schedules import fill_gaps, has_every_step, has_gap_at_peak, rises_once, scheduled
from forgetaudit.budget.trainer_state import MOST_STEPS
from forgetaudit.values import NotMeasured

__all__ = ["gradients_of", "rates_of", "steps_of", "with_rates"]


def steps_of(asked: Clues, read: Sequence[Clues]) -> int | NotMeasured:
    """As many as the options say, else the most that any file has: an optimizer may have started again on the way."""
    counts = [one.n_steps or 0 for one in read] + [max(one.logged or {0: 0.0}) for one in (asked, *read)]
    n_steps = asked.n_steps or max(counts)
    if n_steps < 1:
        return NotMeasured("nothing says how many steps were trained (--train-steps)")
    if n_steps > MOST_STEPS:
        return NotMeasured(f"{n_steps:,} steps are more than the {MOST_STEPS:,} that are summed up")
    return n_steps


def rates_of(clues: Clues, n_steps: int, assumed: list[str]) -> Rates | NotMeasured:
    """The rate of every step, or a bound on it: of the log, or of a schedule."""
    if clues.logged and clues.schedule is None:
        return _rates_of_log(clues, clues.logged, n_steps, assumed)
    peak = clues.peak if clues.peak is not None else max((clues.logged or {}).values(), default=None)
    if peak is None:
        return NotMeasured("nothing says the learning rate (--lr)")
    if clues.schedule is None:
        assumed.append("the highest learning rate in every step")
        return Rates([(peak, n_steps)])
    # The schedule is that of the whole run, of which this may be an early step.
    n_planned = max(clues.n_planned or n_steps, n_steps)
    n_warmup = min(clues.n_warmup or 0, n_planned)
    assumed.append(f"the rates of a {clues.schedule} schedule with {n_warmup:,} steps of warm-up")
    return scheduled(clues.schedule, peak, n_planned, n_warmup, n_first=n_steps)


def _rates_of_log(clues: Clues, logged: Mapping[int, float], n_steps: int, assumed: list[str]) -> Rates:
    logged, groups = dict(logged), clues.groups or ()
    shifted = bool(clues.shifted)
    complete = has_every_step(logged, n_steps, shifted=shifted)
    last = max(logged)
    if groups and groups[0].rate is not None and last < n_steps:
        # The optimizer was saved with the rate of the step that would have come next.
        logged[n_steps + 1] = groups[0].rate
    peak = max([group.peak for group in groups if group.peak is not None], default=clues.peak)
    if clues.counts_rows:
        assumed.append("that a row of the log is a step of the optimizer, and the last row the last step")
    if complete:
        return fill_gaps(logged, n_steps, peak, shifted=shifted)
    if has_every_step(logged, n_steps):
        assumed.append("that the first step's rate was no higher than the first one logged")
    elif rises_once(logged):
        assumed.append("that between logged steps the rate rose and fell but once")
    else:
        assumed.append("that between logged steps the rate was below one of both")
    if peak is None and has_gap_at_peak(logged, n_steps):
        assumed.append("that the highest rate is one of those logged")
    elif last < n_steps:
        assumed.append("that the rate did not rise after the last one logged")
    return fill_gaps(logged, n_steps, peak, shifted=shifted)


def with_rates(groups: Sequence[GroupClues], rates: Rates, assumed: list[str]) -> tuple[Rates, ...]:
    """Logs tell the rate of the first group; those of the others are taken to have been in proportion to it."""
    if len(groups) == 1:
        return (rates,)
    scales = [_scale(group, groups[0]) for group in groups]
    if any(scale is None for scale in scales):
        assumed.append("the logged learning rate for every parameter group")
    else:
        assumed.append(
            f"learning rates of the {len(groups)} parameter groups in proportion to the first one's"
        )
    return tuple(rates if scale is None else rates if scale == 1 else rates.scaled(scale) for scale in scales)


def _scale(group: GroupClues, first: GroupClues) -> float | None:
    """How many times the first group's rate; the larger, where begin and end tell two. None where nothing tells."""
    if group is first:
        return 1.0
    pairs = ((group.peak, first.peak), (group.rate, first.rate))
    found = [one / other for one, other in pairs if one is not None and other is not None and other > 0]
    return max(found, default=None)


def gradients_of(clues: Clues, n_steps: int) -> Rates | NotMeasured:
    """The longest that each step's gradient can have been, for SGD: by the log, or by what it was clipped to."""
    logged, clip = clues.gradients or {}, math.inf if clues.clip is None else clues.clip
    sizes = Rates(_sizes(logged, clip, n_steps))
    if all(math.isfinite(size) for size, _ in sizes.stretches):
        return sizes
    return NotMeasured(
        "SGD without clipping goes as far as its gradients are long: the log needs their norms (grad_norm) in every"
        " step, or pass --clip"
    )


def _sizes(logged: Mapping[int, float], clip: float, n_steps: int) -> Iterator[Stretch]:
    steps = [0, *sorted(step for step in logged if 1 <= step <= n_steps), n_steps + 1]
    for before, step in pairwise(steps):
        yield clip, step - before - 1
        if step <= n_steps:
            yield min(clip, logged[step]), 1
