"""Whether two answers of a network are the same, and kernels that make them so where a device has such.

On a processor the same call on the same memory layout gives the same bits. On other devices atomic additions come in
any order: there the question is asked under the deterministic algorithms of PyTorch, and only where an operation has
none, answers are alike within rounding.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from forgetaudit.engine.bit_equality import same_bits
from forgetaudit.engine.fingerprints import same_plain

__all__ = ["Kernels", "equal_answers", "repeatable_kernels"]

_HAS_NONE = "does not have a deterministic implementation"


class Kernels:
    """What the kernels of a run can promise: `exact`, the same bits every time, as long as nothing says otherwise."""

    def __init__(self) -> None:
        self.exact = True


@contextmanager
def repeatable_kernels(device: torch.device) -> Iterator[Kernels]:
    """Inside, the kernels of `device` give the same bits every time, or it is noted that some do not."""
    kernels = Kernels()
    if device.type == "cpu":
        yield kernels
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            yield kernels
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[2:]
            # Devices without such a switch promise nothing.
            kernels.exact = device.type == "cuda" and not any(_HAS_NONE in str(one.message) for one in seen)


def equal_answers(left: Any, right: Any, *, exact: bool = True) -> bool:
    """Whether two nested answers are the same, bit for bit; without `exact`, floating tensors within rounding."""
    leaves, spec = pytree.tree_flatten(left)
    others, other_spec = pytree.tree_flatten(right)
    if spec != other_spec:
        return False
    return all(_equal_answers(one, other, exact) for one, other in zip(leaves, others, strict=True))


def _equal_answers(left: Any, right: Any, exact: bool) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if left.layout != torch.strided or left.is_quantized:
            left, right = _plain(left), _plain(right)
        return same_bits(left, right) or (not exact and _within_rounding(left, right))
    return type(left) is type(right) and (not isinstance(left, (int, float, str)) or same_plain(left, right))


def _plain(tensor: Tensor) -> Tensor:
    return tensor.dequantize() if tensor.is_quantized else tensor.to_dense()


def _within_rounding(left: Tensor, right: Tensor) -> bool:
    """Half of the digits agree, by the largest number. Choices made on rounded numbers may differ."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if not (left.is_floating_point() or left.is_complex()) or not left.numel():
        return True
    gap, size = (left - right).abs().nan_to_num().max(), right.abs().nan_to_num().max()
    return float(gap) <= math.sqrt(torch.finfo(left.dtype).eps) * float(size)
