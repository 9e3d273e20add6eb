"""Labels against predictions, counted apart in two halves of the examples."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

__all__ = ["Confusion", "ConfusionCounts"]

Matrix = list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionCounts:
    """Counts of (label, predicted) in either half; `predicted` -1 is an example without a prediction."""

    n_classes: int
    halves: tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int], ...]]
    """(label, predicted, count), in order, of the pairs that occur."""

    @property
    def n(self) -> int:
        """All examples, with a prediction or without."""
        return sum(count for half in self.halves for _, _, count in half)

    @property
    def n_right(self) -> int:
        """Examples whose prediction is their label."""
        return sum(count for half in self.halves for label, predicted, count in half if label == predicted)

    @property
    def n_without_prediction(self) -> int:
        """Examples whose prediction is -1."""
        return sum(count for half in self.halves for _, predicted, count in half if predicted == -1)

    @property
    def majority_share(self) -> float:
        """The share of the commonest label; 0 without examples."""
        labels: Counter[int] = Counter()
        for half in self.halves:
            for label, _, count in half:
                labels[label] += count
        return max(labels.values(), default=0) / max(self.n, 1)

    def matrices(self) -> tuple[Matrix, Matrix]:
        """Both halves as (n_classes, n_classes) counts, rows the label; examples without a prediction left out."""
        return self._matrix(0), self._matrix(1)

    def _matrix(self, half: int) -> Matrix:
        matrix = [[0] * self.n_classes for _ in range(self.n_classes)]
        for label, predicted, count in self.halves[half]:
            if predicted >= 0:
                matrix[label][predicted] = count
        return matrix


class Confusion:
    """Labels against the predictions of one variant, in two halves, so that one can test what the other suggests.

    An example's half depends on its id alone, so order, batches and shards do not move it. Memory grows with the
    pairs that occur, at most n_classes² or the number of examples, whichever is less.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._cells: Counter[tuple[int, int, int]] = Counter()

    def update(self, ids: Sequence[str], labels: Tensor, predicted: Tensor) -> None:
        """Take in the ids, (n,) labels and (n,) predictions of n examples; a prediction of -1 means none.

        ValueError where the lengths differ or a class lies outside 0 … n_classes - 1.
        """
        if not (labels.shape == predicted.shape == (len(ids),)):
            raise ValueError(
                f"{len(ids)} ids, {len(labels)} labels and {len(predicted)} predictions do not match"
            )
        pairs = list(zip(labels.tolist(), predicted.tolist(), strict=True))
        for label, guess in pairs:
            if not (0 <= label < self.n_classes and -1 <= guess < self.n_classes):
                raise ValueError(f"label {label}, predicted {guess} does not fit {self.n_classes} classes")
        self._cells.update((_half(name), *pair) for name, pair in zip(ids, pairs, strict=True))

    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, over the same classes, has seen."""
        if other.n_classes != self.n_classes:
            raise ValueError(f"{other.n_classes} classes cannot be merged into {self.n_classes}")
        self._cells.update(other._cells)

    def read(self) -> ConfusionCounts:
        """The counts so far."""
        first, second = (
            tuple(
                (label, guess, n) for (half, label, guess), n in sorted(self._cells.items()) if half == side
            )
            for side in (0, 1)
        )
        return ConfusionCounts(n_classes=self.n_classes, halves=(first, second))


def _half(name: str) -> int:
    """0 or 1, the same on every machine; Python's own hash of a string is not."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] & 1
