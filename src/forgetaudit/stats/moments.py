"""The sums of one layer's features in base and tuned, from which CKA and its relatives are read off."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from forgetaudit.stats.blocks import RowBlocks
from forgetaudit.stats.cross import CrossSums

__all__ = ["PairMoments", "PairSums", "RowCounts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows seen, and how many of them were bit-identical in base and tuned, or not finite (and so left out)."""

    n: int = 0
    n_identical: int = 0
    n_nonfinite: int = 0
    n_nonfinite_base: int = 0
    n_nonfinite_tuned: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(
            n=self.n + other.n,
            n_identical=self.n_identical + other.n_identical,
            n_nonfinite=self.n_nonfinite + other.n_nonfinite,
            n_nonfinite_base=self.n_nonfinite_base + other.n_nonfinite_base,
            n_nonfinite_tuned=self.n_nonfinite_tuned + other.n_nonfinite_tuned,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSums:
    """Sums about the mean: of base with itself, base with tuned, tuned with itself.

    Where all rows are identical the three are one object.
    """

    rows: RowCounts
    base: CrossSums
    cross: CrossSums
    tuned: CrossSums


class PairMoments:
    """Sums over the features of one layer, base (n, d_base) and tuned (n, d_tuned), on the features' own device.

    A row that is bit-identical in base and tuned is multiplied once for all three products, so a frozen layer
    costs a third in time and memory. Rows are gathered into blocks of 512 before they are multiplied, in float64.
    Memory: 8 (d_base² + d_base d_tuned + d_tuned²) bytes, or 8 d² while all rows are identical, and a block of
    rows. Cost: as many multiply-adds for each row. A row with a NaN or an infinity on either side is counted and
    left out.
    """

    def __init__(self, d_base: int, d_tuned: int | None = None) -> None:
        self.d_base = d_base
        self.d_tuned = d_base if d_tuned is None else d_tuned
        self._rows = RowCounts()
        self._blocks = RowBlocks()
        self._identical: CrossSums | None = None
        self._differing: tuple[CrossSums, CrossSums, CrossSums] | None = None

    @torch.no_grad()
    def update(self, base: Tensor, tuned: Tensor) -> None:
        """Take in features (n, d_base) and (n, d_tuned) of the same examples, of any floating dtype.

        ValueError where the shapes do not fit.
        """
        expected = (len(base), self.d_base), (len(base), self.d_tuned)
        if (tuple(base.shape), tuple(tuned.shape)) != expected:
            raise ValueError(f"features {tuple(base.shape)} and {tuple(tuned.shape)} are not {expected}")
        for block in self._blocks.add(base, tuned):
            self._fold(*block)

    @torch.no_grad()
    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, of the same widths, has seen."""
        if (other.d_base, other.d_tuned) != (self.d_base, self.d_tuned):
            raise ValueError(f"widths {other.d_base}, {other.d_tuned} are not {self.d_base}, {self.d_tuned}")
        pending = other._blocks.pending()
        self._rows += other._rows
        if other._identical is not None:
            self._identical_sums(other._identical.pivot_u.device).merge(other._identical)
        if other._differing is not None:
            mine = self._differing_sums(other._differing[0].pivot_u.device)
            for sums, theirs in zip(mine, other._differing, strict=True):
                sums.merge(theirs)
        if pending is not None:
            self.update(*pending)

    @torch.no_grad()
    def read(self) -> PairSums:
        """The sums so far, about the mean, in buffers of their own."""
        whole = deepcopy(self)
        pending = whole._blocks.pending()
        if pending is not None:
            whole._fold(*pending)
        base, cross, tuned = whole._joined()
        return PairSums(rows=whole._rows, base=base, cross=cross, tuned=tuned)

    def _fold(self, base: Tensor, tuned: Tensor) -> None:
        base, tuned = base.double(), tuned.double()
        finite_base, finite_tuned = base.isfinite().all(dim=1), tuned.isfinite().all(dim=1)
        finite, identical = finite_base & finite_tuned, _identical_rows(base, tuned)
        n, n_finite, n_finite_base, n_finite_tuned, n_identical = torch.stack(
            [torch.ones_like(finite), finite, finite_base, finite_tuned, finite & identical]
        ).sum(dim=1).tolist()  # fmt: skip
        self._rows += RowCounts(
            n=n,
            n_identical=n_identical,
            n_nonfinite=n - n_finite,
            n_nonfinite_base=n - n_finite_base,
            n_nonfinite_tuned=n - n_finite_tuned,
        )
        if n_finite < n:
            base, tuned, identical = base[finite], tuned[finite], identical[finite]
        if n_identical:
            same = base if n_identical == n_finite else base[identical]
            self._identical_sums(base.device).add(same, same)
        if n_identical < n_finite:
            base, tuned = (base[~identical], tuned[~identical]) if n_identical else (base, tuned)
            base_sums, cross_sums, tuned_sums = self._differing_sums(base.device)
            base_sums.add(base, base)
            cross_sums.add(base, tuned)
            tuned_sums.add(tuned, tuned)

    def _joined(self) -> tuple[CrossSums, CrossSums, CrossSums]:
        device = "cpu"
        if self._differing is None:
            same = (self._identical or CrossSums(self.d_base, self.d_tuned, device)).centred()
            return same, same, same
        if self._identical is not None:
            for sums in self._differing:
                sums.merge(self._identical)
        base, cross, tuned = (sums.centred() for sums in self._differing)
        return base, cross, tuned

    def _identical_sums(self, device: torch.device) -> CrossSums:
        if self._identical is None:
            self._identical = CrossSums(self.d_base, self.d_base, device)
        return self._identical

    def _differing_sums(self, device: torch.device) -> tuple[CrossSums, CrossSums, CrossSums]:
        if self._differing is None:
            p, q = self.d_base, self.d_tuned
            self._differing = CrossSums(p, p, device), CrossSums(p, q, device), CrossSums(q, q, device)
        return self._differing


def _identical_rows(base: Tensor, tuned: Tensor) -> Tensor:
    """(n,) whether float64 rows have the same bits: 0 and -0 differ, as they do to a division further on."""
    if base.shape != tuned.shape:
        return torch.zeros(len(base), dtype=torch.bool, device=base.device)
    return (base.view(torch.int64) == tuned.view(torch.int64)).all(dim=1)
