"""The way from base to tuned, slow and obvious: losses along it by plain passes, and slopes by finite differences."""

from collections.abc import Callable, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

State = Mapping[str, Tensor]


def loss_of(model: nn.Module, state: State, loss: Callable[[nn.Module], Tensor]) -> float:
    """`loss` of a copy of the model in float64 that holds `state`."""
    copy = deepcopy(model).double().eval()
    copy.load_state_dict(
        {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    )
    with torch.no_grad():
        return float(loss(copy))


def between(base: State, tuned: State, at: float) -> dict[str, Tensor]:
    """Floats in float64, integers tuned's."""
    return {
        name: (1 - at) * tensor.double() + at * tuned[name].double()
        if tensor.is_floating_point()
        else tuned[name]
        for name, tensor in base.items()
    }


def slope(
    model: nn.Module,
    here: State,
    base: State,
    tuned: State,
    names: set[str],
    loss: Callable[[nn.Module], Tensor],
    step: float = 1e-5,
) -> float:
    """d/ds of the loss at `here` + s·(tuned − base) in the tensors called `names`, by the difference of two losses."""
    ends = []
    for s in (step, -step):
        moved = {
            name: tensor + s * (tuned[name].double() - base[name].double())
            if name in names and tensor.is_floating_point()
            else tensor
            for name, tensor in here.items()
        }
        ends.append(loss_of(model, moved, loss))
    return (ends[0] - ends[1]) / (2 * step)


def share(
    model: nn.Module,
    base: State,
    tuned: State,
    names: set[str],
    loss: Callable[[nn.Module], Tensor],
    n: int = 200,
) -> float:
    """The integral of the slope over the way, by the midpoint rule."""
    places = [(k + 0.5) / n for k in range(n)]
    return sum(slope(model, between(base, tuned, at), base, tuned, names, loss) for at in places) / n
