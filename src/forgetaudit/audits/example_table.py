"""What became of every example: kept for the list of the forgotten, for --examples and for --rehearsal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forgetaudit.data.batches import Batch
from forgetaudit.tasks.task import Outcomes

__all__ = ["Answer", "Record", "Records"]

_HELD_AT_ONCE = 4096


@dataclass(slots=True, kw_only=True)
class Answer:
    """One variant's sums over the questions of an example; all but sums where there is one question.

    Mutable, as an example's questions may come in several batches. `soft` are sums, too.
    """

    n_right: int = 0
    nll: float = 0.0
    predicted: int | None = None
    confidence: float | None = None
    margin: float | None = None
    soft: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Record:
    """An example: its id, its row in the data (None where that is not known), and what every variant answered.

    `wanted` is the right answer where there is one question.
    """

    id: str
    row: int | None
    group: str | None
    n: int = 0
    wanted: int | None = None
    answers: dict[str, Answer] = field(default_factory=dict)

    def n_lost(self, variant: str) -> int:
        """How many more questions base gets right than `variant`."""
        return self.answers["base"].n_right - self.answers[variant].n_right

    def surprise(self, variant: str) -> float:
        """How sure the wrong answer is; of several questions, by how much the mean log loss grew."""
        answer = self.answers[variant]
        if self.n == 1 and answer.confidence is not None:
            return answer.confidence
        return (answer.nll - self.answers["base"].nll) / max(self.n, 1)


class Records:
    """Every example in the order of its first question: some hundred bytes of memory for each.

    With `most_lost` only so many of the surest mistakes of each variant are kept, and memory does not grow.
    """

    def __init__(self, most_lost: int | None = None) -> None:
        self._records: dict[str, Record] = {}
        self._most_lost = most_lost

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def lost(self, variant: str) -> list[Record]:
        """The examples that `variant` does worse on than base, the surest mistakes first; ties in the data's order."""
        found = [record for record in self if record.n_lost(variant) > 0]
        return sorted(found, key=lambda record: -_or_least(record.surprise(variant)))

    def take_in(
        self,
        outcomes: Mapping[str, Outcomes],
        batch: Batch,
        soft: Mapping[str, Mapping[str, NDArray[np.float64]]],
    ) -> None:
        """What every variant answered to one batch."""
        names = batch.groups or batch.ids
        self._let_go(names)
        row = next(iter(outcomes.values())).row
        rows = np.arange(len(batch)) if row is None else row
        sizes = np.bincount(rows, minlength=len(batch))
        first = np.searchsorted(rows, np.arange(len(batch)))
        records = [self._record(name, batch, at) for at, name in enumerate(names)]
        for at, record in enumerate(records):
            record.n += int(sizes[at])
        for variant, found in outcomes.items():
            right = np.bincount(rows, weights=found.correct, minlength=len(batch))
            nll = np.bincount(rows, weights=found.nll, minlength=len(batch))
            sums = {
                name: np.bincount(rows, weights=values, minlength=len(batch))
                for name, values in soft.get(variant, {}).items()
            }
            for at, record in enumerate(records):
                answer = record.answers.setdefault(variant, Answer())
                answer.n_right += int(right[at])
                answer.nll += float(nll[at])
                for name, values in sums.items():
                    answer.soft[name] = answer.soft.get(name, 0.0) + float(values[at])
                if row is None:
                    question = int(first[at])
                    answer.predicted = int(found.predicted[question])
                    if found.confidence is not None:
                        answer.confidence = float(found.confidence[question])
                    if found.margin is not None:
                        answer.margin = float(found.margin[question])
                    record.wanted = _wanted(found, batch, question)

    def _let_go(self, under_way: Sequence[str]) -> None:
        """All but the surest mistakes and what the batch at hand may add to."""
        if self._most_lost is None or len(self._records) < _HELD_AT_ONCE:
            return
        variants = {name for record in self for name in record.answers if name != "base"}
        kept = {record.id for name in variants for record in self.lost(name)[: self._most_lost]}
        kept.update(under_way)
        self._records = {name: record for name, record in self._records.items() if name in kept}

    def _record(self, name: str, batch: Batch, at: int) -> Record:
        if name not in self._records:
            self._records[name] = Record(
                id=name,
                row=None if batch.rows is None else batch.rows[at],
                group=None if batch.clusters is None else batch.clusters[at],
            )
        return self._records[name]


def _wanted(found: Outcomes, batch: Batch, question: int) -> int | None:
    if found.wanted is not None:
        return int(found.wanted[question])
    return None if batch.labels is None else int(batch.labels[question])


def _or_least(value: float) -> float:
    return value if np.isfinite(value) else -np.inf
