"""What every part of the network does to the answers: rolled back, kept alone, and its Shapley value."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgetaudit.audits.locate.example_scores import ExampleAnswers, paired_drop, paired_increase
from forgetaudit.audits.locate.parts import NetworkPart, Stretch
from forgetaudit.audits.locate.rollbacks import Mixture, Mixtures
from forgetaudit.inference.clusters import clustering_of, variance_of_mean
from forgetaudit.inference.shapley import ShapleyDesign, Share, exact_design, sampled_design, share_of
from forgetaudit.report.locate import Effect, PartRow, ResetRow, Sums
from forgetaudit.report.parts import Absent, Estimate, Measured, estimate_from
from forgetaudit.values import Interval, NotMeasured

__all__ = ["Blame", "design_for", "wanted_mixtures"]

CONFIDENCE = 0.95
MOST_COALITIONS = 64
"""Up to so many, all are evaluated, and no order is left to chance."""

NO_LIMITS = "shapley-sampled-without-limits"

NO_SHAPLEY = Absent(not_measured="not asked for (--permutations 0)")


def design_for(n_players: int, permutations: int, seed: int) -> ShapleyDesign | None:
    """All coalitions of few players; else that many orders, in pairs; None where none are asked for."""
    if permutations == 0:
        return None
    if 2**n_players <= MOST_COALITIONS:
        return exact_design(n_players)
    return sampled_design(n_players, max(permutations // 2, 1), seed)


def wanted_mixtures(
    players: Sequence[NetworkPart], stretches: Sequence[Stretch], design: ShapleyDesign | None
) -> set[Mixture]:
    """Every mixture that some number of the report is about."""
    moved = frozenset().union(*(player.slots for player in players))
    found = {moved - player.slots for player in players} | {player.slots for player in players}
    found |= {moved - stretch.slots for stretch in stretches}
    if design is not None:
        found |= {_mixture(mask, players) for mask in design.coalitions}
    return found


def _mixture(mask: int, players: Sequence[NetworkPart]) -> Mixture:
    return frozenset().union(*(player.slots for at, player in enumerate(players) if mask >> at & 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Reads every effect off the answers of all mixtures."""

    players: tuple[NetworkPart, ...]
    mixtures: Mixtures
    design: ShapleyDesign | None

    @property
    def answered(self) -> ExampleAnswers:
        """By variant and example."""
        return self.mixtures.answered

    def rows(self, relative: Mapping[str, float | Absent]) -> Iterator[PartRow]:
        """A row for each player; `relative` has the relative weight distance of each."""
        for at, player in enumerate(self.players):
            rolled_back = self._rolled_back(player.slots)
            shapley, strict = self._shapley(at, self.answered.right, -1), self._strict_shapley(at)
            sure = rolled_back.sure and rolled_back.accuracy > self.answered.accuracy("tuned")
            yield PartRow(
                name=player.name,
                kind=player.kind,
                n_tensors=len(player.slots),
                relative=relative[player.name],
                rolled_back=rolled_back,
                kept_alone=self._kept_alone(player.slots),
                shapley=shapley,
                shapley_nll=self._shapley(at, self.answered.nll, 1),
                blamed=sure if strict is None else strict.low > 0,
            )

    def resets(self, stretches: Sequence[Stretch]) -> Iterator[ResetRow]:
        """A row for each end of the network that was reset."""
        for stretch in stretches:
            name = self.mixtures.name(self._moved - stretch.slots)
            yield ResetRow(
                end=stretch.end,
                layers=stretch.layers,
                accuracy=self.answered.accuracy(name),
                gain=estimate_from(paired_drop(self.answered, name, "tuned", CONFIDENCE)),
            )

    def sums(self, rows: Sequence[PartRow]) -> Sums:
        """What single effects add up to, beside the whole."""
        base, tuned = self.answered.accuracy("base"), self.answered.accuracy("tuned")
        shapley = [row.shapley.estimate for row in rows if not isinstance(row.shapley, Absent)]
        return Sums(
            drop=base - tuned,
            rolled_back=math.fsum(row.rolled_back.accuracy - tuned for row in rows),
            kept_alone=math.fsum(base - row.kept_alone.accuracy for row in rows),
            shapley=math.fsum(shapley) if len(shapley) == len(rows) else NO_SHAPLEY,
        )

    @property
    def _moved(self) -> Mixture:
        return frozenset().union(*(player.slots for player in self.players))

    @property
    def _strict(self) -> float:
        """The confidence of one statement of as many as there are players, so that all hold (Bonferroni)."""
        return 1 - (1 - CONFIDENCE) / len(self.players)

    def _rolled_back(self, slots: Mixture) -> Effect:
        return self._effect(self.mixtures.name(self._moved - slots), first=None)

    def _kept_alone(self, slots: Mixture) -> Effect:
        return self._effect(self.mixtures.name(slots), first="base")

    def _effect(self, name: str, *, first: str | None) -> Effect:
        """Of a mixture over tuned, or from `first` to it."""
        pair = (name, "tuned") if first is None else (first, name)
        strict = paired_drop(self.answered, *pair, self._strict)
        return Effect(
            accuracy=self.answered.accuracy(name),
            change=estimate_from(paired_drop(self.answered, *pair, CONFIDENCE)),
            nll=estimate_from(paired_increase(self.answered, *pair, CONFIDENCE)),
            sure=isinstance(strict, Interval) and not strict.low <= 0 <= strict.high,
        )

    def _strict_shapley(self, at: int) -> Interval | None:
        if self.design is None:
            return None
        found = self._share(self.design, at, self.answered.right, -1, self._strict)
        return found if isinstance(found, Interval) else None

    def _shapley(self, at: int, values: Mapping[str, NDArray[np.float64]], sign: int) -> Measured:
        """The player's share, of drop (`sign` −1 of the right answers) or of log loss."""
        if self.design is None:
            return NO_SHAPLEY
        found = self._share(self.design, at, values, sign, CONFIDENCE)
        mean = self._mean_share(self.design, at, values, sign)
        if isinstance(found, NotMeasured) and not self.design.exact and math.isfinite(mean):
            # The share is unbiased however few the draws are; it is their limits that too few do not give.
            return Estimate(kind="diagnostic", estimate=mean, method=NO_LIMITS)
        return estimate_from(found)

    def _mean_share(
        self, design: ShapleyDesign, at: int, values: Mapping[str, NDArray[np.float64]], sign: int
    ) -> float:
        """The player's share without limits, in the unit of `values` a question."""
        total = math.fsum(
            sign * weight * float(values[self.mixtures.name(_mixture(mask, self.players))].sum())
            for draw in design.draws
            for mask, weight in draw[at].items()
        )
        return total / len(design.draws) / self.answered.n

    def _share(
        self,
        design: ShapleyDesign,
        at: int,
        values: Mapping[str, NDArray[np.float64]],
        sign: int,
        confidence: float,
    ) -> Interval | NotMeasured:
        draws, total = [], np.zeros(len(self.answered.sizes))
        for draw in design.draws:
            mine = np.zeros_like(total)
            for mask, weight in draw[at].items():
                mine += sign * weight * values[self.mixtures.name(_mixture(mask, self.players))]
            if not np.isfinite(mine).all():
                return NotMeasured("an answer has no finite log loss")
            draws.append(float(mine.sum()) / self.answered.n)
            total += mine / len(design.draws)
        # A right answer is 0 or 1, so that what a player adds lies in [−1, 1]; a log loss has no such bound.
        bounded = values is self.answered.right
        share = Share(
            draws=tuple(draws),
            variance_of_examples=variance_of_mean(total, self.answered.sizes),
            examples=clustering_of(self.answered.sizes).effective if bounded else math.inf,
        )
        span = 2.0 if bounded else math.inf
        return share_of(share, exact=design.exact, confidence=confidence, span=span)
