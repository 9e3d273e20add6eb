"""What every variant answered to every example, kept so that any two variants can be paired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgetaudit.data.batches import Batch
from forgetaudit.inference.clusters import FEWEST_TOUCHED, clustering_of, grouped_mean, variance_of_mean
from forgetaudit.inference.means import mean_difference
from forgetaudit.inference.paired import tango
from forgetaudit.tasks.task import Outcomes
from forgetaudit.values import Interval, NotMeasured

__all__ = ["ExampleAnswers", "ExampleScores", "paired_drop", "paired_increase"]

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleAnswers:
    """Independent units, in one order for all variants: questions, or groups of them as `grouped` says.

    `sizes` (u,) has the number of questions of each; `right` and `nll` have by variant the sums (u,) over them.
    """

    grouped: bool
    sizes: Values
    right: Mapping[str, Values]
    nll: Mapping[str, Values]

    @property
    def n(self) -> int:
        """All questions."""
        return int(self.sizes.sum())

    def accuracy(self, variant: str) -> float:
        """The share of questions that are right."""
        return float(self.right[variant].sum()) / self.n


class ExampleScores:
    """Told of batches as a ledger's watcher is. Memory: two numbers a unit and variant."""

    def __init__(self) -> None:
        self._sizes: list[Values] = []
        self._right: dict[str, list[Values]] = {}
        self._nll: dict[str, list[Values]] = {}
        self._names: list[Sequence[str]] = []
        self._grouped = False

    def take_in(
        self,
        outcomes: Mapping[str, Outcomes],
        batch: Batch,
        soft: Mapping[str, Mapping[str, Values]],  # noqa: ARG002  # of other watchers
    ) -> None:
        """The answers of every variant to one batch, row by row."""
        first = next(iter(outcomes.values()))
        groups = batch.clusters or batch.groups
        self._grouped = self._grouped or groups is not None or first.row is not None
        row = np.arange(len(first.correct)) if first.row is None else first.row
        n_rows = max(len(batch.ids), int(row.max(initial=-1)) + 1)
        self._names.append(groups or batch.ids)
        self._sizes.append(np.bincount(row, minlength=n_rows).astype(np.float64))
        for variant, found in outcomes.items():
            self._right.setdefault(variant, []).append(_sums(row, found.correct, n_rows))
            self._nll.setdefault(variant, []).append(_sums(row, found.nll, n_rows))

    def read(self) -> ExampleAnswers:
        """All that was seen; rows of one group are added up."""
        sizes = np.concatenate(self._sizes)
        right = {variant: np.concatenate(parts) for variant, parts in self._right.items()}
        nll = {variant: np.concatenate(parts) for variant, parts in self._nll.items()}
        if self._grouped:
            numbers: dict[str, int] = {}
            codes = np.array(
                [numbers.setdefault(name, len(numbers)) for names in self._names for name in names]
            )
            sizes = _sums(codes, sizes, len(numbers))
            right = {variant: _sums(codes, values, len(numbers)) for variant, values in right.items()}
            nll = {variant: _sums(codes, values, len(numbers)) for variant, values in nll.items()}
        return ExampleAnswers(grouped=self._grouped, sizes=sizes, right=right, nll=nll)


def _sums(codes: NDArray[np.int64], values: NDArray[Any], n: int) -> Values:
    """(n,) sums of the values of each code."""
    return np.bincount(codes, weights=values, minlength=n).astype(np.float64)


def paired_drop(
    answered: ExampleAnswers, first: str, second: str, confidence: float
) -> Interval | NotMeasured:
    """Accuracy of `first` − that of `second` on the same questions, two-sided: Tango's limits, or by group."""
    difference = answered.right[first] - answered.right[second]
    if not answered.grouped:
        lost, won = int((difference > 0).sum()), int((difference < 0).sum())
        return tango(lost, won, answered.n, confidence=confidence, sides=2)
    if int((difference != 0).sum()) < FEWEST_TOUCHED:
        return NotMeasured(f"fewer than {FEWEST_TOUCHED} groups of questions were answered otherwise")
    return _by_group(difference, answered.sizes, confidence)


def paired_increase(
    answered: ExampleAnswers, first: str, second: str, confidence: float
) -> Interval | NotMeasured:
    """Mean log loss of `second` − that of `first`, in nats, two-sided."""
    difference = answered.nll[second] - answered.nll[first]
    if not np.isfinite(difference).all():
        return NotMeasured("an answer has no finite log loss")
    if answered.grouped:
        return _by_group(difference, answered.sizes, confidence)
    mean = float(difference.mean())
    m2 = float(np.square(difference - mean).sum())
    return mean_difference(answered.n, mean, m2, confidence=confidence, sides=2)


def _by_group(difference: Values, sizes: Values, confidence: float) -> Interval | NotMeasured:
    return grouped_mean(
        float(difference.sum()) / float(sizes.sum()),
        variance_of_mean(difference, sizes),
        clustering_of(sizes),
        confidence=confidence,
        sides=2,
    )
