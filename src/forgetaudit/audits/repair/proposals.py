"""What each family of remedies proposes, and in which order: each is tried before the next is thought of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from forgetaudit.audits.inputs import CLASSIFICATION
from forgetaudit.audits.repair.refitting import Examples, HeadFitting, reestimate_batchnorm, statistics_of
from forgetaudit.audits.repair.trials import Trial, Trials
from forgetaudit.models.heads import find_linear_head
from forgetaudit.models.layers import Stage
from forgetaudit.remedies import families, intruders
from forgetaudit.remedies.edits import Replaced
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.remedies.stitching import stitched
from forgetaudit.values import NotMeasured
from forgetaudit.wording import counted

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
        kind = "adapter" if self.adapter else "mixture"
        self.trials.attempt(families.mixtures(sorted(self.trials.moved), family=kind))
        return None

    def _ramp(self) -> str | None:
        self.trials.attempt(families.ramps(self.trials.depths))
        return "there are no two blocks" if self.trials.depths.n_blocks < 2 else None

    def _stages(self) -> str | None:
        """By coordinate descent: one stage at less, the best of them kept, then another stage."""
        depths = self.trials.depths
        moved = {depths.stage[slot] for slot in self.trials.moved}
        if len(moved) < 2:
            return "only one stage changed"
        settled: dict[Stage, float] = {}
        for _ in moved:
            left = [stage for stage in depths.stages() if stage in moved - settled.keys()]
            options = [{**settled, stage: alpha} for stage in left for alpha in families.STAGE_ALPHAS]
            best = self._best([families.staged(alphas, depths) for alphas in options])
            # Without target data less is always better, and the way ends in base.
            if best is None or best.target is None:
                break
            settled = next(one for one in options if families.staged(one, depths).name == best.remedy.name)
        return None

    def _rollback(self) -> str | None:
        """Greedily: the part whose rollback wins back most, among those that keep the target, then one more."""
        depths, parts = self.trials.depths, self.trials.parts_that_moved()
        rolled: tuple[str, ...] = ()
        for _ in range(min(_MOST_ROUNDS, len(parts) - 1)):
            options = [(*rolled, part) for part in parts if part not in rolled]
            best = self._best([families.rollback(one, depths) for one in options])
            if best is None:
                break
            rolled = next(one for one in options if families.rollback(one, depths).name == best.remedy.name)
        return "only one part changed" if len(parts) < 2 else None

    def _best(self, remedies: Sequence[Remedy]) -> Trial | None:
        """Of those that are new, the one with the most source accuracy that loses little of the target."""
        kept = [
            one
            for one in self.trials.attempt(remedies)
            if one.target is None or one.target.accuracy.base - one.target.accuracy.tuned <= self.keep_target
        ]
        return max(kept, key=lambda one: one.source.accuracy.tuned, default=None)

    def _intruders(self) -> str | None:
        trials = self.trials
        found = intruders.find(trials.base, trials.tuned, trials.moved & trials.editable, trials.depths)
        trials.attempt(list(intruders.damped(found)))
        if found.found:
            return None
        return f"no direction of {counted(found.n_matrices, 'changed matrix')} is far from all of base's"

    def _head(self) -> str | None:
        head = self.trials.depths.head
        if not head & self.trials.moved:
            return "the head is base's" if head else "the network has no head"
        self.trials.attempt([families.head(self.trials.depths)])
        return None

    def _buffers(self) -> str | None:
        """Base's statistics, and those of the searched examples, for tuned and for every mixture."""
        trials = self.trials
        trials.attempt([families.buffers(trials.depths)])
        slots = statistics_of(trials.network.skeleton)
        if not slots:
            return None if trials.depths.buffers & trials.moved else "no normalisation keeps statistics"
        if missing := [slot for slot in slots if slot not in trials.editable]:
            return f"{missing[0]} is not a tensor of tuned's file"
        sources = self._sources()
        for mixture in _mixtures(trials, families.ALPHAS[:0:-1]):
            taken = reestimate_batchnorm(trials.mixture(mixture), sources)
            name = f"{mixture.name}, re-estimated" if mixture.strengths else "re-estimated statistics"
            on = " and ".join(one.data.plan.name for one in sources)
            said = f"BatchNorm's running statistics were estimated again on the searched half of {on}"
            edits = {slot: Replaced(value) for slot, value in taken.items()}
            trials.attempt([replace(mixture, name=name, family="buffers", edits=edits, said=said)])
        return None

    def _stitch(self) -> str | None:
        """A head on the features of tuned and of mixtures: base's scores on source data, tuned's on target data."""
        trials, sources = self.trials, self._sources()
        path = find_linear_head(trials.network.skeleton, trials.layers)
        if isinstance(path, NotMeasured):
            return path.reason
        if any(one.data.task_name != CLASSIFICATION for one in sources):
            return "it is for classifiers"
        slots = [slot for slot in (f"{path}.weight", f"{path}.bias") if slot in trials.tuned.tensors]
        if missing := [slot for slot in slots if slot not in trials.editable]:
            return f"{missing[0]} is shared, or not the same tensor in tuned's file"
        # The target's data are known to tuned, where there are any.
        fitting = HeadFitting(path, list(zip(sources, (trials.base, trials.tuned), strict=False)))
        for mixture in _mixtures(trials, _STITCHED_ALPHAS):
            variant = trials.mixture(mixture)
            means = fitting.sums(variant)
            if isinstance(means, NotMeasured):
                return means.reason
            heads = list(stitched(mixture, variant, path, means))
            if not heads:
                return "there are too few examples, or features that are not finite"
            trials.attempt(heads)
        return None

    def _sources(self) -> list[Examples]:
        """The searched half of the source data, and of the target's where there are any."""
        trials = self.trials
        known = [trials.source, *([] if trials.target is None else [trials.target])]
        return [
            Examples(
                network=trials.network, data=one.data, settings=trials.settings, progress=trials.progress
            )
            for one in known
        ]


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
