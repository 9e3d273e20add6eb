"""A training run as far as bounds need it, and what had to be assumed of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgetaudit.budget.bounds import ARITHMETIC, Factors, TravelBound, furthest, inflation
from forgetaudit.budget.clues import Clues, GroupClues, together
from forgetaudit.budget.optimizers import BOUNDED, why_unbounded
from forgetaudit.budget.rates import Rates
from forgetaudit.budget.timing import gradients_of, rates_of, steps_of, with_rates
from forgetaudit.checkpoints.checkpoint import Shape
from forgetaudit.values import NotMeasured

__all__ = ["WRITTEN", "Group", "Run", "settle"]

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
_BETAS = {"lion": (0.9, 0.99)}
# AdamW's in torch; other libraries decay less, and a bound that holds with decay and without holds in between.
_DECAY = 0.01
# Below this, a gradient whose square vanishes in float32 could make a step longer than its rate.
_LEAST_EPS = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One parameter group with the rate of every step. `names` and `shapes` are None where nothing tells them.

    `betas` are the largest of the run, `lowest` is the smallest β₁; a bound holds for both where `nesterov` is None.
    """

    rates: Rates
    betas: tuple[float, float]
    lowest: float
    decay: float
    is_decay_sure: bool
    is_decoupled: bool | None
    momentum: float
    dampening: float
    nesterov: bool | None
    names: frozenset[str] | None
    shapes: frozenset[Shape] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that a bound needs. `gradients` are upper limits of the gradient's norm in every step, for SGD alone.

    `assumed` is empty where a log says it all of the whole run: an optimizer's file tells its last step alone.
    """

    optimizer: str
    groups: tuple[Group, ...]
    gradients: Rates
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

    def travel(self, group: Group, rates: Sequence[float] | None = None) -> TravelBound:
        """How far the run, or further steps of `rates` after it, can have moved a coordinate of the group."""
        skipped = 0 if rates is None else self.n_steps
        rates = group.rates if rates is None else rates

        def bound(decay: float) -> TravelBound:
            is_adam = self.optimizer.startswith("adam")
            factors = Factors.of_adam(*group.betas, group.lowest) if is_adam else None
            return furthest(rates, factors, decay, skipped)

        if group.is_decoupled is False or group.decay == 0.0:
            return bound(0.0)
        with_decay = bound(group.decay)
        if group.is_decoupled and group.is_decay_sure:
            return with_decay
        # Coupled decay is part of the gradient, and moves nothing by itself; where either may be, both bounds hold.
        return TravelBound(reach=bound(0.0).reach, decay=with_decay.decay)


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
        return NotMeasured(why_unbounded(optimizer))
    n_steps = steps_of(asked, read)
    if isinstance(n_steps, NotMeasured):
        return n_steps
    rates = rates_of(clues, n_steps, assumed)
    if isinstance(rates, NotMeasured):
        return rates
    gradients = gradients_of(clues, n_steps) if optimizer == "sgd" else Rates(())
    if isinstance(gradients, NotMeasured):
        return gradients
    told = clues.groups or (GroupClues(),)
    groups = tuple(
        _group(group, asked, clues, optimizer, mine, assumed)
        for group, mine in zip(told, with_rates(told, rates, assumed), strict=True)
    )
    dtype = _dtype(clues, assumed)
    assumed += _whole_run_assumptions(clues)
    assumed += _rounding_assumptions(groups, optimizer, dtype or "float32", n_steps)
    run = Run(
        optimizer=optimizer,
        groups=groups,
        gradients=gradients,
        n_steps=n_steps,
        n_planned=clues.n_planned,
        dtype=dtype,
        sources=clues.sources,
        assumed=tuple(dict.fromkeys(assumed)),
        notes=clues.notes,
    )
    reason = _why_endless(run)
    return run if reason is None else NotMeasured(reason)


def _why_endless(run: Run) -> str | None:
    """Why there is no bound for these numbers."""
    adam = run.optimizer.startswith("adam")
    if adam and not all(0 <= one.lowest <= one.betas[0] < 1 > one.betas[1] > 0 for one in run.groups):
        return "no bound is known for betas that are not between 0 and 1"
    if not all(math.isfinite(rate) for group in run.groups for rate, _ in group.rates.stretches):
        return "a learning rate is beyond all numbers"
    if any(rate * group.decay > 2 for group in run.groups for rate, _ in group.rates.stretches):
        return "a learning rate times the weight decay is above 2: the bound grows beyond all numbers"
    if not run.by_coordinate:
        return None
    travels = [run.travel(group) for group in run.groups]
    if all(math.isfinite(one.reach) and math.isfinite(one.decay) for one in travels):
        return None
    return "with these betas and rates the bound grows beyond all numbers"


def _group(
    group: GroupClues, asked: Clues, clues: Clues, optimizer: str, rates: Rates, assumed: list[str]
) -> Group:
    betas = asked.betas or group.betas or clues.betas
    is_adam = optimizer.startswith("adam")
    if betas is None:
        betas = _BETAS.get(optimizer, (0.9, 0.999))
        if is_adam:
            assumed.append(f"betas {betas[0]:g} and {betas[1]:g}")
    eps = _first(group.eps, clues.eps)
    if is_adam and (eps is None or eps < _LEAST_EPS):
        assumed.append("an epsilon of 1e-08" if eps is None else "that no gradient's square vanished")
    decay = _first(asked.weight_decay, group.weight_decay, clues.weight_decay)
    momentum = _first(asked.momentum, group.momentum, clues.momentum)
    if decay is None:
        assumed.append(f"weight decay {'0' if optimizer == 'sgd' else f'of at most {_DECAY:g}'}")
    if momentum is None and optimizer == "sgd":
        assumed.append("momentum 0")
    cycled = group.cycled or ()
    return Group(
        rates=rates,
        betas=(max(betas[0], *cycled) if cycled and is_adam else betas[0], betas[1]),
        lowest=min(betas[0], *cycled) if cycled and is_adam else betas[0],
        decay=(0.0 if optimizer == "sgd" else _DECAY) if decay is None else decay,
        is_decay_sure=decay is not None,
        # "adam" in a log may be one that decays either way; its own file says which.
        is_decoupled={"adam": group.is_decoupled, "adam or adamw": None}.get(optimizer, True),
        momentum=max(momentum or 0.0, *cycled) if cycled else momentum or 0.0,
        dampening=_first(group.dampening, clues.dampening) or 0.0,
        nesterov=group.nesterov if group.nesterov is not None else clues.nesterov,
        names=group.names,
        shapes=group.shapes,
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _dtype(clues: Clues, assumed: list[str]) -> str | None:
    """What the optimizer kept the weights in: as it is said, else as its averages are kept, which have their dtype."""
    said = WRITTEN.get((clues.dtype or "").removeprefix("torch."))
    kept = {dtype for group in clues.groups or () for dtype in group.kept}
    if said is not None and (clues.is_dtype_sure or not kept):
        if not clues.is_dtype_sure and not any("--dtype-written" in typed for typed in clues.assumed):
            assumed.append(f"weights kept in {said} while training, the dtype that the log has")
        return said
    if kept and kept <= set(WRITTEN.values()):
        return next(dtype for dtype in ("float16", "bfloat16", "float32", "float64") if dtype in kept)
    assumed.append("weights kept in the dtype that they are saved in while training")
    return None


def _whole_run_assumptions(clues: Clues) -> list[str]:
    """What has to be assumed to speak of every weight and of every step."""
    if not clues.groups:
        return [] if clues.in_one_group else ["one learning rate for every weight"]
    assumed = ["the settings of the last step, which are those in the optimizer's file, in every step"]
    if any(group.names is None for group in clues.groups):
        assumed.append("that it trained every weight whose shape it holds")
    return assumed


def _rounding_assumptions(groups: Sequence[Group], optimizer: str, dtype: str, n_steps: int) -> list[str]:
    """What has to be assumed where the optimizer's own arithmetic is not surely as exact as is allowed for."""
    if dtype == "float16":
        return ["that nothing in the optimizer vanished in float16"]
    u = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}[dtype]
    grows = [1.0]
    if optimizer.startswith("adam"):
        sound = [group for group in groups if 0 <= group.betas[0] < 1 > group.betas[1] > 0]
        grows = [inflation(*group.betas, u, n_steps) for group in sound]
    elif optimizer == "sgd":
        grows = [(1 - one.momentum) / max(1 - one.momentum * (1 + 8 * u), 1e-300) for one in groups]
    return (
        ["that roundings in the averages did not add up"]
        if max(grows, default=1.0) - 1 > ARITHMETIC[dtype] / 2
        else []
    )
