"""Labels for what tensors hold while one batch is under way: equal labels, equal bits."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from forgetaudit.engine.bit_equality import CACHE_LINE, same_bits, same_layout, version

__all__ = ["Fingerprint", "Fingerprints", "is_plain", "manner", "same_plain"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None), slice, range, type(...))
_PLAIN_TORCH = (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A tensor with its version and label at one moment; or the label alone."""

    tensor: Tensor | None
    version: int
    label: int

    @property
    def untouched(self) -> bool:
        """Whether it is known that nothing wrote to its memory since."""
        return self.tensor is not None and version(self.tensor) == self.version

    @property
    def bare(self) -> "Fingerprint":
        """The label alone, which keeps no memory alive."""
        return Fingerprint(None, self.version, self.label)


class Fingerprints:
    """Knows of every tensor shown to it a label, as long as it lives and nothing writes to it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Callable[[], Tensor | None], int, int]] = {}
        self._compared: dict[tuple[int, int], bool] = {}
        self._labels = count()

    def keep(self, tensor: Tensor) -> Fingerprint:
        """`tensor` as it is now; with a label of its own unless it is known."""
        now = version(tensor)
        known, when, label = self._known.get(id(tensor), (_nothing, 0, 0))
        # An id may be that of a tensor that is no more.
        if known() is not tensor or when != now:
            label = next(self._labels)
            self._known[id(tensor)] = ref(tensor), now, label
        return Fingerprint(tensor, now, label)

    def give(self, tensor: Tensor, like: Fingerprint) -> Fingerprint:
        """`tensor` as it is now, known to hold what `like` held."""
        if like.tensor is not None and interchangeable(tensor, like.tensor):
            self.call_it(tensor, like.label)
        return self.keep(tensor)

    def call_it(self, tensor: Tensor, label: int) -> None:
        """Note that `tensor` holds what everything with `label` holds. It must be interchangeable with these."""
        self._known[id(tensor)] = ref(tensor), version(tensor), label

    def holds(self, tensor: Tensor, like: Fingerprint, *, look: bool) -> bool:
        """Whether `tensor` holds what `like` held, and lies as it lay. Bytes are compared only with `look`, once.

        Equal labels are given only to interchangeable tensors.
        """
        mine = self.keep(tensor)
        if mine.label == like.label or like.tensor is None or not look:
            return mine.label == like.label
        pair = (mine.label, like.label)
        if pair not in self._compared:
            equal = readable(like) and interchangeable(tensor, like.tensor) and same_bits(tensor, like.tensor)
            self._compared[pair] = equal
            if equal:
                self.give(tensor, like)
        return self._compared[pair]


def _nothing() -> None:
    return None


def readable(kept: Fingerprint) -> bool:
    """Whether the tensor kept still holds what it held then."""
    return kept.untouched


def interchangeable(left: Tensor, right: Tensor) -> bool:
    """Whether kernels treat two tensors alike: same layout, same alignment."""
    if left is right:
        return True
    return same_layout(left, right) and left.data_ptr() % CACHE_LINE == right.data_ptr() % CACHE_LINE


def manner(tensor: Tensor) -> tuple[Any, ...]:
    """How a strided tensor lies: with equal manners two tensors are interchangeable."""
    alignment = tensor.data_ptr() % CACHE_LINE
    signs = tensor.is_conj(), tensor.is_neg(), tensor.is_quantized
    return type(tensor), tensor.dtype, tensor.shape, tensor.stride(), tensor.device, alignment, signs


def is_plain(leaf: Any) -> bool:
    """Whether a leaf of some arguments is an immutable value that can be compared."""
    return type(leaf) in _PLAIN or isinstance(leaf, _PLAIN_TORCH)


def same_plain(left: Any, right: Any) -> bool:
    """Equality that tells 0.0 from -0.0 and 1 from True, and finds NaN equal to itself."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        same_sign = math.copysign(1, left) == math.copysign(1, right)
        return (left == right and same_sign) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, complex):
        return same_plain(left.real, right.real) and same_plain(left.imag, right.imag)
    return bool(left == right)
