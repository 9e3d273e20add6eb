"""Lazy modules (LazyLinear, …) of a network: given their shapes by the file, as load_state_dict gives them."""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import ModelError, listing

__all__ = ["settle_lazy"]


def settle_lazy(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Every parameter and buffer that waits for a first input takes the shape that it has in `checkpoint`.

    ModelError naming those that it does not have, or that stay lazy.
    """
    for path, module in model.named_modules():
        if isinstance(module, LazyModuleMixin) and any(map(is_lazy, _own(module))):
            _settle(path, module, checkpoint)
    tensors = (*model.named_parameters(), *model.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]
    if lazy:
        raise ModelError(
            f"the network is lazy: {len(lazy)} tensors wait for a first input to have a shape",
            details=[listing("without a shape in the file", lazy)],
            hint="run it once on one input in build(), before it is returned",
        )


def _own(module: Any) -> list[Any]:
    return [*module._parameters.values(), *module._buffers.values()]


def _settle(path: str, module: Any, checkpoint: Checkpoint) -> None:
    prefix = f"{path}." if path else ""
    found = {}
    for key in (*module._parameters, *module._buffers):
        if (source := _source(prefix + key, checkpoint)) is not None:
            found[prefix + key] = torch.empty(checkpoint.tensors[source].shape, device="meta")
    module._lazy_load_hook(found, prefix, {}, True, [], [], [])
    if any(map(is_lazy, _own(module))):
        return
    weight = getattr(module, "weight", None)
    n_last = weight.shape[-1] if isinstance(weight, torch.Tensor) and weight.ndim else 1
    try:
        # torch's own end of the lazy state, which a first call would bring: it looks at the input's width only.
        module._infer_parameters(module, (torch.empty(1, n_last),))
    except Exception as error:
        raise ModelError(
            f"the lazy module {path or 'model'} cannot be given its shapes from the file",
            details=[f"{type(error).__name__}: {error}"],
            hint="run the network once on one input in build(), before it is returned",
        ) from error


def _source(name: str, checkpoint: Checkpoint) -> str | None:
    """The file's name of it: the same, or the only one that ends in it, as wrappers put words before names."""
    if name in checkpoint.tensors:
        return name
    near = [other for other in checkpoint.tensors if other.endswith(f".{name}")]
    return near[0] if len(near) == 1 else None
