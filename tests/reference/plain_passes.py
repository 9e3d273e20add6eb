"""What a stream of variants must equal: independent copies of the model, run one after the other, read by hooks."""

import random
from copy import deepcopy

import torch
from torch import nn


def plain_passes(model, inputs, layers, seed):
    """Outputs and, by layer, a list of what it returned, for every (args, kwargs) of `inputs`."""
    model = deepcopy(model).eval()
    random.seed(seed)
    torch.manual_seed(seed)
    answers = []
    for args, kwargs in inputs:
        seen = {layer: [] for layer in layers}
        handles = []
        for layer in layers:

            def keep(module, arguments, output, calls=seen[layer]):
                calls.append(deepcopy(output))

            handles.append(model.get_submodule(layer).register_forward_hook(keep))
        with torch.no_grad():
            outputs = deepcopy(model(*deepcopy(args), **deepcopy(kwargs)))
        for handle in handles:
            handle.remove()
        answers.append((outputs, seen))
    return answers


def plain_outputs(model, inputs, seed):
    """The same without hooks, which switch off fused kernels."""
    return [outputs for outputs, _ in plain_passes(model, inputs, [], seed)]


def everything_on(model: nn.Module):
    """By module and attribute, the object that hangs there, with its contents where it is a container."""
    return {
        (path, key): (id(value), [*map(id, value.values())] if isinstance(value, dict) else repr(value))
        for path, module in model.named_modules()
        for key, value in vars(module).items()
    }
