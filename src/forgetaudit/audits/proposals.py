"""What each family of remedies proposes, and in which order: each is tried before the next is thought of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from forgetaudit.audits.refitting import Examples, HeadFitting, restated
from forgetaudit.audits.search import Known
from forgetaudit.audits.trials import Trials, Tried
from forgetaudit.engine.measured_calls import tracked_norms
from forgetaudit.models.heads import find_linear_head
from forgetaudit.models.layers import Stage
from forgetaudit.remedies import families, intruders
from forgetaudit.remedies.edits import Put
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.remedies.stitching import stitched
from forgetaudit.values import NotMeasured

__all__ = ["Proposals"]

# A network of more parts is rolled back in so many steps at most.
_MOST_ROUNDS = 3
_STITCHED_ALPHAS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Tries the remedies of one family after the other; each says why, where it has nothing to try.

    `keep_target` is the most target accuracy that may be lost, as far as the half that is searched tells. An adapter's
    mixtures are its strengths.
    """

    trials: Trials
    keep_target: float
    adapter: bool

    def propose(self, chosen: Sequence[str]) -> Iterator[str]:
        """Every remedy of the `chosen` families; what is said of those that had nothing to try."""
        every = {
            "mixture": self._mixture,
            "stages": self._stages,
            "ramp": self._ramp,
            "rollback": self._rollback,
            "intruders": self._intruders,
            "buffers": self._buffers,
            "head": self._head,
            "stitch": self._stitch,
        }
        for name in chosen:
            if reason := every[name]():
                yield f"{name}: nothing to try, {reason}"

    def _mixture(self) -> str | None:
        self.trials.attempt(
            families.mixtures(sorted(self.trials.moved), family="adapter" if self.adapter else "mixture")
        )
        return None

    def _ramp(self) -> str | None:
        self.trials.attempt(families.ramps(self.trials.depths))
        return "there are no two blocks" if self.trials.depths.n_blocks < 2 else None

    def _stages(self) -> str | None:
        """By coordinate descent: one stage at less, the best of them kept, then another stage."""
        moved = {self.trials.depths.stage[slot] for slot in self.trials.moved}
        if len(moved) < 2:
            return "only one stage changed"
        settled: dict[Stage, float] = {}
        for _ in moved:
            options = [
                {**settled, stage: alpha}
                for stage in self.trials.depths.stages()
                if stage in moved - settled.keys()
                for alpha in families.STAGE_ALPHAS
            ]
            proposed = {
                one.name: alphas
                for alphas in options
                for one in [families.staged(alphas, self.trials.depths)]
            }
            tried = self.trials.attempt([families.staged(alphas, self.trials.depths) for alphas in options])
            best = self._best(tried)
            # Without target data less is always better, and the way ends in base.
            if best is None or best.target is None:
                break
            settled = proposed[best.remedy.name]
        return None

    def _rollback(self) -> str | None:
        """Greedily: the part whose rollback wins back most, among those that keep the target, then one more."""
        parts = self.trials.parts_that_moved()
        rolled: tuple[str, ...] = ()
        for _ in range(min(_MOST_ROUNDS, len(parts) - 1)):
            sets = [(*rolled, part) for part in parts if part not in rolled]
            proposed = {families.rollback(one, self.trials.depths).name: one for one in sets}
            best = self._best(
                self.trials.attempt([families.rollback(one, self.trials.depths) for one in sets])
            )
            if best is None:
                break
            rolled = proposed[best.remedy.name]
        return "only one part changed" if len(parts) < 2 else None

    def _best(self, tried: Sequence[Tried]) -> Tried | None:
        """The one with the most source accuracy, among those that lose little of the target."""
        kept = [
            one
            for one in tried
            if one.target is None or one.target.accuracy.base - one.target.accuracy.tuned <= self.keep_target
        ]
        return max(kept, key=lambda one: one.source.accuracy.tuned, default=None)

    def _intruders(self) -> str | None:
        found = intruders.find(
            self.trials.base, self.trials.tuned, self.trials.moved & self.trials.editable, self.trials.depths
        )
        self.trials.attempt(list(intruders.damped(found)))
        if found.found:
            return None
        return f"no direction of {found.n_matrices} changed matrices is far from all of base's"

    def _buffers(self) -> str | None:
        """Base's statistics, and those of the searched examples, for tuned and for every mixture."""
        self.trials.attempt([families.buffers(self.trials.depths)])
        slots = [
            f"{path}.{name}"
            for path in tracked_norms(self.trials.network.skeleton)
            for name in ("running_mean", "running_var")
        ]
        if not slots:
            return (
                "no normalisation keeps statistics"
                if not self.trials.depths.buffers & self.trials.moved
                else None
            )
        if missing := [slot for slot in slots if slot not in self.trials.editable]:
            return f"{missing[0]} is not a tensor of tuned's file"
        sources = [_examples(self.trials, known) for known in _known(self.trials)]
        on = " and ".join(known.data.plan.name for known in _known(self.trials))
        for mixture in _mixtures(self.trials, families.ALPHAS[:0:-1]):
            taken = restated(self.trials.mixture(mixture), sources)
            self.trials.attempt(
                [
                    replace(
                        mixture,
                        name=f"{mixture.name}, statistics again" if mixture.strengths else "statistics again",
                        family="buffers",
                        edits={slot: Put(value) for slot, value in taken.items()},
                        said=f"BatchNorm's running statistics were taken again on the searched half of {on}",
                    )
                ]
            )
        return None

    def _head(self) -> str | None:
        if not self.trials.depths.head & self.trials.moved:
            return "the head is base's" if self.trials.depths.head else "the network has no head"
        self.trials.attempt([families.head(self.trials.depths)])
        return None

    def _stitch(self) -> str | None:
        """A head on the features of tuned and of mixtures: base's scores on source data, tuned's on target data."""
        path = find_linear_head(self.trials.network.skeleton, self.trials.layers)
        if isinstance(path, NotMeasured):
            return path.reason
        known = _known(self.trials)
        if any(one.data.task_name != "classification" for one in known):
            return "it is for classifiers"
        slots = [slot for slot in (f"{path}.weight", f"{path}.bias") if slot in self.trials.tuned.tensors]
        if missing := [slot for slot in slots if slot not in self.trials.editable]:
            return f"{missing[0]} is shared, or not the same tensor in tuned's file"
        fitting = HeadFitting(
            path,
            [
                (_examples(self.trials, one), variant)
                for one, variant in zip(known, (self.trials.base, self.trials.tuned), strict=False)
            ],
        )
        names = [one.data.plan.name for one in known]
        for mixture in _mixtures(self.trials, _STITCHED_ALPHAS):
            variant = self.trials.mixture(mixture)
            means = fitting.sums(variant)
            if isinstance(means, NotMeasured):
                return means.reason
            self.trials.attempt(list(stitched(mixture, variant, path, dict(zip(names, means, strict=True)))))
        return None


def _mixtures(trials: Trials, alphas: Sequence[float]) -> Iterator[Remedy]:
    """Tuned itself for α = 1, and mixtures."""
    for alpha in alphas:
        if alpha == 1:
            yield Remedy(name="tuned", family="mixture", strengths={})
        elif alpha > 0:
            yield Remedy(
                name=f"mixture {alpha:g}",
                family="mixture",
                strengths=dict.fromkeys(sorted(trials.moved), alpha),
            )


def _known(trials: Trials) -> list[Known]:
    """Source data, and target data where there are any."""
    return [trials.source, *([] if trials.target is None else [trials.target])]


def _examples(trials: Trials, known: Known) -> Examples:
    return Examples(
        network=trials.network, data=known.data, settings=trials.settings, progress=trials.progress
    )
