"""trainer_state.json: steps, and the learning rate and gradient norm of those that were logged."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from forgetaudit.budget.clues import Clues
from forgetaudit.errors import UnreadableCheckpoint

__all__ = [
    "MOST_STEPS",
    "from_history",
    "is_trainer_state",
    "rate_in",
    "read_trainer_state",
    "step_in",
    "whole_number",
]

# No run has more steps; a larger number is no count of them.
MOST_STEPS = 10**12
_LARGEST = 10**18
_RATES = ("learning_rate", "lr", "train/learning_rate", "train/lr")
_NORMS = ("grad_norm", "train/grad_norm")
_STEPS = ("step", "global_step", "train/global_step", "_step")

Row = Mapping[str, object]


def is_trainer_state(found: Mapping[str, object]) -> bool:
    """Whether transformers' Trainer wrote it."""
    return "log_history" in found and "global_step" in found


def read_trainer_state(found: Mapping[str, object], path: Path) -> Clues:
    """The run up to the step of this checkpoint. UnreadableCheckpoint where a rate is none."""
    history = found.get("log_history")
    rows = [row for row in history if isinstance(row, Mapping)] if isinstance(history, list) else []
    clues = from_history(rows, path)
    n_steps, n_planned = whole_number(found.get("global_step")), whole_number(found.get("max_steps"))
    is_plan = n_planned is not None and n_planned <= MOST_STEPS
    note = f"max_steps in {path.name} is more than any run takes, and was left out"
    return Clues(
        logged=clues.logged,
        # Trainers before 4.46 log the rate of the next step; nothing in the file tells which wrote it.
        shifted=True,
        gradients=clues.gradients,
        n_steps=n_steps or None,
        n_planned=n_planned or None if is_plan else None,
        sources=(path.name,),
        notes=clues.notes if is_plan or n_planned is None else (*clues.notes, note),
    )


def from_history(rows: Iterable[Row], path: Path) -> Clues:
    """The rates and norms of rows that have a step, the highest where a step has several.

    Where steps start again, as those of a run that was resumed, the parts are added up: no fewer steps than were made.
    """
    logged: dict[int, float] = {}
    norms: dict[int, float] = {}
    n_starts = 0
    for start, step, row in _in_order(rows):
        n_starts = start
        rate = rate_in(row, path, step)
        if rate is not None:
            logged[step] = max(rate, logged.get(step, 0.0))
        norm = next((row[name] for name in _NORMS if name in row), None)
        if isinstance(norm, int | float) and 0 <= norm < math.inf:
            norms[step] = max(_float(norm), norms.get(step, 0.0))
    again = f"the steps of {path.name} start again on the way: its parts were added up"
    return Clues(
        logged=logged or None,
        gradients={step: norm for step, norm in norms.items() if norm < math.inf} or None,
        notes=(again,) if n_starts else (),
    )


def _in_order(rows: Iterable[Row]) -> Iterator[tuple[int, int, Row]]:
    """How often the count had started again, the step in all, and the row; rows only out of order are sorted."""
    known = [(step, row) for row in rows if (step := step_in(row)) is not None]
    if len({step for step, _ in known}) == len(known):
        known.sort(key=lambda pair: pair[0])
    falls = sum(one > other for (one, _), (other, _) in pairwise(known))
    if falls > len(known) / 2:
        known.reverse()
    n_starts, before, latest = 0, 0, 0
    for step, row in known:
        if step < latest:
            n_starts, before = n_starts + 1, before + latest
        latest = step
        yield n_starts, before + step, row


def step_in(row: Row) -> int | None:
    """The step that a row is of."""
    return next((number for name in _STEPS if (number := whole_number(row.get(name))) is not None), None)


def rate_in(row: Row, path: Path, step: int | None) -> float | None:
    """The learning rate of a row; None where it has none. UnreadableCheckpoint for one that is no rate."""
    value = next((row[name] for name in _RATES if name in row), None)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= _float(value) < math.inf:
        return float(value)
    raise UnreadableCheckpoint(
        f"{path} has {repr(value)[:80]} for the learning rate of step {step}",
        hint="pass the log that the trainer wrote, or the rates as --lr, --train-steps and --schedule",
    )


def _float(value: float) -> float:
    """As a float; infinity for a whole number that is too large to be one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole_number(value: object) -> int | None:
    """A whole number of 0 or more; one too large for a count of anything is taken as 10¹⁸."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return min(value, _LARGEST) if is_whole and isinstance(value, int) and value >= 0 else None
