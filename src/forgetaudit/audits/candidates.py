"""Which remedies are tried, what each came to on the searching half, and which one is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from forgetaudit.audits.network import Network
from forgetaudit.audits.search import Known, answers_of, compared, limits_of
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.inference.trajectory import pareto_front
from forgetaudit.models.layers import find_layers
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.remedies import families
from forgetaudit.remedies.depth import Depths, find_depths
from forgetaudit.remedies.remedy import Remedy, applied, change_of, moved_norms
from forgetaudit.remedies.rollback import moved_slots, tied_slots
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent, estimate_from
from forgetaudit.report.repair import RepairCandidate

__all__ = ["Asked", "Search", "Tried"]

# A network of more parts is rolled back in so many steps at most.
_MOST_ROUNDS = 3
_ALL_LAYERS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a remedy: at most `keep_target` of target accuracy lost, with `confidence` (one-sided).

    At least `win_back` of the lost points; None: as many as there are to be had, surely more than none.
    """

    keep_target: float
    win_back: float | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One remedy on the searching half: `source` against base, `gain` against tuned on the same data.

    `target` is against tuned, where there are target data.
    """

    remedy: Remedy
    change: float
    source: SourceSection
    gain: SourceSection
    target: SourceSection | None

    @property
    def both(self) -> tuple[float, float]:
        """What is to be high: source accuracy, and target accuracy or, without, nearness to tuned."""
        return self.source.accuracy.tuned, -self.change if self.target is None else self.target.accuracy.tuned


class Search:
    """Tries remedies on one half of the examples. `tried` grows; two models and one changed copy are in memory."""

    def __init__(
        self,
        network: Network,
        source: Known,
        target: Known | None,
        settings: Settings,
        progress: Progress,
        *,
        stored: Mapping[str, torch.dtype],
    ) -> None:
        self.base, self.tuned = network.variants[:2]
        self._network, self._source, self._target = network, source, target
        self._settings, self._progress, self._stored = settings, progress, stored
        layers = find_layers(network.skeleton, most=_ALL_LAYERS)
        self.depths: Depths = find_depths(
            slots(network.skeleton), layers, [path for path, _ in network.skeleton.named_modules()]
        )
        self.moved = moved_slots(self.base, self.tuned)
        self._ties = tied_slots(self.base, self.tuned)
        self._norms = moved_norms(self.base, self.tuned)
        self._seen: set[tuple[float, ...]] = set()
        self.tried: list[Tried] = []

    def run(self, chosen: Sequence[str], asked: Asked, *, adapter: bool) -> None:
        """Every remedy of the chosen families."""
        plain: list[Remedy] = []
        if "mixture" in chosen:
            plain += families.mixtures(sorted(self.moved), family="adapter" if adapter else "mixture")
        if "ramp" in chosen:
            plain += families.ramps(self.depths)
        if "buffers" in chosen:
            plain.append(families.buffers(self.depths))
        if "head" in chosen:
            plain.append(families.head(self.depths))
        self._try(plain)
        if "rollback" in chosen:
            self._roll_back(asked)

    def variant(self, remedy: Remedy) -> Variant:
        """The weights that it makes, rounded as they would be in a file."""
        return applied(remedy, self.base, self.tuned, stored=self._stored)

    @property
    def has_target(self) -> bool:
        """Whether there are target data."""
        return self._target is not None

    def choose(self, asked: Asked) -> Tried | None:
        """The best of those allowed: with a target what wins back most, without it what changes tuned least."""
        allowed = [one for one in self.tried if self.allows(one, asked)]
        if not allowed:
            return None
        if self._target is None:
            return min(allowed, key=lambda one: (one.change, -one.source.accuracy.tuned))
        return max(allowed, key=lambda one: (one.source.accuracy.tuned, -one.change))

    def allows(self, one: Tried, asked: Asked) -> bool:
        """Whether the searching half bears out all that is asked."""
        share = self.won_back(one)
        if share is None or (asked.win_back is not None and share < asked.win_back):
            return False
        if limits_of(one.gain, confidence=asked.confidence, sides=1).high >= 0:
            return False
        return one.target is None or self._keeps(one.target, asked)

    def won_back(self, one: Tried) -> float | None:
        """The share of the lost points; None where none were lost."""
        base = one.source.accuracy.base
        tuned = float(self._source.outcomes["tuned"].correct.mean())
        return None if base <= tuned else (one.source.accuracy.tuned - tuned) / (base - tuned)

    def table(self, asked: Asked) -> tuple[RepairCandidate, ...]:
        """All that was tried, in the report's form; the front is that of base, tuned and all of them."""
        ends = [(self._right(self._source, name), self._other(name)) for name in ("base", "tuned")]
        front = pareto_front([*ends, *(one.both for one in self.tried)])[len(ends) :]
        return tuple(self._row(one, asked, on_front=on) for one, on in zip(self.tried, front, strict=True))

    def lost(self) -> SourceSection:
        """Base against tuned on the searching half."""
        outcomes = self._source.outcomes
        return compared(self._source, outcomes["base"], outcomes["tuned"], "tuned")

    def _right(self, known: Known, name: str) -> float:
        return float(known.outcomes[name].correct.mean())

    def _other(self, name: str) -> float:
        if self._target is None:
            return -1.0 if name == "base" else 0.0
        return self._right(self._target, name)

    def _row(self, one: Tried, asked: Asked, *, on_front: bool) -> RepairCandidate:
        share = self.won_back(one)
        absent = Absent(not_measured="no target data were passed (--target)")
        return RepairCandidate(
            name=one.remedy.name,
            family=one.remedy.family,
            change=one.change,
            accuracy=one.source.accuracy.tuned,
            won_back=Absent(not_measured="nothing was lost on this half") if share is None else share,
            target=absent if one.target is None else one.target.accuracy.tuned,
            target_loss=absent
            if one.target is None
            else estimate_from(limits_of(one.target, confidence=0.95, sides=2)),
            on_front=on_front,
            allowed=self.allows(one, asked),
        )

    def _keeps(self, target: SourceSection, asked: Asked) -> bool:
        return limits_of(target, confidence=asked.confidence, sides=1).high <= asked.keep_target

    def _roll_back(self, asked: Asked) -> None:
        """Greedily: the part whose rollback wins back most, among those that keep the target, then one more."""
        parts = [part for part in self.depths.parts() if self.moved & set(self.depths.slots_of(part))]
        rolled: tuple[str, ...] = ()
        for _ in range(min(_MOST_ROUNDS, len(parts) - 1)):
            sets = [(*rolled, part) for part in parts if part not in rolled]
            found = self._try([families.rollback(one, self.depths) for one in sets])
            kept = [one for one in found if one.target is None or self._loses_little(one.target, asked)]
            if not kept:
                return
            best = max(kept, key=lambda one: one.source.accuracy.tuned)
            rolled = next(one for one in sets if families.rollback(one, self.depths).name == best.remedy.name)

    def _loses_little(self, target: SourceSection, asked: Asked) -> bool:
        return target.accuracy.base - target.accuracy.tuned <= asked.keep_target

    def _try(self, remedies: Sequence[Remedy]) -> list[Tried]:
        """Those that make other weights than any before, and than base and tuned."""
        order = list(self.tuned.tensors)
        fresh: dict[str, Remedy] = {}
        for remedy in remedies:
            one = families.tied_together(remedy, self._ties, order)
            key = tuple(one.strength(slot) for slot in sorted(self.moved))
            if key and len(set(key) - {0.0}) and set(key) != {1.0} and key not in self._seen:
                self._seen.add(key)
                fresh[one.name] = one
        found, light = [], []
        ours = {id(tensor) for end in (self.base, self.tuned) for tensor in end.tensors.values()}
        for one in fresh.values():
            variant = self.variant(one)
            if all(id(tensor) in ours for tensor in variant.tensors.values()):
                light.append(variant)
            else:
                found += self._run([variant], fresh)
            # What was made for one is let go before the next is made.
            del variant
        if light:
            found += self._run(light, fresh)
        self.tried += found
        return found

    def _run(self, variants: Sequence[Variant], remedies: Mapping[str, Remedy]) -> list[Tried]:
        """What makes no copies runs together, and shares what it has in common."""
        source = answers_of(self._network, variants, self._source, self._settings, self._progress)
        target = (
            None
            if self._target is None
            else answers_of(self._network, variants, self._target, self._settings, self._progress)
        )
        base, tuned = (self._source.outcomes[name] for name in ("base", "tuned"))
        return [
            Tried(
                remedy=remedies[name],
                change=change_of(remedies[name], self._norms),
                source=compared(self._source, base, outcomes, name),
                gain=compared(self._source, tuned, outcomes, name),
                target=None
                if target is None or self._target is None
                else compared(self._target, self._target.outcomes["tuned"], target[name], name),
            )
            for name, outcomes in source.items()
        ]
