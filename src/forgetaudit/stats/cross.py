"""The sums of a pair of feature matrices from which HSIC₁ over all their rows is read off.

Legend: u (n, p) and v (n, q), rows paired; their pivots are subtracted first, in float64.
"""

from typing import Self

import torch
from torch import Tensor

__all__ = ["CrossSums", "scaled_hsic"]


class CrossSums:
    """n, Σu, Σv, Σuvᵀ, Σ|v|²u, Σ|u|²v, Σ|u|², Σ|v|², Σ|u|²|v|² of rows less a pivot; 8 p q bytes and vectors.

    HSIC₁ does not change when rows are shifted, so any pivot will do: the mean of the first rows keeps the sums
    free of the features' mean. Float64 throughout: on a CPU it takes up to twice as long as float32,
    and then nothing depends on torch's float32 settings (TF32, autocast) or on rows of very different size.
    """

    def __init__(self, p: int, q: int, device: torch.device | str = "cpu") -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.n = 0
        self.pivot_u, self.pivot_v = zeros(p), zeros(q)
        self.sum_u, self.sum_v = zeros(p), zeros(q)
        self.product = zeros(p, q)
        self.weighted_u, self.weighted_v = zeros(p), zeros(q)
        self.squares_u, self.squares_v, self.squares_uv = zeros(), zeros(), zeros()

    def add(self, u: Tensor, v: Tensor) -> None:
        """Take in float64 rows u (r, p) and v (r, q)."""
        if len(u) == 0:
            return
        if self.n == 0:
            self.pivot_u.copy_(u.mean(dim=0))
            self.pivot_v.copy_(v.mean(dim=0))
        shifted = u - self.pivot_u
        u, v = shifted, shifted if v is u else v - self.pivot_v
        norms_u, norms_v = u.square().sum(dim=1), v.square().sum(dim=1)
        self.n += len(u)
        self.sum_u += u.sum(dim=0)
        self.sum_v += v.sum(dim=0)
        self.product.addmm_(u.T, v)
        self.weighted_u.addmv_(u.T, norms_v)
        self.weighted_v.addmv_(v.T, norms_u)
        self.squares_u += norms_u.sum()
        self.squares_v += norms_v.sum()
        self.squares_uv += norms_u @ norms_v

    def merge(self, other: Self, /) -> None:
        """Take in all that `other` has seen, whatever its pivots."""
        if other.n == 0:
            return
        if self.n == 0:
            self.pivot_u.copy_(other.pivot_u)
            self.pivot_v.copy_(other.pivot_v)
        moved = other.repivoted(self.pivot_u, self.pivot_v)
        self.n += moved.n
        for name in _SUMS:
            getattr(self, name).add_(getattr(moved, name))

    def centred(self) -> "CrossSums":
        """The same rows about their mean: both sums of rows are then 0 but for rounding."""
        n = max(self.n, 1)
        return self.repivoted(self.pivot_u + self.sum_u / n, self.pivot_v + self.sum_v / n)

    def repivoted(self, pivot_u: Tensor, pivot_v: Tensor) -> "CrossSums":
        """The same rows about other pivots, in new buffers: every u becomes u + e, every v becomes v + f."""
        n, e, f = self.n, self.pivot_u - pivot_u, self.pivot_v - pivot_v
        ee, ff = e @ e, f @ f
        along_u, along_v = 2 * (e @ self.sum_u) + n * ee, 2 * (f @ self.sum_v) + n * ff
        product_f, product_e = self.product @ f, e @ self.product
        new = CrossSums(len(e), len(f), e.device)
        new.n = n
        new.pivot_u.copy_(pivot_u)
        new.pivot_v.copy_(pivot_v)
        new.sum_u.copy_(self.sum_u + n * e)
        new.sum_v.copy_(self.sum_v + n * f)
        new.product.copy_(self.product).addr_(self.sum_u, f).addr_(e, new.sum_v)
        new.weighted_u.copy_(
            self.weighted_u + 2 * product_f + ff * self.sum_u + e * (self.squares_v + along_v)
        )
        new.weighted_v.copy_(
            self.weighted_v + 2 * product_e + ee * self.sum_v + f * (self.squares_u + along_u)
        )
        new.squares_u.copy_(self.squares_u + along_u)
        new.squares_v.copy_(self.squares_v + along_v)
        new.squares_uv.copy_(
            self.squares_uv
            + 2 * (f @ self.weighted_v + e @ self.weighted_u + 2 * (e @ product_f))
            + ff * (self.squares_u + along_u)
            + ee * (self.squares_v + along_v)
            - n * ee * ff
        )
        return new


_SUMS = (
    "sum_u",
    "sum_v",
    "product",
    "weighted_u",
    "weighted_v",
    "squares_u",
    "squares_v",
    "squares_uv",
)


def scaled_hsic(centred: CrossSums) -> float:
    """n(n - 3) HSIC₁ of the rows, from sums about their mean; n >= 4.

    |Σuvᵀ|² - n/(n - 2) Σ|u|²|v|² + Σ|u|² Σ|v|² / ((n - 1)(n - 2)), which is equation 5 of Song, Smola, Gretton,
    Bedo and Borgwardt, JMLR 13 (2012) 1393, for linear kernels of centred rows.
    """
    n = centred.n
    cross = centred.product.square().sum()
    diagonal = centred.squares_uv * (n / (n - 2))
    rest = centred.squares_u * centred.squares_v / ((n - 1) * (n - 2))
    return float(cross - diagonal + rest)
