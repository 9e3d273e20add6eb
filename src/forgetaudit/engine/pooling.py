"""Pooling: from what a layer returned to one row of features for each example.

Axes: n examples, d features, t tokens, c channels; the rest are positions.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from forgetaudit.values import NotMeasured

__all__ = ["POOLS", "first_tensor", "pool"]


def pool(output: Any, how: str, n: int, mask: Tensor | None) -> Tensor | NotMeasured:
    """The features (n, d) in what a layer returned for `n` examples, in float32 (float64 where it was), or why not.

    Of a tuple, list or mapping the first tensor counts. `mask` (n, t) has 1 for real tokens. The features own
    their memory: what happens to the layer's output later does not touch them.
    """
    tensor = first_tensor(output)
    if tensor is None:
        return NotMeasured(f"it returns no tensor but {type(output).__name__}")
    if tensor.layout != torch.strided or not tensor.is_floating_point():
        return NotMeasured(
            f"it returns {tensor.dtype} values in layout {tensor.layout}, not numbers to compare"
        )
    shape = tuple(tensor.shape)
    if not shape or shape[0] != n:
        return NotMeasured(f"it returns {shape}, whose first axis is not the {n} examples")
    features = POOLS[how](tensor, mask)
    if (
        isinstance(features, Tensor)
        and features.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
    ):
        return features.clone()
    return features


def first_tensor(output: Any) -> Tensor | None:
    """The first tensor in a tensor, tuple, list or mapping, nested."""
    if isinstance(output, Tensor):
        return output
    entries = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, (tuple, list, Mapping)):
        return None
    return next((found for entry in entries if (found := first_tensor(entry)) is not None), None)


def _mean(tensor: Tensor, mask: Tensor | None) -> Tensor | NotMeasured:
    match tensor.dim():
        case 1 | 2:
            return _flatten(tensor, mask)
        case 3 if mask is not None:
            if mask.shape != tensor.shape[:2]:
                return NotMeasured(
                    f"it returns {tensor.shape[1]} tokens for each example, the mask has {mask.shape[1]}"
                )
            return _mean_over_tokens(_wide(tensor), mask)
        case 3:
            return _wide(tensor).mean(dim=1)
        case _:
            return _wide(tensor).flatten(2).mean(dim=2)


def _mean_over_tokens(hidden: Tensor, mask: Tensor) -> Tensor:
    """Of hidden (n, t, d) under mask (n, t) -> (n, d)."""
    weights = mask.to(hidden.dtype)
    n_tokens = weights.sum(dim=1, keepdim=True).clamp(min=1)
    features = torch.bmm(weights.unsqueeze(1), hidden).squeeze(1) / n_tokens
    if not bool(features.isfinite().all()):
        # Padding may hold NaN, which 0 does not silence.
        features = hidden.masked_fill(mask.unsqueeze(2) == 0, 0).sum(dim=1) / n_tokens
    return features


def _flatten(tensor: Tensor, mask: Tensor | None) -> Tensor:  # noqa: ARG001
    return _wide(tensor).reshape(len(tensor), -1)


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


POOLS: Mapping[str, Callable[[Tensor, Tensor | None], Tensor | NotMeasured]] = {
    "mean": _mean,
    "flatten": _flatten,
}
"""mean: (n, c, positions…) -> (n, c), (n, t, d) -> (n, d) over real tokens. flatten: (n, …) -> (n, d)."""
