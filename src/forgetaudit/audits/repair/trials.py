"""Remedies run on the half of the examples that is searched: each weight that is new once, a few at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forgetaudit.audits.locate.rollbacks import fitting
from forgetaudit.audits.network import Network
from forgetaudit.audits.repair.search import BaselineAnswers, answers_of, compared
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.models.layers import Layer, find_layers
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.remedies import families
from forgetaudit.remedies.depth import Depths, find_depths
from forgetaudit.remedies.remedy import Remedy, applied, change_of, edited, moved_norms, strengthened
from forgetaudit.remedies.rollback import moved_slots, tied_slots
from forgetaudit.report.behaviour import SourceSection

__all__ = ["Trial", "Trials"]

_ALL_LAYERS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
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


class Trials:
    """Runs remedies of base and tuned. `tried` grows; two models and one changed copy are in memory.

    `stored` has the dtype of each slot's tensor in tuned's file, where file and network have one tensor in common.
    """

    def __init__(
        self,
        network: Network,
        source: BaselineAnswers,
        target: BaselineAnswers | None,
        settings: Settings,
        progress: Progress,
        *,
        stored: Mapping[str, torch.dtype],
    ) -> None:
        self.network, self.source, self.target = network, source, target
        self.settings, self.progress, self.stored = settings, progress, stored
        self.base, self.tuned = network.variants[:2]
        self.layers: tuple[Layer, ...] = find_layers(network.skeleton, most=_ALL_LAYERS)
        self.depths: Depths = find_depths(
            slots(network.skeleton), self.layers, [path for path, _ in network.skeleton.named_modules()]
        )
        self.moved = moved_slots(self.base, self.tuned)
        self._ties = tied_slots(self.base, self.tuned)
        self._norms = moved_norms(self.base, self.tuned)
        self._seen: set[tuple[tuple[float, ...], str]] = set()
        self._ours = {id(tensor) for end in (self.base, self.tuned) for tensor in end.tensors.values()}
        self.tried: list[Trial] = []

    @property
    def editable(self) -> frozenset[str]:
        """Slots whose tensor is their own, and is one tensor in the file as well."""
        return frozenset(slot for slot in self.stored if len(self._ties[slot]) == 1)

    def parts_that_moved(self) -> tuple[str, ...]:
        """Of the network, in its order."""
        return tuple(part for part in self.depths.parts() if self.moved & set(self.depths.slots_of(part)))

    def variant(self, remedy: Remedy) -> Variant:
        """The weights that it makes, rounded as they would be in a file."""
        return applied(remedy, self.base, self.tuned, stored=self.stored)

    def mixture(self, remedy: Remedy) -> Variant:
        """The same without the edits."""
        return strengthened(remedy, self.base, self.tuned, stored=self.stored)

    def attempt(self, remedies: Sequence[Remedy]) -> list[Trial]:
        """Those that make other weights than any before, and than base and tuned, in no certain order."""
        fresh = list(self._fresh(remedies))
        found: list[Trial] = []
        together: list[tuple[Remedy, Variant]] = []
        for alike in _by_strengths(fresh):
            mixture = self.mixture(alike[0])
            if len(alike) == 1 and not alike[0].edits and self._takes_nothing(mixture):
                together.append((alike[0], mixture))
                continue
            for few in self._fitting(alike):
                found += self._run([(one, self._edited(one, mixture)) for one in few])
            # What was made for these is let go before the next is made.
            del mixture
        most = fitting(self.network, self.source.data, self.settings) if together else 1
        for start in range(0, len(together), most):
            found += self._run(together[start : start + most])
        self.tried += found
        return found

    def _fresh(self, remedies: Sequence[Remedy]) -> Iterator[Remedy]:
        order = list(self.tuned.tensors)
        for remedy in remedies:
            one = families.tied_together(remedy, self._ties, order)
            key = tuple(one.strength(slot) for slot in sorted(self.moved))
            makes_an_end = not one.edits and (not key or set(key) in ({0.0}, {1.0}))
            known_by = (key, one.name if one.edits else "")
            if not makes_an_end and known_by not in self._seen:
                self._seen.add(known_by)
                yield one

    def _takes_nothing(self, variant: Variant) -> bool:
        return all(id(tensor) in self._ours for tensor in variant.tensors.values())

    def _edited(self, remedy: Remedy, mixture: Variant) -> Variant:
        return edited(remedy, mixture, self.base, self.tuned, stored=self.stored)

    def _fitting(self, remedies: Sequence[Remedy]) -> Iterator[list[Remedy]]:
        """So many at a time that what they edit is no more than one model."""
        room = sum(_n_bytes(tensor) for tensor in {id(t): t for t in self.tuned.tensors.values()}.values())
        few: list[Remedy] = []
        taken = 0
        for remedy in remedies:
            more = sum(_n_bytes(self.tuned.tensors[slot]) for slot in remedy.edits)
            if few and taken + more > room:
                yield few
                few, taken = [], 0
            few.append(remedy)
            taken += more
        yield few

    def _run(self, made: Sequence[tuple[Remedy, Variant]]) -> list[Trial]:
        """Beside each other: what they have in common runs once."""
        variants = [variant for _, variant in made]
        source = answers_of(self.network, variants, self.source, self.settings, self.progress)
        target = (
            None
            if self.target is None
            else answers_of(self.network, variants, self.target, self.settings, self.progress)
        )
        base, tuned = (self.source.outcomes[name] for name in ("base", "tuned"))
        return [
            Trial(
                remedy=remedy,
                change=change_of(remedy, self._norms, self.base, self.tuned),
                source=compared(self.source, base, source[remedy.name], remedy.name),
                gain=compared(self.source, tuned, source[remedy.name], remedy.name),
                target=None
                if target is None or self.target is None
                else compared(self.target, self.target.outcomes["tuned"], target[remedy.name], remedy.name),
            )
            for remedy, _ in made
        ]


def _by_strengths(remedies: Sequence[Remedy]) -> list[list[Remedy]]:
    """Those of one mixture together, so that it is made once."""
    groups: dict[tuple[tuple[str, float], ...], list[Remedy]] = {}
    for remedy in remedies:
        key = tuple(sorted((slot, strength) for slot, strength in remedy.strengths.items() if strength != 1))
        groups.setdefault(key, []).append(remedy)
    return list(groups.values())


def _n_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
