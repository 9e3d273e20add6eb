"""What a stream of examples dissolves into: sums of every variant against base, and of variants against each other."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from forgetaudit.engine.stream import Step
from forgetaudit.stats.cka import moments_for
from forgetaudit.stats.confusion import Confusion
from forgetaudit.stats.flips import Flips
from forgetaudit.stats.moments import PairMoments
from forgetaudit.stats.paired import PairedDifference
from forgetaudit.stats.sketch import SketchMoments
from forgetaudit.tasks.task import Outcomes, Task

__all__ = ["BASE", "Ledger", "Tally"]

BASE = "base"


class Tally:
    """The sums of one tuned variant against base. Mutable, as accumulators are."""

    def __init__(self, n_classes: int, seed: int) -> None:
        self.flips = Flips(n_classes)
        self.log_loss = PairedDifference()
        self.n_without_answer = {BASE: 0, "tuned": 0}
        self.moments: dict[str, PairMoments | SketchMoments] = {}
        self._seed = seed

    def update(self, base: Outcomes, tuned: Outcomes, labels: Tensor) -> None:
        """Take in what both answered to the same examples."""
        self.flips.update(torch.as_tensor(base.correct), torch.as_tensor(tuned.correct), labels)
        self.log_loss.update(torch.as_tensor(base.nll), torch.as_tensor(tuned.nll))
        self.n_without_answer[BASE] += int((base.predicted < 0).sum())
        self.n_without_answer["tuned"] += int((tuned.predicted < 0).sum())

    def update_features(self, layer: str, base: Tensor, tuned: Tensor) -> None:
        """Take in pooled features (n, d) of one layer."""
        if layer not in self.moments:
            self.moments[layer] = moments_for(base.shape[1], tuned.shape[1], seed=self._seed)
        self.moments[layer].update(base, tuned)


class Ledger:
    """All sums of one data set. Memory does not grow with the number of examples.

    `tallies` has each tuned variant against base, `rivals` each pair of tuned variants, `confusion` base's
    answers against the labels; empty before the first step.
    """

    def __init__(self, tuned: Sequence[str], task: Task, seed: int) -> None:
        self.tallies: dict[str, Tally] = {}
        self.rivals: dict[tuple[str, str], Flips] = {pair: Flips() for pair in combinations(tuned, 2)}
        self.confusion: Confusion | None = None
        self._tuned, self._task, self._seed = tuple(tuned), task, seed

    def take_in(self, step: Step) -> None:
        """Dissolve one step: every variant's outputs are scored once. DataError, ModelError from the task."""
        outcomes = {name: self._task.score(outputs, step.batch) for name, outputs in step.outputs.items()}
        labels = step.batch.labels
        assert labels is not None  # noqa: S101
        self._begin(outcomes[BASE].n_classes)
        assert self.confusion is not None  # noqa: S101
        self.confusion.update(step.batch.ids, labels, torch.as_tensor(outcomes[BASE].predicted))
        for name, tally in self.tallies.items():
            tally.update(outcomes[BASE], outcomes[name], labels)
            for layer, features in step.features.items():
                tally.update_features(layer, features[BASE], features[name])
        self._compare_rivals(outcomes)

    def _begin(self, n_classes: int) -> None:
        if self.confusion is None:
            self.confusion = Confusion(n_classes)
            self.tallies = {name: Tally(n_classes, self._seed) for name in self._tuned}

    def _compare_rivals(self, outcomes: Mapping[str, Outcomes]) -> None:
        for (first, second), flips in self.rivals.items():
            flips.update(torch.as_tensor(outcomes[first].correct), torch.as_tensor(outcomes[second].correct))
