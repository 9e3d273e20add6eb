"""Edits: what stands in a slot where no mixture of base and tuned is meant, but a tensor that was computed.

A head that was fitted anew, statistics that were taken again, a matrix without some of its directions. An edit is
given the mixture that would stand there and gives the tensor that stands there instead, both in float64.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Damped", "Edit", "Replaced"]


class Edit(Protocol):
    """Makes one tensor."""

    def made(self, mixture: Tensor) -> Tensor:
        """Of the float64 `mixture`, on the CPU, which is not written to: a float64 tensor of its shape."""
        ...


@dataclass(frozen=True, slots=True)
class Replaced:
    """The tensor itself, whatever was mixed."""

    tensor: Tensor

    def made(self, mixture: Tensor) -> Tensor:
        """`tensor`."""
        return self.tensor.cpu().double().reshape(mixture.shape)


@dataclass(frozen=True, slots=True)
class Damped:
    """W − (1 − λ) Σ σ_i u_i v_iᵀ: λ of some directions of a matrix is kept, and all of the others.

    `left` (rows, r), `values` (r,), `right` (columns, r). A tensor of more dimensions is a matrix of its first one
    against all others.
    """

    left: Tensor
    values: Tensor
    right: Tensor
    strength: float

    def made(self, mixture: Tensor) -> Tensor:
        """`mixture` less what is damped."""
        damped = torch.einsum("nr,r,mr->nm", self.left, self.values, self.right)
        return mixture - (1 - self.strength) * damped.reshape(mixture.shape)
