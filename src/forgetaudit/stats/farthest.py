"""The rows farthest from the others, to tell whether one example decides a layer's numbers."""

from typing import Self

import torch
from torch import Tensor

__all__ = ["FarthestRows"]

_KEPT = 4


class FarthestRows:
    """The four rows farthest from where the first rows lay.

    The row farthest from the final mean is among them where it matters, that is where it stands out: then it is
    far from any point among the others. Where none stands out, the share read off is a good lower estimate.
    """

    def __init__(self) -> None:
        self._pivot: Tensor | None = None
        self._rows: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Take in float64 rows (r, d)."""
        if len(rows) == 0:
            return
        if self._pivot is None:
            self._pivot = rows.mean(dim=0)
        candidates = rows if self._rows is None else torch.cat([self._rows, rows])
        distances = (candidates - self._pivot).square().sum(dim=1)
        kept = distances.topk(min(_KEPT, len(candidates))).indices
        self._rows = candidates[kept]

    def merge(self, other: Self, /) -> None:
        """Take in all that `other` has seen."""
        if other._rows is not None:
            self.add(other._rows)

    def largest(self, mean: Tensor) -> float:
        """The largest squared distance of a row from `mean` (d,); 0 without rows."""
        return 0.0 if self._rows is None else float((self._rows - mean).square().sum(dim=1).max())
