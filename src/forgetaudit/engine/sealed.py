"""Weights that all variants share must not be written to: found out by what they hold, before a run and after it."""

from collections.abc import Iterable

import torch
from torch import Tensor

from forgetaudit.engine.bit_equality import as_integers

__all__ = ["Sealed"]

_WAYS = 8


class Sealed:
    """Sums over the bits of tensors as they were at first. Cost: one reading of each; memory: 17 numbers a tensor."""

    def __init__(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        self._sums: dict[int, tuple[str, Tensor, Tensor]] = {}
        for name, tensor in tensors:
            if id(tensor) not in self._sums and _is_readable(tensor):
                self._sums[id(tensor)] = name, tensor, _sums(tensor)

    def broken(self) -> tuple[str, ...]:
        """The names of the tensors that hold other bits now."""
        return tuple(
            name for name, tensor, before in self._sums.values() if not torch.equal(before, _sums(tensor))
        )


def _is_readable(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type != "meta"


def _sums(tensor: Tensor) -> Tensor:
    """Of the bits as integers: of every eighth, of each eighth of the whole, and of what is left over.

    A single write always shows; what is moved about shows unless it stays in its eighth and its column.
    """
    flat = as_integers(tensor).reshape(-1)
    even = flat[: flat.numel() // _WAYS * _WAYS]
    columns, rows = (
        even.view(-1, _WAYS).sum(0, dtype=torch.int64),
        even.view(_WAYS, -1).sum(1, dtype=torch.int64),
    )
    rest = flat[even.numel() :].sum(dtype=torch.int64).view(1)
    return torch.cat([columns, rows, rest])
