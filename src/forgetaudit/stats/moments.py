"""The sums of one layer's features in base and tuned, from which CKA and its relatives are read off."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from forgetaudit.stats.blocks import RowBlocks
from forgetaudit.stats.cross import CrossSums
from forgetaudit.stats.rows import RowCounts, sort_rows

__all__ = ["PairMoments", "PairSums"]


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
        rows = sort_rows(base, tuned)
        self._rows += rows.counts
        device = rows.base.device
        if rows.counts.n_identical:
            same = rows.same()
            self._identical_sums(device).add(same, same)
        if rows.n_differing:
            base, tuned = rows.differing()
            base_sums, cross_sums, tuned_sums = self._differing_sums(device)
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
