"""Sums of features too wide for d x d products, from independent count sketches.

A count sketch sends every feature, with a random sign, to one of k columns, so that inner products keep their
mean (Charikar, Chen and Farach-Colton 2002). HSIC₁ is linear in either kernel, so HSIC₁ of two *independent*
sketches is unbiased, of a model with itself as well; HSIC₁ of one sketch with itself is not (too large by about
effective rank / k), which invents drift.
"""

from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations, product
from typing import Self

import torch
from torch import Tensor

from forgetaudit.stats.blocks import RowBlocks
from forgetaudit.stats.cross import CrossSums
from forgetaudit.stats.rows import RowCounts, sort_rows

__all__ = ["N_SKETCHES", "SketchMoments", "SketchSums"]

N_SKETCHES = 4
"""Sketches of each model: six pairs for either denominator, sixteen for the numerator, and four to leave out."""

_ELEMENTS_AT_ONCE = 1 << 22

Pairs = dict[tuple[int, int], CrossSums]


@dataclass(frozen=True, slots=True, kw_only=True)
class SketchSums:
    """Sums about the mean of pairs of sketches: `cross[i, j]` of base's i-th and tuned's j-th; i < j within a model."""

    rows: RowCounts
    base: Pairs
    cross: Pairs
    tuned: Pairs


class SketchMoments:
    """As PairMoments, for wide features: four independent sketches of each model, of `width` columns.

    Four of 512 hold as much as two of 1,024 (59 MB of sums), err as little, and show by how much. The sketches
    depend on `seed` and the widths alone, so that shards made with the same seed merge. On a GPU the last bits may
    differ from run to run, because it adds features to a column in any order.
    """

    def __init__(self, d_base: int, d_tuned: int | None = None, *, width: int = 512, seed: int = 0) -> None:
        self.d_base, self.d_tuned = d_base, d_base if d_tuned is None else d_tuned
        self.width, self.seed = width, seed
        generator = torch.Generator().manual_seed(seed)
        self._base_sketches = [_draw(self.d_base, width, generator) for _ in range(N_SKETCHES)]
        self._tuned_sketches = [_draw(self.d_tuned, width, generator) for _ in range(N_SKETCHES)]
        self._rows = RowCounts()
        self._blocks = RowBlocks()
        self._sums: tuple[Pairs, Pairs, Pairs] | None = None

    @torch.no_grad()
    def update(self, base: Tensor, tuned: Tensor) -> None:
        """Take in features (n, d_base) and (n, d_tuned) of the same examples, of any floating dtype.

        ValueError where the shapes do not fit.
        """
        expected = (len(base), self.d_base), (len(base), self.d_tuned)
        if (tuple(base.shape), tuple(tuned.shape)) != expected:
            raise ValueError(f"features {tuple(base.shape)} and {tuple(tuned.shape)} are not {expected}")
        n_at_once = max(1, _ELEMENTS_AT_ONCE // max(self.d_base, self.d_tuned))
        for few_base, few_tuned in zip(
            torch.split(base, n_at_once), torch.split(tuned, n_at_once), strict=True
        ):
            rows = sort_rows(few_base, few_tuned)
            self._rows += rows.counts
            sketches = [_sketch(rows.base, *sketch, self.width) for sketch in self._base_sketches]
            sketches += [_sketch(rows.tuned, *sketch, self.width) for sketch in self._tuned_sketches]
            for block in self._blocks.add(*sketches):
                self._fold(block)

    @torch.no_grad()
    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, with the same sketches, has seen."""
        mine, theirs = ((m.d_base, m.d_tuned, m.width, m.seed) for m in (self, other))
        if mine != theirs:
            raise ValueError(f"sketches (d_base, d_tuned, width, seed) {theirs} are not {mine}")
        pending = other._blocks.pending()
        self._rows += other._rows
        if other._sums is not None:
            device = next(iter(other._sums[0].values())).pivot_u.device
            for pairs, other_pairs in zip(self._all_pairs(device), other._sums, strict=True):
                for key, sums in pairs.items():
                    sums.merge(other_pairs[key])
        for block in self._blocks.add(*pending) if pending else ():
            self._fold(block)

    @torch.no_grad()
    def read(self) -> SketchSums:
        """The sums so far, about the mean, in buffers of their own."""
        whole = deepcopy(self)
        pending = whole._blocks.pending()
        if pending is not None:
            whole._fold(pending)
        base, cross, tuned = (
            {key: sums.centred() for key, sums in pairs.items()}
            for pairs in whole._all_pairs(torch.device("cpu"))
        )
        return SketchSums(rows=whole._rows, base=base, cross=cross, tuned=tuned)

    def _fold(self, block: tuple[Tensor, ...]) -> None:
        base, tuned = block[:N_SKETCHES], block[N_SKETCHES:]
        sums_base, sums_cross, sums_tuned = self._all_pairs(block[0].device)
        for (i, j), sums in sums_base.items():
            sums.add(base[i], base[j])
        for (i, j), sums in sums_cross.items():
            sums.add(base[i], tuned[j])
        for (i, j), sums in sums_tuned.items():
            sums.add(tuned[i], tuned[j])

    def _all_pairs(self, device: torch.device) -> tuple[Pairs, Pairs, Pairs]:
        if self._sums is None:
            indices = range(N_SKETCHES)
            within, across = list(combinations(indices, 2)), list(product(indices, indices))
            self._sums = self._pairs(within, device), self._pairs(across, device), self._pairs(within, device)
        return self._sums

    def _pairs(self, keys: list[tuple[int, int]], device: torch.device) -> Pairs:
        return {key: CrossSums(self.width, self.width, device) for key in keys}


def _draw(d: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each of d features, its column and its sign."""
    columns = torch.randint(width, (d,), generator=generator)
    return columns, 2.0 * torch.randint(2, (d,), generator=generator, dtype=torch.float64) - 1.0


def _sketch(rows: Tensor, columns: Tensor, signs: Tensor, width: int) -> Tensor:
    """Rows (n, d) -> (n, width)."""
    sketched = torch.zeros(len(rows), width, dtype=torch.float64, device=rows.device)
    return sketched.index_add_(1, columns.to(rows.device), rows * signs.to(rows.device))
