"""What is asked of a remedy, and which of those that were tried is chosen."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from forgetaudit.audits.repair.search import BaselineAnswers, compared, limits_of
from forgetaudit.audits.repair.trials import Trial
from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.trajectory import pareto_front
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent, estimate_from
from forgetaudit.report.repair import RepairCandidate, RepairEnd

__all__ = ["Candidates", "Requirements"]

_GOOD_CHANCE = 0.8
_ABSENT = Absent(not_measured="no target data were passed (--target)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What is asked of a remedy: at most `keep_target` of target accuracy lost, with `confidence` (one-sided).

    At least `win_back` of the lost points; None: as many as there are to be had, surely more than none.
    """

    keep_target: float
    win_back: float | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """All that was tried on the searching half, and what base and tuned answered there."""

    tried: Sequence[Trial]
    source: BaselineAnswers
    target: BaselineAnswers | None
    asked: Requirements

    def choose(self) -> Trial | None:
        """The best of those allowed: with a target what can be hoped to win back most, else what changes tuned least.

        What lies on the verge of what is asked is confirmed by the other half in one case of two. So a gain counts as
        much as the chance that it will be confirmed, and of small changes those count that have a good one.
        """
        allowed = [one for one in self.tried if self.allows(one)]
        if not allowed:
            return None
        if self.target is not None:
            return max(allowed, key=lambda one: (_gain(one) * self._chance(one), -one.change))
        hopeful = [one for one in allowed if self._chance(one) >= _GOOD_CHANCE]
        if not hopeful:
            return max(allowed, key=self._chance)
        return min(hopeful, key=lambda one: (one.change, -one.source.accuracy.tuned))

    def _chance(self, one: Trial) -> float:
        """That another half as large confirms what is asked; normal, and only good for a choice."""
        chance = 1.0
        if self.asked.win_back is not None:
            needed = self.asked.win_back * (one.source.accuracy.base - _right(self.source, "tuned"))
            chance *= self._confirmed(one.gain, _gain(one) - needed, limit=False)
        if one.target is not None:
            within = self.asked.keep_target - (one.target.accuracy.base - one.target.accuracy.tuned)
            chance *= self._confirmed(one.target, within, limit=True)
        return chance

    def _confirmed(self, section: SourceSection, margin: float, *, limit: bool) -> float:
        """That the estimate on another half, or its one-sided limit, stays on its side of what lies `margin` away."""
        z = z_quantile(self.asked.confidence, 1)
        found = limits_of(section, confidence=self.asked.confidence, sides=1)
        error = (found.high - found.estimate) / z
        if limit:
            margin -= z * error
        return NormalDist().cdf(margin / (math.sqrt(2) * error))

    def allows(self, one: Trial) -> bool:
        """Whether the searching half bears out all that is asked."""
        share, asked = self.won_back(one), self.asked
        if share is None or (asked.win_back is not None and share < asked.win_back):
            return False
        if limits_of(one.gain, confidence=asked.confidence, sides=1).high >= 0:
            return False
        if one.target is None:
            return True
        return limits_of(one.target, confidence=asked.confidence, sides=1).high <= asked.keep_target

    def won_back(self, one: Trial) -> float | None:
        """The share of the lost points; None where none were lost."""
        base = one.source.accuracy.base
        tuned = _right(self.source, "tuned")
        return None if base <= tuned else (one.source.accuracy.tuned - tuned) / (base - tuned)

    def table(self) -> tuple[RepairCandidate, ...]:
        """In the report's form; the front is that of base, tuned and all that was tried."""
        ends = [(_right(self.source, name), self._other(name)) for name in ("base", "tuned")]
        front = pareto_front([*ends, *(one.both for one in self.tried)])[len(ends) :]
        return tuple(self._row(one, on_front=on) for one, on in zip(self.tried, front, strict=True))

    def ends(self) -> Iterator[RepairEnd]:
        """Base and tuned in the report's form."""
        names: tuple[Literal["base", "tuned"], ...] = ("base", "tuned")
        for name in names:
            target = _ABSENT if self.target is None else _right(self.target, name)
            yield RepairEnd(name=name, accuracy=_right(self.source, name), target=target)

    def lost(self) -> SourceSection:
        """Base against tuned."""
        outcomes = self.source.outcomes
        return compared(self.source, outcomes["base"], outcomes["tuned"], "tuned")

    def _other(self, name: str) -> float:
        """What is to be high beside source accuracy."""
        if self.target is None:
            return -1.0 if name == "base" else 0.0
        return _right(self.target, name)

    def _row(self, one: Trial, *, on_front: bool) -> RepairCandidate:
        share = self.won_back(one)
        return RepairCandidate(
            name=one.remedy.name,
            family=one.remedy.family,
            change=one.change,
            accuracy=one.source.accuracy.tuned,
            won_back=Absent(not_measured="nothing was lost on this half") if share is None else share,
            target=_ABSENT if one.target is None else one.target.accuracy.tuned,
            target_loss=_ABSENT
            if one.target is None
            else estimate_from(limits_of(one.target, confidence=0.95, sides=2)),
            on_front=on_front,
            allowed=self.allows(one),
        )


def _gain(one: Trial) -> float:
    """Of tuned's accuracy on the source data."""
    return one.gain.accuracy.tuned - one.gain.accuracy.base


def _right(known: BaselineAnswers, name: str) -> float:
    return float(known.outcomes[name].correct.mean())
