"""Which examples changed sides: right in base and wrong in tuned, and the other way round."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["FlipCounts", "Flips"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipCounts:
    """Numbers of examples; `per_class[label]` are those of one label (none where labels were not counted)."""

    kept: int
    forgotten: int
    gained: int
    missed: int
    per_class: tuple["FlipCounts", ...] = ()

    @property
    def n(self) -> int:
        """All examples."""
        return self.kept + self.forgotten + self.gained + self.missed

    @property
    def n_right_base(self) -> int:
        """Examples that base gets right."""
        return self.kept + self.forgotten

    @property
    def n_right_tuned(self) -> int:
        """Examples that tuned gets right."""
        return self.kept + self.gained


class Flips:
    """Counts of kept, forgotten, gained and missed examples, overall and for each of `n_classes` labels.

    Memory: 4 (n_classes + 1) integers.
    """

    def __init__(self, n_classes: int = 0) -> None:
        self.n_classes = n_classes
        # The row after the last label counts every example.
        self._counts = torch.zeros(n_classes + 1, 4, dtype=torch.int64)

    def update(self, base_correct: Tensor, tuned_correct: Tensor, labels: Tensor | None = None) -> None:
        """Take in (n,) booleans of the same examples and their (n,) labels, which may be left out for 0 classes.

        ValueError where the lengths differ or a label lies outside 0 … n_classes - 1.
        """
        base, tuned = base_correct.detach().cpu().bool(), tuned_correct.detach().cpu().bool()
        if base.shape != tuned.shape or base.ndim != 1:
            raise ValueError(
                f"base {tuple(base.shape)} and tuned {tuple(tuned.shape)} are not of the same examples"
            )
        side = 2 * (~base).long() + (base != tuned).long()  # kept 0, forgotten 1, missed 2, gained 3
        self._counts[self.n_classes] += torch.bincount(side, minlength=4)
        if self.n_classes:
            cell = 4 * self._checked(labels, len(side)) + side
            self._counts[:-1] += torch.bincount(cell, minlength=4 * self.n_classes).view(-1, 4)

    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, over the same classes, has seen."""
        if other.n_classes != self.n_classes:
            raise ValueError(f"{other.n_classes} classes cannot be merged into {self.n_classes}")
        self._counts += other._counts

    def read(self) -> FlipCounts:
        """The counts so far."""
        *classes, overall = (_named(row) for row in self._counts.tolist())
        return FlipCounts(
            kept=overall.kept,
            forgotten=overall.forgotten,
            gained=overall.gained,
            missed=overall.missed,
            per_class=tuple(classes),
        )

    def _checked(self, labels: Tensor | None, n: int) -> Tensor:
        if labels is None or labels.shape != (n,):
            raise ValueError(f"{n} examples in {self.n_classes} classes need {n} labels")
        if n and not (int(labels.min()) >= 0 and int(labels.max()) < self.n_classes):
            raise ValueError(
                f"labels {int(labels.min())} to {int(labels.max())} do not fit {self.n_classes} classes"
            )
        return labels.detach().cpu().long()


def _named(row: list[int]) -> FlipCounts:
    kept, forgotten, missed, gained = row
    return FlipCounts(kept=kept, forgotten=forgotten, gained=gained, missed=missed)
