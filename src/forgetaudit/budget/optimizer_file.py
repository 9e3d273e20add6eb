"""optimizer.pt: betas, decay and parameter groups as torch saved them. Read with weights_only, and in no other way."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forgetaudit.budget.clues import Clues, GroupClues
from forgetaudit.budget.optimizers import recognised
from forgetaudit.budget.trainer_state import MOST_STEPS
from forgetaudit.checkpoints.checkpoint import Shape
from forgetaudit.checkpoints.torch_file import load_plain
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["read_optimizer"]


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
    most = max((step for step in steps if step <= MOST_STEPS), default=0.0)
    return Clues(
        optimizer=recognised(groups, {str(key) for one in kept for key in one}),
        groups=tuple(_group(one, state) for one in groups),
        n_steps=int(most) if most >= 1 else None,
        sources=(path.name,),
    )


def _group(group: Mapping[str, Any], state: Mapping[Any, Any]) -> GroupClues:
    parameters = group.get("params")
    parameters = parameters if isinstance(parameters, list) else []
    averages = _averages(parameters, state)
    return GroupClues(
        betas=_pair(group.get("betas")),
        eps=_number(group.get("eps")),
        weight_decay=_number(group.get("weight_decay")),
        is_decoupled=_flag(group.get("decoupled_weight_decay")),
        momentum=_number(group.get("momentum")),
        dampening=_number(group.get("dampening")),
        nesterov=_flag(group.get("nesterov")),
        # What OneCycleLR and CyclicLR leave: they move β₁ or the momentum between the two.
        cycled=_pair((group.get("base_momentum"), group.get("max_momentum"))),
        rate=_number(group.get("lr")),
        peak=max(filter(None, map(_number, (group.get("initial_lr"), group.get("max_lr")))), default=None),
        names=_names(group, parameters),
        shapes=None if averages is None else frozenset(_shape(one) for one in averages),
        kept=frozenset(str(one.dtype).removeprefix("torch.") for one in averages or ()),
    )


def _names(group: Mapping[str, Any], parameters: list[Any]) -> frozenset[str] | None:
    names = group.get("param_names", parameters)
    is_named = isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)
    return frozenset(names) if is_named else None


def _averages(parameters: list[Any], state: Mapping[Any, Any]) -> list[Any] | None:
    """Those kept for the parameters; a parameter without any was never moved. None where the file does not tell."""
    if not state:
        return None
    kept = [state[one] for one in parameters if isinstance(one, int | str) and one in state]
    averages = [one.get("exp_avg", one.get("momentum_buffer")) for one in kept if isinstance(one, Mapping)]
    return averages if all(hasattr(one, "shape") and hasattr(one, "dtype") for one in averages) else None


def _shape(tensor: Any) -> Shape:
    return tuple(int(side) for side in tensor.shape)


def _pair(value: Any) -> tuple[float, float] | None:
    found = [_number(one) for one in value] if isinstance(value, tuple | list) and len(value) == 2 else []
    return (found[0], found[1]) if found and found[0] is not None and found[1] is not None else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    """A finite number of 0 or more, also out of a tensor of one element."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 and not isinstance(value, str | bool) else None
