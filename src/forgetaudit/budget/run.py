"""A training run as far as bounds need it, and what had to be assumed of it."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from forgetaudit.budget.bounds import Travel, adam_factors, travel
from forgetaudit.budget.clues import Clues, GroupClues, together
from forgetaudit.budget.schedules import fill_gaps, has_gap_at_peak, rises_once, scheduled
from forgetaudit.checkpoints.checkpoint import Shape
from forgetaudit.values import NotMeasured

__all__ = ["BOUNDED", "WRITTEN", "Group", "Run", "settle"]

# As they are typed, and as they are told.
BOUNDED: Mapping[str, str] = {
    "adam": "Adam",
    "adamw": "AdamW",
    "adam or adamw": "Adam or AdamW",
    "sgd": "SGD",
    "signsgd": "signSGD",
    "lion": "Lion",
}
# The dtypes that optimizers keep weights in, and how logs spell them.
WRITTEN: Mapping[str, str] = {
    "float64": "float64",
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
}
# A hostile log must not keep the program busy for ever.
_MOST_STEPS = 5_000_000
_BETAS = {"lion": (0.9, 0.99)}
# AdamW's in torch; other libraries decay less, and a bound that holds with decay and without holds in between.
_DECAY = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One parameter group with the rate of every step. `names` and `shapes` are None where nothing tells them."""

    rates: tuple[float, ...]
    betas: tuple[float, float]
    decay: float
    is_decay_sure: bool
    momentum: float
    dampening: float
    nesterov: bool
    names: frozenset[str] | None
    shapes: frozenset[Shape] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that a bound needs. `gradients` are upper limits of the gradient's norm in every step, for SGD alone.

    `assumed` is empty where the optimizer's file and a log say it all.
    """

    optimizer: str
    groups: tuple[Group, ...]
    gradients: tuple[float, ...]
    n_steps: int
    n_planned: int | None
    dtype: str | None
    sources: tuple[str, ...]
    assumed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def by_coordinate(self) -> bool:
        """Whether the bound is one of each coordinate; that of SGD is one of the Euclidean norm."""
        return self.optimizer != "sgd"

    def groups_of(self, name: str, shape: Shape) -> tuple[Group, ...]:
        """Those that may hold the tensor; none where the optimizer is known to hold no such parameter."""
        named = tuple(group for group in self.groups if group.names is not None and name in group.names)
        return named or tuple(group for group in self.groups if group.shapes is None or shape in group.shapes)

    def travel(self, group: Group, rates: tuple[float, ...] | None = None) -> Travel:
        """How far the run, or further steps of `rates` after it, can have moved a coordinate of the group."""
        skipped = 0 if rates is None else self.n_steps
        rates = group.rates if rates is None else rates
        if self.optimizer in ("signsgd", "lion"):
            return travel(rates, None, group.decay)
        factors = list(islice(adam_factors(*group.betas), skipped, skipped + len(rates)))
        with_decay = travel(rates, factors, 0.0 if self.optimizer == "adam" else group.decay)
        if self.optimizer == "adamw" and group.is_decay_sure:
            return with_decay
        # Coupled decay is part of the gradient, and moves nothing by itself; where either may be, both bounds hold.
        return Travel(reach=travel(rates, factors).reach, decay=with_decay.decay)


def settle(asked: Clues, *read: Clues) -> Run | NotMeasured:
    """The run that options and files tell of; options are believed first. What nobody tells is assumed, and said."""
    clues = together(asked, *read)
    assumed = list(clues.assumed)
    if not (read or clues.logged or clues.peak is not None):
        return NotMeasured("no training log is at hand (--log, or --lr and --train-steps)")
    optimizer = clues.optimizer
    if optimizer is None:
        optimizer = "adamw"
        assumed.append("AdamW, the usual optimizer")
    if optimizer not in BOUNDED:
        return NotMeasured(f"no bound is known for {optimizer}")
    rates = _rates(clues, assumed)
    if isinstance(rates, NotMeasured):
        return rates
    gradients = _gradients(clues, len(rates)) if optimizer == "sgd" else ()
    if isinstance(gradients, NotMeasured):
        return gradients
    groups = tuple(
        _group(group, asked, clues, optimizer, rates, assumed) for group in clues.groups or (GroupClues(),)
    )
    if optimizer.startswith("adam") and not all(
        0 <= group.betas[0] < 1 > group.betas[1] > 0 for group in groups
    ):
        return NotMeasured("no bound is known for betas that are not between 0 and 1")
    run = Run(
        optimizer=optimizer,
        groups=_with_rates(groups, clues.groups or (GroupClues(),), assumed),
        gradients=gradients,
        n_steps=len(rates),
        n_planned=clues.n_planned,
        dtype=WRITTEN.get((clues.dtype or "").removeprefix("torch.")),
        sources=clues.sources,
        assumed=tuple(dict.fromkeys(assumed)),
        notes=clues.notes,
    )
    if run.by_coordinate and not all(math.isfinite(run.travel(group).reach) for group in run.groups):
        return NotMeasured("with these betas the bound grows beyond all numbers")
    return run


def _rates(clues: Clues, assumed: list[str]) -> tuple[float, ...] | NotMeasured:
    n_steps = clues.n_steps or max(clues.logged or {0: 0.0})
    if n_steps < 1:
        return NotMeasured("nothing says how many steps were trained (--train-steps)")
    if n_steps > _MOST_STEPS:
        return NotMeasured(f"{n_steps:,} steps are more than the {_MOST_STEPS:,} that are summed up")
    if clues.logged and clues.schedule is None:
        logged = dict(clues.logged)
        if clues.groups and clues.groups[0].rate is not None and max(logged) < n_steps:
            # The optimizer was saved with the rate of the step that would have come next.
            logged[n_steps + 1] = clues.groups[0].rate
        peak = max([group.peak for group in clues.groups or () if group.peak is not None], default=clues.peak)
        missing = [step for step in range(1, n_steps + 1) if step not in logged]
        if missing and peak is None and has_gap_at_peak(logged, n_steps):
            assumed.append("that the highest rate is one of those logged")
        elif missing and max(logged) < n_steps:
            assumed.append("that the rate did not rise after the last one logged")
        if missing and not rises_once(logged):
            assumed.append("that between logged steps the rate was below one of both")
        return fill_gaps(logged, n_steps, peak, shifted=bool(clues.shifted))
    peak = clues.peak if clues.peak is not None else max((clues.logged or {}).values(), default=None)
    if peak is None:
        return NotMeasured("nothing says the learning rate (--lr)")
    if clues.schedule is None:
        assumed.append("the highest learning rate in every step")
    # The schedule is that of the whole run, of which this may be an early step.
    n_planned = max(clues.n_planned or n_steps, n_steps)
    if n_planned > _MOST_STEPS:
        return NotMeasured(f"{n_planned:,} steps are more than the {_MOST_STEPS:,} that are summed up")
    n_warmup = min(clues.n_warmup or 0, n_planned)
    return scheduled(clues.schedule or "constant", peak, n_planned, n_warmup)[:n_steps]


def _gradients(clues: Clues, n_steps: int) -> tuple[float, ...] | NotMeasured:
    logged, clip = clues.gradients or {}, math.inf if clues.clip is None else clues.clip
    sizes = tuple(min(clip, logged.get(step, math.inf)) for step in range(1, n_steps + 1))
    if all(math.isfinite(size) for size in sizes):
        return sizes
    return NotMeasured(
        "SGD without clipping goes as far as its gradients are long: the log needs their norms (grad_norm) in every"
        " step, or pass --clip"
    )


def _group(
    group: GroupClues,
    asked: Clues,
    clues: Clues,
    optimizer: str,
    rates: tuple[float, ...],
    assumed: list[str],
) -> Group:
    betas = asked.betas or group.betas or clues.betas
    if betas is None:
        betas = _BETAS.get(optimizer, (0.9, 0.999))
        if optimizer.startswith("adam"):
            assumed.append(f"betas {betas[0]:g} and {betas[1]:g}")
    decay = _first(asked.weight_decay, group.weight_decay, clues.weight_decay)
    momentum = _first(asked.momentum, group.momentum, clues.momentum)
    if decay is None and optimizer != "adam":
        assumed.append(f"weight decay {'0' if optimizer == 'sgd' else f'of at most {_DECAY:g}'}")
    if momentum is None and optimizer == "sgd":
        assumed.append("momentum 0")
    return Group(
        rates=rates,
        betas=betas,
        decay=(0.0 if optimizer == "sgd" else _DECAY) if decay is None else decay,
        is_decay_sure=decay is not None,
        momentum=momentum or 0.0,
        dampening=group.dampening or 0.0,
        nesterov=bool(group.nesterov),
        names=group.names,
        shapes=group.shapes,
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _with_rates(
    groups: Collection[Group], clues: Collection[GroupClues], assumed: list[str]
) -> tuple[Group, ...]:
    """Logs tell the rate of the first group; those of the others have been in proportion to it."""
    scales = [one.peak if one.peak is not None else one.rate for one in clues]
    first, *others = scales
    if all(scale == first for scale in others):
        return tuple(groups)
    if first is None or first <= 0 or any(scale is None for scale in others):
        assumed.append("the logged learning rate for every parameter group")
        return tuple(groups)
    return tuple(
        replace(group, rates=tuple(rate * (scale or 0.0) / first for rate in group.rates))
        for group, scale in zip(groups, scales, strict=True)
    )
