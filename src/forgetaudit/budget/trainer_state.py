"""trainer_state.json: steps, and the learning rate and gradient norm of those that were logged."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from forgetaudit.budget.clues import Clues
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["from_history", "is_trainer_state", "rate_in", "read_trainer_state", "step_in", "whole"]

_RATES = ("learning_rate", "lr", "train/learning_rate", "train/lr")
_NORMS = ("grad_norm", "train/grad_norm")
_STEPS = ("step", "global_step", "train/global_step", "_step")


def is_trainer_state(found: Mapping[str, object]) -> bool:
    """Whether transformers' Trainer wrote it."""
    return "log_history" in found and "global_step" in found


def read_trainer_state(found: Mapping[str, object], path: Path) -> Clues:
    """The run up to the step of this checkpoint. UnreadableCheckpoint where a rate is none."""
    history = found.get("log_history")
    rows = [row for row in history if isinstance(row, Mapping)] if isinstance(history, list) else []
    clues = from_history(rows, path)
    n_steps, n_planned = whole(found.get("global_step")), whole(found.get("max_steps"))
    return Clues(
        logged=clues.logged,
        # Trainers before 4.46 log the rate of the next step; nothing in the file tells which wrote it.
        shifted=True,
        gradients=clues.gradients,
        n_steps=n_steps or None,
        n_planned=n_planned or None,
        sources=(path.name,),
    )


def from_history(rows: Iterable[Mapping[str, object]], path: Path) -> Clues:
    """The rates and norms of rows that have a step, the highest where a step has several."""
    logged: dict[int, float] = {}
    norms: dict[int, float] = {}
    for row in rows:
        step = step_in(row)
        if step is None:
            continue
        rate = rate_in(row, path, step)
        if rate is not None:
            logged[step] = max(rate, logged.get(step, 0.0))
        norm = next((row[name] for name in _NORMS if name in row), None)
        if isinstance(norm, int | float) and math.isfinite(norm) and norm >= 0:
            norms[step] = max(float(norm), norms.get(step, 0.0))
    return Clues(logged=logged or None, gradients=norms or None)


def step_in(row: Mapping[str, object]) -> int | None:
    """The step that a row is of."""
    return next((number for name in _STEPS if (number := whole(row.get(name))) is not None), None)


def rate_in(row: Mapping[str, object], path: Path, step: int | None) -> float | None:
    """The learning rate of a row; None where it has none. UnreadableCheckpoint for one that is no rate."""
    value = next((row[name] for name in _RATES if name in row), None)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise UnreadableCheckpoint(
        f"{path} has {value!r} for the learning rate of step {step}",
        hint="pass the log that the trainer wrote, or the rates as --lr, --train-steps and --schedule",
    )


def whole(value: object) -> int | None:
    """A whole number of 0 or more."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
