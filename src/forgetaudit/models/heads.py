"""The last linear map of a network: what turns features into the scores that are judged."""

from collections.abc import Sequence

from torch import nn

from forgetaudit.models.layers import Layer, Stage
from forgetaudit.values import NotMeasured

__all__ = ["find_linear_head"]


def find_linear_head(model: nn.Module, layers: Sequence[Layer]) -> str | NotMeasured:
    """The path of the last `nn.Linear` of the head; why there is none otherwise. `layers` are those of the model.

    Whether its answers are the scores that are judged shows only when it runs.
    """
    heads = [layer.name for layer in layers if layer.stage is Stage.HEAD]
    if len(heads) != 1:
        return NotMeasured("the network has no head" if not heads else f"the network has {len(heads)} heads")
    inside = [
        (f"{heads[0]}.{path}" if path else heads[0], module)
        for path, module in model.get_submodule(heads[0]).named_modules()
        if next(module.children(), None) is None and next(module.parameters(), None) is not None
    ]
    path, last = inside[-1] if inside else (heads[0], model.get_submodule(heads[0]))
    # A subclass may do more than multiply.
    if type(last) is nn.Linear:
        return path
    return NotMeasured(f"the head ends in {type(last).__name__}, not in a Linear")
