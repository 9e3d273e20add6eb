"""What a tensor holds, down to the bit: equality of bytes, and the version that tells whether it was written to."""

import torch
from torch import Tensor

__all__ = ["CACHE_LINE", "as_integers", "same_bits", "same_layout", "version"]

CACHE_LINE = 64
"""Bytes; kernels choose their path by the alignment of their operands, and with the path change the last bits."""

_N_PROBED = 64
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def same_bits(left: Tensor, right: Tensor) -> bool:
    """Whether two strided tensors have equal dtype, shape, strides, device and bytes.

    Bytes are compared as integers: `torch.equal` calls -0 and 0 equal, and NaN unequal to itself. It also reads
    to the end whatever it finds, so a few elements are probed first.
    """
    if left is right:
        return True
    if not same_layout(left, right):
        return False
    a, b = as_integers(left), as_integers(right)
    if a.numel() > 4 * _N_PROBED and not torch.equal(_probe(a), _probe(b)):
        return False
    return torch.equal(a, b)


def same_layout(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors differ at most in their values and in where they lie."""
    return (
        type(left) is type(right)
        and left.dtype == right.dtype
        and left.shape == right.shape
        and left.layout == right.layout == torch.strided
        and left.stride() == right.stride()
        and left.device == right.device
        and left.is_conj() == right.is_conj()
        and left.is_neg() == right.is_neg()
        and not left.is_quantized
    )


def version(tensor: Tensor) -> int:
    """Counts the in-place writes to the memory of `tensor`, through whichever view. Inference tensors have none."""
    return 0 if tensor.is_inference() else tensor._version


def as_integers(tensor: Tensor) -> Tensor:
    """The bytes of a strided tensor, in integers as wide as its elements."""
    tensor = tensor.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.view(_INTEGERS[tensor.element_size()])


def _probe(tensor: Tensor) -> Tensor:
    """About 64 elements spread along the first axis whose length allows it."""
    while tensor.dim() > 1 and len(tensor) == 1:
        tensor = tensor[0]
    while tensor.dim() > 1:
        tensor = tensor.select(-1, -1)
    return tensor[:: max(1, len(tensor) // _N_PROBED)]
