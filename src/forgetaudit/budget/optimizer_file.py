"""optimizer.pt: betas, decay and parameter groups as torch saved them. Read with weights_only, and in no other way."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from forgetaudit.budget.clues import Clues, GroupClues
from forgetaudit.checkpoints.checkpoint import Shape
from forgetaudit.checkpoints.torch_file import load_plain
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["read_optimizer"]

# What tells nothing of the optimizer: who computes, and where.
_COMMON = {
    "params", "param_names", "lr", "initial_lr", "weight_decay", "maximize", "foreach", "differentiable", "fused",
    "capturable", "name",
}  # fmt: skip
_ADAM = {"betas", "eps", "amsgrad", "decoupled_weight_decay"}
_SGD = {"momentum", "dampening", "nesterov"}
_LION = {"betas", "decoupled_weight_decay"}
_STATES = {
    "adam": {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "lion": {"exp_avg", "step"},
}


def read_optimizer(path: Path) -> Clues:
    """What the saved state of an optimizer tells. UnreadableCheckpoint, UnsafeCheckpoint."""
    loaded = load_plain(path)
    groups = loaded.get("param_groups") if isinstance(loaded, Mapping) else None
    state = loaded.get("state") if isinstance(loaded, Mapping) else None
    plain = isinstance(groups, list) and bool(groups) and all(isinstance(one, Mapping) for one in groups)
    if not (plain and isinstance(groups, list) and isinstance(state, Mapping)):
        raise UnreadableCheckpoint(
            f"{path} holds no state of an optimizer",
            hint="pass the optimizer.pt that torch's state_dict() gave",
        )
    kept = [one for one in state.values() if isinstance(one, Mapping)]
    steps = [number for one in kept if (number := _number(one.get("step"))) is not None]
    optimizer = _optimizer(groups, {str(key) for one in kept for key in one})
    return Clues(
        optimizer=optimizer,
        groups=tuple(_group(one, state) for one in groups),
        n_steps=int(max(steps)) if steps and max(steps) >= 1 else None,
        sources=(path.name,),
    )


def _optimizer(groups: Iterable[Mapping[str, Any]], states: set[str]) -> str:
    """The optimizer whose options and state these are; its options in words where they are nobody's we know."""
    keys = {str(key) for group in groups for key in group} - _COMMON
    if {"betas", "eps", "amsgrad"} <= keys <= _ADAM and states <= _STATES["adam"]:
        # Older versions of torch do not say which of the two it is.
        told = {group.get("decoupled_weight_decay") for group in groups}
        if len(told) > 1 or None in told:
            return "adam or adamw"
        return "adamw" if True in told else "adam"
    if {"momentum", "nesterov"} <= keys <= _SGD and states <= _STATES["sgd"]:
        return "sgd"
    if {"betas"} <= keys <= _LION and "exp_avg" in states <= _STATES["lion"]:
        return "lion"
    return f"the optimizer whose settings are {', '.join(sorted(keys)[:6]) or 'not in its file'}"


def _group(group: Mapping[str, Any], state: Mapping[Any, Any]) -> GroupClues:
    parameters = group.get("params")
    parameters = parameters if isinstance(parameters, list) else []
    betas = group.get("betas")
    pair = [_number(beta) for beta in betas] if isinstance(betas, tuple | list) and len(betas) == 2 else []
    nesterov = group.get("nesterov")
    return GroupClues(
        betas=(pair[0], pair[1]) if pair and pair[0] is not None and pair[1] is not None else None,
        weight_decay=_number(group.get("weight_decay")),
        momentum=_number(group.get("momentum")),
        dampening=_number(group.get("dampening")),
        nesterov=nesterov if isinstance(nesterov, bool) else None,
        rate=_number(group.get("lr")),
        peak=_number(group.get("initial_lr")),
        names=_names(group, parameters),
        shapes=_shapes(parameters, state),
    )


def _names(group: Mapping[str, Any], parameters: list[Any]) -> frozenset[str] | None:
    names = group.get("param_names", parameters)
    is_named = isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)
    return frozenset(names) if is_named else None


def _shapes(parameters: list[Any], state: Mapping[Any, Any]) -> frozenset[Shape] | None:
    """Those of the averages kept for the parameters; a parameter without any was never moved."""
    if not state:
        return None
    kept = [state[one] for one in parameters if isinstance(one, int | str) and one in state]
    averages = [one.get("exp_avg", one.get("momentum_buffer")) for one in kept if isinstance(one, Mapping)]
    if any(not hasattr(one, "shape") for one in averages):
        return None
    return frozenset(tuple(int(side) for side in one.shape) for one in averages)


def _number(value: Any) -> float | None:
    """A finite number of 0 or more, also out of a tensor of one element."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if math.isfinite(number) and number >= 0 and not isinstance(value, str | bool) else None
