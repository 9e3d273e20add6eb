"""Calls of a model that also tell what went on inside: what goes into its last layer, how its features are spread."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils import _pytree as pytree

from forgetaudit.engine.passes import Call

__all__ = ["ObservedCall", "Spread", "SpreadCall", "observing", "tracked_norms"]


class ObservedCall(NamedTuple):
    """What the model returned, and every tensor that went into the module that was listened to, in order of calls."""

    outputs: Any
    inputs: tuple[Tensor, ...]


def observing(call: Call, path: str) -> Call:
    """`call`, giving a `Heard` of the module at `path`."""

    def listened(skeleton: nn.Module, *args: Any, **kwargs: Any) -> ObservedCall:
        inputs: list[Tensor] = []
        handle = skeleton.get_submodule(path).register_forward_pre_hook(
            lambda _, given: inputs.append(given[0].detach().clone())
        )
        try:
            return ObservedCall(call(skeleton, *args, **kwargs), tuple(inputs))
        finally:
            handle.remove()

    return listened


def tracked_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """By path every BatchNorm that keeps running statistics."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


@dataclass(frozen=True, slots=True)
class Spread:
    """Of `n` values a channel: their mean (c,) and mean square (c,), float64."""

    n: int
    mean: Tensor
    square: Tensor


class SpreadCall:
    """Calls a model with its BatchNorms in training mode, and sums up what goes into each of them.

    Everything else stays in evaluation mode, and the norms' own running statistics are not moved. A batch of a single
    row, of which there is no variance, is run without being measured. Mutable: sums, in float64.
    """

    def __init__(self, call: Call) -> None:
        self.unmeasured = self._call = call
        self._sums: dict[str, tuple[int, Tensor, Tensor]] = {}

    def __call__(self, skeleton: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """What the model returns while its norms normalise by the batch."""
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not tensors or len(tensors[0]) < 2:
            return self._call(skeleton, *args, **kwargs)
        norms = tracked_norms(skeleton)
        before = {path: norm.momentum for path, norm in norms.items()}
        handles = [
            norm.register_forward_pre_hook(lambda _, given, path=path: self._take(path, given[0]))
            for path, norm in norms.items()
        ]
        try:
            for norm in norms.values():
                norm.training, norm.momentum = True, 0.0
            return self._call(skeleton, *args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
            for path, norm in norms.items():
                norm.training, norm.momentum = False, before[path]

    def read(self) -> Mapping[str, Spread]:
        """By path of the norm."""
        return {path: Spread(n, total / n, squares / n) for path, (n, total, squares) in self._sums.items()}

    def _take(self, path: str, given: Tensor) -> None:
        # Not every device has float64.
        values = (given.cpu() if given.device.type == "mps" else given).detach().double()
        values = values.transpose(0, 1).flatten(1)
        n, total, squares = self._sums.get(path, (0, torch.zeros(()), torch.zeros(())))
        self._sums[path] = (
            n + values.shape[1],
            total + values.sum(1).cpu(),
            squares + values.square().sum(1).cpu(),
        )
