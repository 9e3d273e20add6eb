"""Means of several measures over n questions, and how far they scatter: by question, or by group of questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forgetaudit.inference.clusters import Clustering, clustering_of, variance_of_mean

__all__ = ["GroupMeans", "MeanSums", "Means"]

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSums:
    """One measure over `n` questions in `groups` that are independent of each other.

    `mean` is the mean over questions and `variance` that of this mean, infinite for one group. `touched` is the
    effective number of groups with any value but 0, `least` and `most` the extremes of the groups' means.
    """

    n: int
    groups: Clustering
    mean: float
    variance: float
    touched: float
    least: float
    most: float


class Means:
    """Every question independent of the others. Memory: five numbers a measure."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._n = 0
        self._n_touched = np.zeros(len(self.names), dtype=np.int64)
        self._mean = np.zeros(len(self.names))
        self._m2 = np.zeros(len(self.names))
        self._least = np.full(len(self.names), np.inf)
        self._most = np.full(len(self.names), -np.inf)

    def update(self, values: Mapping[str, Values]) -> None:
        """Take in (n,) values of every measure. ValueError where one is missing, or lengths differ."""
        columns = _columns(values, self.names)
        n = columns.shape[1]
        if not n:
            return
        mean = columns.mean(axis=1)
        m2 = np.square(columns - mean[:, None]).sum(axis=1)
        self._join(n, mean, m2, (columns != 0).sum(axis=1))
        self._widen(columns.min(axis=1), columns.max(axis=1))

    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, of the same measures, has seen."""
        _refuse_other_names(self.names, other.names)
        self._join(other._n, other._mean, other._m2, other._n_touched)
        self._widen(other._least, other._most)

    def read(self) -> dict[str, MeanSums]:
        """By measure; empty without a question."""
        if not self._n:
            return {}
        n = self._n
        each = Clustering(n_groups=n, effective=float(n), degrees=float(n - 1))
        return {
            name: MeanSums(
                n=n,
                groups=each,
                mean=float(self._mean[row]),
                variance=float(self._m2[row]) / (n - 1) / n if n > 1 else np.inf,
                touched=float(self._n_touched[row]),
                least=float(self._least[row]),
                most=float(self._most[row]),
            )
            for row, name in enumerate(self.names)
        }

    def _widen(self, least: Values, most: Values) -> None:
        np.minimum(self._least, least, out=self._least)
        np.maximum(self._most, most, out=self._most)

    def _join(self, n: int, mean: Values, m2: Values, n_touched: NDArray[np.int64]) -> None:
        """Chan, Golub and LeVeque (1983): deviations of two groups, and the gap between their means."""
        if not n:
            return
        share, gap = n / (self._n + n), mean - self._mean
        self._m2 += m2 + gap * gap * self._n * share
        self._mean += gap * share
        self._n_touched += n_touched
        self._n += n


class GroupMeans:
    """Questions of one group may depend on each other, as tokens of one document do.

    Groups may come in pieces, and in any order. Memory: one number a measure and group, and the groups' names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        # A row for each group: the number of its questions, then the sum of every measure.
        self._sums: dict[str, Values] = {}

    def update(
        self, values: Mapping[str, Values], groups: Sequence[str], row: NDArray[np.int64] | None = None
    ) -> None:
        """Take in (n,) values of every measure; question i belongs to `groups[row[i]]`, or to `groups[i]`.

        ValueError where a measure is missing, or lengths differ.
        """
        columns = _columns(values, self.names)
        rows = np.arange(len(groups)) if row is None else row
        if rows.shape != columns.shape[1:]:
            raise ValueError(f"{columns.shape[1]} values and {len(rows)} rows do not match")
        weighted = [np.bincount(rows, weights=column, minlength=len(groups)) for column in columns]
        sums = np.stack([np.bincount(rows, minlength=len(groups)), *weighted], axis=1)
        for group, one in zip(groups, sums, strict=True):
            if one[0]:
                self._add(group, one)

    def merge(self, other: Self, /) -> None:
        """Take in all that `other`, of the same measures, has seen; a group may stand in both."""
        _refuse_other_names(self.names, other.names)
        for group, one in other._sums.items():
            self._add(group, one)

    def read(self) -> dict[str, MeanSums]:
        """By measure; empty without a question."""
        if not self._sums:
            return {}
        sums = np.stack(list(self._sums.values()))
        sizes, n = sums[:, 0], int(sums[:, 0].sum())
        groups, found = clustering_of(sizes), {}
        for column, name in enumerate(self.names, start=1):
            mine = sums[:, column]
            found[name] = MeanSums(
                n=n,
                groups=groups,
                mean=float(mine.sum()) / n,
                variance=variance_of_mean(mine, sizes),
                touched=_effective(sizes[mine != 0]),
                least=float((mine / sizes).min()),
                most=float((mine / sizes).max()),
            )
        return found

    def groups(self) -> dict[str, dict[str, float]]:
        """By group the sum of every measure, and `n`, the number of its questions."""
        names = ("n", *self.names)
        return {group: dict(zip(names, one.tolist(), strict=True)) for group, one in self._sums.items()}

    def _add(self, group: str, one: Values) -> None:
        if group in self._sums:
            self._sums[group] += one
        else:
            self._sums[group] = one.copy()


def _effective(sizes: Values) -> float:
    """As how many groups of equal size those of `sizes` count; 0 for none."""
    return float(sizes.sum() ** 2 / np.square(sizes).sum()) if len(sizes) else 0.0


def _columns(values: Mapping[str, Values], names: Sequence[str]) -> Values:
    if set(values) != set(names):
        raise ValueError(f"measures {', '.join(values)} are not {', '.join(names)}")
    return np.stack([np.asarray(values[name], dtype=np.float64) for name in names])


def _refuse_other_names(mine: Sequence[str], others: Sequence[str]) -> None:
    if tuple(mine) != tuple(others):
        raise ValueError(f"measures {', '.join(others)} cannot be merged into {', '.join(mine)}")
