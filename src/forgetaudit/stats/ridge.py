"""Ridge regression of several answers on features, from sums: fitted in closed form, its penalty chosen by folds.

The state is n, Σz, Σr, Σzzᵀ, Σzrᵀ and Σ‖r‖² of each fold, so that any weighting of several data sets, any penalty and
any set of folds left out is solved without another look at the examples (Hoerl and Kennard 1970).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["FOLDS", "PENALTIES", "RidgeFit", "RidgeMeans", "RidgeSums", "fit_ridge"]

FOLDS = 5
PENALTIES = tuple(10.0**power for power in range(-6, 3))
"""In units of the mean variance of a feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeMeans:
    """By fold the number of examples (f,), and means over them of z (f, d), r (f, k), zzᵀ, zrᵀ and ‖r‖² (f,)."""

    n: Tensor
    z: Tensor
    r: Tensor
    zz: Tensor
    zr: Tensor
    rr: Tensor

    def over(self, folds: Sequence[int]) -> "RidgeMeans":
        """Of the examples of these folds together, as one fold."""
        share = self.n[folds] / self.n[folds].sum()
        return RidgeMeans(
            n=self.n[folds].sum()[None],
            **{
                name: torch.tensordot(share, getattr(self, name)[folds], 1)[None]
                for name in ("z", "r", "zz", "zr", "rr")
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeFit:
    """r ≈ `weight` z + `bias`: (k, d) and (k,) float64. `error` is the mean ‖r − …‖² on folds left out."""

    weight: Tensor
    bias: Tensor
    penalty: float
    error: float


class RidgeSums:
    """Features z (d,) and answers r (k,) of every example. Memory: FOLDS · (d² + dk) float64."""

    def __init__(self, d: int, k: int) -> None:
        self._n = torch.zeros(FOLDS, dtype=torch.float64)
        self._sums = {
            "z": torch.zeros(FOLDS, d, dtype=torch.float64),
            "r": torch.zeros(FOLDS, k, dtype=torch.float64),
            "zz": torch.zeros(FOLDS, d, d, dtype=torch.float64),
            "zr": torch.zeros(FOLDS, d, k, dtype=torch.float64),
            "rr": torch.zeros(FOLDS, dtype=torch.float64),
        }

    def update(self, features: Tensor, answers: Tensor, folds: Tensor) -> None:
        """Take in features (n, d), answers (n, k), and the fold (n,) of each row, from 0 to FOLDS − 1."""
        features, answers = (part.detach().cpu().double() for part in (features, answers))
        for fold in range(FOLDS):
            z, r = (part[folds == fold] for part in (features, answers))
            self._n[fold] += len(z)
            self._sums["z"][fold] += z.sum(0)
            self._sums["r"][fold] += r.sum(0)
            self._sums["zz"][fold].addmm_(z.T, z)
            self._sums["zr"][fold].addmm_(z.T, r)
            self._sums["rr"][fold] += r.square().sum()

    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, of the same d and k, has seen."""
        self._n += other._n
        for name, found in other._sums.items():
            self._sums[name] += found

    def read(self) -> RidgeMeans:
        """Means so far; those of an empty fold are 0."""
        n = self._n.clamp(min=1)
        means = {name: found / n.reshape(-1, *[1] * (found.ndim - 1)) for name, found in self._sums.items()}
        return RidgeMeans(n=self._n.clone(), **means)


def fit_ridge(parts: Sequence[tuple[float, RidgeMeans]], *, with_bias: bool = True) -> RidgeFit | None:
    """The map that is best for a weighted mean of data sets, each by its weight and means.

    Minimises Σ_s w_s E_s‖r − Vz − c‖² + λ·v·‖V‖², v the mean variance of a feature; c is not penalised, and 0 where
    `with_bias` is not set. λ is that of PENALTIES with the least error on folds left out, the largest of equals. None
    where a fold is empty, a sum not finite, or no feature varies.
    """
    whole = list(range(FOLDS))
    if any(means.n.count_nonzero() < FOLDS for _, means in parts):
        return None
    joint = _Moments.of(parts, whole, with_bias=with_bias)
    if not (joint.is_finite and float(joint.zz.diagonal().mean()) > 0):
        return None
    errors = dict.fromkeys(reversed(PENALTIES), 0.0)
    for fold in whole:
        rest = _Problem(_Moments.of(parts, [one for one in whole if one != fold], with_bias=with_bias))
        left = _Moments.of(parts, [fold], with_bias=with_bias)
        for penalty in errors:
            errors[penalty] += left.error(*rest.solved(penalty)) / FOLDS
    penalty = min(errors, key=lambda one: errors[one])
    weight, bias = _Problem(joint).solved(penalty)
    return RidgeFit(weight=weight, bias=bias, penalty=penalty, error=errors[penalty])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """The means z (d,) and r (k,), and around them those of zzᵀ, zrᵀ and ‖r‖²; around 0 where there is no bias."""

    z: Tensor
    r: Tensor
    zz: Tensor
    zr: Tensor
    rr: Tensor

    @classmethod
    def of(
        cls, parts: Sequence[tuple[float, RidgeMeans]], folds: Sequence[int], *, with_bias: bool
    ) -> "_Moments":
        """The weighted mean of the data sets' means over `folds`."""
        total = sum(weight for weight, _ in parts)
        each = [(weight / total, means.over(folds)) for weight, means in parts]
        z, r, zz, zr, rr = (
            torch.stack([share * getattr(means, name)[0] for share, means in each]).sum(0)
            for name in ("z", "r", "zz", "zr", "rr")
        )
        if not with_bias:
            z, r = torch.zeros_like(z), torch.zeros_like(r)
        return cls(z=z, r=r, zz=zz - torch.outer(z, z), zr=zr - torch.outer(z, r), rr=rr - r.square().sum())

    @property
    def is_finite(self) -> bool:
        return all(bool(part.isfinite().all()) for part in (self.z, self.r, self.zz, self.zr, self.rr))

    def error(self, weight: Tensor, bias: Tensor) -> float:
        """E‖r − Vz − c‖² for V (k, d) and c (k,)."""
        scatter = self.rr - 2 * (weight.T * self.zr).sum() + ((weight @ self.zz) * weight).sum()
        return float(scatter + (self.r - weight @ self.z - bias).square().sum())


class _Problem:
    """Moments whose covariance is decomposed once for all penalties."""

    def __init__(self, moments: _Moments) -> None:
        self._moments = moments
        self._values, self._vectors = torch.linalg.eigh(moments.zz)
        self._turned = self._vectors.T @ moments.zr

    def solved(self, penalty: float) -> tuple[Tensor, Tensor]:
        """V (k, d) and c (k,). Directions without variance are left alone."""
        scale = self._values.clamp(min=0) + penalty * float(self._moments.zz.diagonal().mean())
        used = scale > self._values[-1] * len(self._values) * torch.finfo(torch.float64).eps
        weight = ((self._vectors[:, used] / scale[used]) @ self._turned[used]).T
        return weight, self._moments.r - weight @ self._moments.z
