"""What a stream of examples dissolves into: sums of every variant against base, and of variants against each other."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch, placed
from forgetaudit.engine.stream import Step
from forgetaudit.stats.calibration import Calibration
from forgetaudit.stats.cka import moments_for
from forgetaudit.stats.confusion import Confusion
from forgetaudit.stats.flips import FlipCounts, Flips
from forgetaudit.stats.means import GroupMeans, Means, MeanSums
from forgetaudit.stats.moments import PairMoments
from forgetaudit.stats.paired import PairedDifference
from forgetaudit.stats.sketch import SketchMoments
from forgetaudit.tasks.task import Outcomes, Task

__all__ = ["BASE", "Answers", "EvaluationSums", "ScoreSums", "VariantSums", "Watcher"]

BASE = "base"

Soft = Mapping[str, NDArray[np.float64]]
Watcher = Callable[[Mapping[str, Outcomes], Batch, Mapping[str, Soft]], None]
"""Told every variant's outcomes for a batch, and the soft measures of every tuned one."""


class ScoreSums:
    """One further score of base and tuned. `flips` counts where `binary`: every value so far was 0 or 1."""

    def __init__(self) -> None:
        self.paired = PairedDifference()
        self.flips = Flips()
        self.binary = True

    def update(self, base: NDArray[np.float64], tuned: NDArray[np.float64]) -> None:
        """Take in (n,) values of both."""
        self.paired.update(torch.as_tensor(base), torch.as_tensor(tuned))
        self.binary = self.binary and bool(np.isin(base, (0, 1)).all() and np.isin(tuned, (0, 1)).all())
        if self.binary:
            self.flips.update(torch.as_tensor(base == 1), torch.as_tensor(tuned == 1))


class VariantSums:
    """The sums of one variant against another, `base`, on the same questions. Mutable, as accumulators are.

    `means` has what changed in ways that right and wrong do not tell, and where questions come in groups all that
    an interval needs of them: `flip` (1 forgotten, −1 gained), `changed` answers, `increase` in log loss; and with
    `flips` (either way) and what base gets `right` what each group says. Where it is `stratified`, the groups are fixed
    strata of independent questions, whose `strata` of flips are counted apart and nothing else.
    """

    def __init__(self, n_labels: int, seed: int, *, stratified: bool = False) -> None:
        self.strata: dict[str, Flips] = {}
        self._stratified = stratified
        self.flips = Flips(n_labels)
        self.log_loss = PairedDifference()
        self.scores: dict[str, ScoreSums] = {}
        self.calibration = {BASE: Calibration(), "tuned": Calibration()}
        self.n_changed = 0
        self.n_without_answer = {BASE: 0, "tuned": 0}
        self.moments: dict[str, PairMoments | SketchMoments] = {}
        self.n_rows: Counter[str] = Counter()
        self._means: Means | None = None
        self._group_means: GroupMeans | None = None
        self._seed = seed

    def update(self, base: Outcomes, tuned: Outcomes, batch: Batch, soft: Soft) -> None:
        """Take in what both answered to the same questions."""
        labels = batch.labels if self.flips.n_classes else None
        self.flips.update(torch.as_tensor(base.correct), torch.as_tensor(tuned.correct), labels)
        if self._stratified:
            self._update_strata(base, tuned, batch.clusters or ())
            batch = replace(batch, clusters=None)
        self.log_loss.update(torch.as_tensor(base.nll), torch.as_tensor(tuned.nll))
        for name, values in base.scores.items():
            self.scores.setdefault(name, ScoreSums()).update(values, tuned.scores[name])
        for side, outcomes in ((BASE, base), ("tuned", tuned)):
            if outcomes.confidence is not None:
                self.calibration[side].update(outcomes.confidence, outcomes.correct)
        changed = base.predicted != tuned.predicted
        self.n_changed += int(changed.sum())
        self.n_without_answer[BASE] += int((base.predicted < 0).sum())
        self.n_without_answer["tuned"] += int((tuned.predicted < 0).sum())
        self._update_means(base, tuned, changed, batch, soft)

    def update_features(self, layer: str, base: Tensor, tuned: Tensor) -> None:
        """Take in pooled features (n, d) of one layer."""
        if layer not in self.moments:
            self.moments[layer] = moments_for(base.shape[1], tuned.shape[1], seed=self._seed)
        self.moments[layer].update(base, tuned)
        self.n_rows[layer] += len(base)

    @property
    def grouped(self) -> bool:
        """Whether questions come in groups, so that they are not independent of each other."""
        return self._group_means is not None

    def means(self) -> dict[str, MeanSums]:
        """What was measured beside right and wrong, by name."""
        sums = self._group_means or self._means
        return {} if sums is None else sums.read()

    def group_flips(self) -> dict[str, FlipCounts]:
        """What became of the questions of each group, by its name; empty where there are no groups."""
        if self._group_means is None:
            return {}
        found = {}
        for group, sums in self._group_means.groups().items():
            flips, net, right = (round(sums[name]) for name in ("flips", "flip", "right"))
            forgotten = (flips + net) // 2
            found[group] = FlipCounts(
                kept=right - forgotten,
                forgotten=forgotten,
                gained=flips - forgotten,
                missed=round(sums["n"]) - right - (flips - forgotten),
            )
        return found

    def _update_strata(self, base: Outcomes, tuned: Outcomes, names: Sequence[str]) -> None:
        every = np.asarray(names)
        for name in dict.fromkeys(names):
            mine = every == name
            self.strata.setdefault(name, Flips()).update(
                torch.as_tensor(base.correct[mine]), torch.as_tensor(tuned.correct[mine])
            )

    def _update_means(
        self, base: Outcomes, tuned: Outcomes, changed: NDArray[np.bool_], batch: Batch, soft: Soft
    ) -> None:
        groups = batch.clusters or batch.groups
        if base.row is None and groups is None:
            if soft:
                self._means = self._means or Means(tuple(soft))
                self._means.update(soft)
            return
        values = {
            "flip": base.correct.astype(np.float64) - tuned.correct,
            "changed": changed.astype(np.float64),
            "increase": tuned.nll - base.nll,
            "flips": (base.correct != tuned.correct).astype(np.float64),
            "right": base.correct.astype(np.float64),
            **{f"score {name}": tuned.scores[name] - values for name, values in base.scores.items()},
            **soft,
        }
        self._group_means = self._group_means or GroupMeans(tuple(values))
        self._group_means.update(values, groups or batch.ids, base.row)


class Answers:
    """Base's answers beside the right ones: what is needed to tell base from guessing. Mutable.

    `confusion` where the right answers are classes of the data; else how often each answer is right.
    """

    def __init__(self) -> None:
        self.confusion: Confusion | None = None
        self.wanted: Counter[int] = Counter()
        self.n = 0
        self.n_right = 0
        self._guessed = 0.0

    def update(self, base: Outcomes, batch: Batch) -> None:
        """Take in base's outcomes for a batch."""
        n = len(base.correct)
        self.n += n
        self.n_right += int(base.correct.sum())
        self._guessed += n * (1 / base.n_classes if base.guess is None else base.guess)
        if base.wanted is None:
            self.confusion = self.confusion or Confusion(base.n_classes)
            self.confusion.update(batch.ids, batch.wanted, torch.as_tensor(base.predicted))
        else:
            values, counts = np.unique(base.wanted, return_counts=True)
            self.wanted.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    @property
    def guess(self) -> float:
        """The mean share that guessing gets right."""
        return self._guessed / self.n

    @property
    def majority_share(self) -> float:
        """How often the commonest right answer is right."""
        if self.confusion is not None:
            return self.confusion.read().majority_share
        return max(self.wanted.values(), default=0) / max(self.n, 1)


class EvaluationSums:
    """All sums of one data set. Memory does not grow with the number of examples, unless the task's own does.

    `tallies` has each tuned variant against base, `rivals` each pair of tuned variants, `answers` base's
    answers beside the right ones; empty before the first step. Of data that are not `labelled` base's answers stand for
    the right ones, so that what is lost is what changed. `watchers` are told of every batch that is scored.
    """

    def __init__(
        self,
        tuned: Sequence[str],
        task: Task,
        seed: int,
        watchers: Sequence[Watcher] = (),
        *,
        labelled: bool = True,
        stratified: bool = False,
    ) -> None:
        self.tallies: dict[str, VariantSums] = {}
        self.rivals: dict[tuple[str, str], VariantSums] = {}
        self.answers = Answers()
        self._tuned, self._task, self._seed = tuple(tuned), task, seed
        self._watchers, self._labelled = tuple(watchers), labelled
        self._stratified = stratified
        self._soft = getattr(task, "soft", None)
        # Either both or neither, as the Protocol says.
        self._keep, self._settle = getattr(task, "keep", None), getattr(task, "settle", None)

    def take_in(self, step: Step) -> None:
        """Dissolve one step: every variant's outputs are scored once. DataError, ModelError from the task."""
        if self._keep is not None:
            self._keep(step.outputs, step.batch)
            self._begin(0)
        else:
            outcomes = {name: self._task.score(outputs, step.batch) for name, outputs in step.outputs.items()}
            soft = {name: self._softly(step, name) for name in self._tuned}
            self._enter(outcomes, step.batch, soft)
        for name, tally in self.tallies.items():
            for layer, features in step.features.items():
                tally.update_features(layer, features[BASE], features[name])

    def settle(self) -> None:
        """After the last step: the answers of a task that had to see all examples first."""
        if self._settle is None:
            return
        settled = self._settle()
        asked = Batch(ids=tuple(example.id for example in settled.asked))
        self._enter(settled.outcomes, placed(asked, settled.asked), settled.soft)

    def _softly(self, step: Step, name: str) -> Soft:
        return {} if self._soft is None else self._soft(step.outputs[BASE], step.outputs[name], step.batch)

    def _enter(self, outcomes: Mapping[str, Outcomes], batch: Batch, soft: Mapping[str, Soft]) -> None:
        if not self._labelled:
            outcomes = _against_base(outcomes)
        base = outcomes[BASE]
        self._begin(base.n_classes if base.wanted is None else 0)
        self.answers.update(base, batch)
        for watcher in self._watchers:
            watcher(outcomes, batch, soft)
        for name, tally in self.tallies.items():
            tally.update(base, outcomes[name], batch, soft.get(name, {}))
        for (first, second), tally in self.rivals.items():
            tally.update(replace(outcomes[first], scores={}), outcomes[second], batch, {})

    def _begin(self, n_labels: int) -> None:
        if not self.tallies:
            self.tallies = {
                name: VariantSums(n_labels, self._seed, stratified=self._stratified) for name in self._tuned
            }
            self.rivals = {
                pair: VariantSums(0, self._seed, stratified=self._stratified)
                for pair in combinations(self._tuned, 2)
            }


def _against_base(outcomes: Mapping[str, Outcomes]) -> dict[str, Outcomes]:
    """Base's answers taken for the right ones; an answer that is none is not right."""
    wanted = outcomes[BASE].predicted
    return {
        name: replace(found, wanted=wanted, correct=(found.predicted == wanted) & (wanted >= 0))
        for name, found in outcomes.items()
    }
