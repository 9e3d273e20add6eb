"""What one source tells of a training run: an optimizer's file, a log, the options. Anything may be missing."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from forgetaudit.checkpoints.checkpoint import Shape

__all__ = ["Clues", "GroupClues", "Schedule", "together"]

Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupClues:
    """One parameter group of an optimizer, as it was in the last step. `peak` is the highest rate its schedule names.

    `cycled` is the range of β₁ or of the momentum where a scheduler moves it. `names` and `shapes` are those of its
    parameters, `kept` the dtypes of their averages, which are those that the weights were kept in; None where the file
    does not tell.
    """

    betas: tuple[float, float] | None = None
    eps: float | None = None
    weight_decay: float | None = None
    is_decoupled: bool | None = None
    momentum: float | None = None
    dampening: float | None = None
    nesterov: bool | None = None
    cycled: tuple[float, float] | None = None
    rate: float | None = None
    peak: float | None = None
    names: frozenset[str] | None = None
    shapes: frozenset[Shape] | None = None
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What is known; None for what is not. `logged` are learning rates by step, from 1; `gradients` norms.

    `optimizer` may be one for which no bound is known. `shifted` says that a logged rate may be that of the next step,
    `counts_rows` that a step of the log is a row of a table, and not surely one of the optimizer. `dtype` is what the
    weights were kept in, `is_dtype_sure` where the optimizer itself is said to have written it. `in_one_group` is the
    word of a log that all weights were trained in one parameter group.
    """

    optimizer: str | None = None
    groups: tuple[GroupClues, ...] | None = None
    betas: tuple[float, float] | None = None
    eps: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    dampening: float | None = None
    nesterov: bool | None = None
    clip: float | None = None
    peak: float | None = None
    schedule: Schedule | None = None
    n_warmup: int | None = None
    n_steps: int | None = None
    n_planned: int | None = None
    logged: Mapping[int, float] | None = None
    shifted: bool | None = None
    counts_rows: bool | None = None
    gradients: Mapping[int, float] | None = None
    dtype: str | None = None
    is_dtype_sure: bool | None = None
    in_one_group: bool | None = None
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def together(*clues: Clues) -> Clues:
    """The first that knows something is believed."""
    found = Clues()
    for one in clues:
        unknown = [f.name for f in fields(Clues) if getattr(found, f.name) is None]
        found = replace(
            found,
            **{name: getattr(one, name) for name in unknown},
            sources=(*found.sources, *one.sources),
            notes=(*found.notes, *one.notes),
            assumed=(*found.assumed, *one.assumed),
        )
    return found
