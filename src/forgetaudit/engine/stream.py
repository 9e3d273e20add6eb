"""The stream: every batch goes through all variants of one skeleton, and nothing is left behind on it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from forgetaudit.data.batches import Batch
from forgetaudit.engine.passes import Call, Moment, Passes, is_out_of_memory, run_plainly
from forgetaudit.engine.pooling import POOLS
from forgetaudit.engine.taps import find_taps, gather
from forgetaudit.engine.variants import Variant
from forgetaudit.engine.witnessed import WitnessedPasses
from forgetaudit.errors import ModelError, UsageError
from forgetaudit.gaps import Gap
from forgetaudit.progress import SILENT, Progress
from forgetaudit.values import NotMeasured

__all__ = ["Step", "Stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of one batch: by variant the model's outputs, by layer and variant the features (n, d).

    Valid until the next step. Layers that were found not measurable are missing in `features`.
    """

    batch: Batch
    outputs: Mapping[str, Any]
    features: Mapping[str, Mapping[str, Tensor]]


class Stream:
    """Runs variants of one skeleton over batches, in eval mode and without gradients.

    Each variant sees its own copy of a batch, its own random numbers (all start from the caller's state) and what
    its modules remembered from earlier batches, as independent copies of the model would. Between two steps the
    skeleton and the random state are as they were before the run. Memory does not grow with the number of batches.

    A network that answers otherwise when it is asked the same twice runs as independent copies, one a variant, and is
    a gap; where copies from the same start differ, too, it is refused.

    `call` runs the skeleton on the arguments of a batch, where that is more than calling it with them. Random numbers
    begin with `seed`, if there is one. Without `asks` nothing is asked twice: for networks that another stream asked.
    `layers` are paths of modules whose output is pooled as `pool` says. `not_measured` has those that gave no
    features, with the reason; it may grow during a run, and what a layer gave before is then to be discarded.
    """

    def __init__(
        self,
        skeleton: nn.Module,
        variants: Sequence[Variant],
        *,
        layers: Sequence[str] = (),
        pool: str = "mean",
        reuse: bool = True,
        call: Call = run_plainly,
        seed: int | None = None,
        asks: bool = True,
        progress: Progress = SILENT,
    ) -> None:
        if pool not in POOLS:
            raise UsageError(f"there is no pooling called {pool!r}", hint=f"choose from {', '.join(POOLS)}")
        self._layers = tuple(dict.fromkeys(layers))
        self._passes = Passes(skeleton, variants, find_taps(skeleton, self._layers, pool), call)
        self._runner = WitnessedPasses(self._passes, progress, reuse=reuse, seed=seed, asks=asks)
        self._moment: Moment = {}
        self._progress = progress
        self._most_examples: int | None = None
        self._reasons: dict[str, NotMeasured] = {}

    @property
    def not_measured(self) -> Mapping[str, NotMeasured]:
        """The layers without features, with the reason."""
        return MappingProxyType(self._reasons)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What makes the answers depend on more than the weights and the example; it may grow during a run."""
        return self._runner.gaps

    @property
    def calls_run(self) -> Mapping[str, int]:
        """How often modules that may be reused were run, by path; for tests and benchmarks."""
        return MappingProxyType(self._runner.run_calls)

    @property
    def calls_reused(self) -> Mapping[str, int]:
        """How often a call was answered with an earlier result, by path; for tests and benchmarks."""
        return MappingProxyType(self._runner.reused_calls)

    def run(self, batches: Iterable[Batch], *, continued: bool = False) -> Iterator[Step]:
        """One step for each batch, or several where a batch did not fit in memory. Raises ModelError.

        `continued`: from where the last run ended, as a second pass over the data would be.
        """
        if not continued:
            self._reasons.clear()
            self._moment = self._runner.start()
        for batch in batches:
            for part in self._parts(batch.to(self._passes.device)):
                yield from self._steps(part)
        self.look_again()

    def look_again(self) -> None:
        """Ask the network again what it was asked at first. ModelError where the steps so far may be wrong.

        A run that comes to its end does so by itself.
        """
        self._runner.look_again(self._moment)

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        if self._most_examples is None or len(batch) <= self._most_examples:
            yield batch
            return
        for half in batch.halves():
            yield from self._parts(half)

    def _steps(self, batch: Batch) -> Iterator[Step]:
        try:
            step, self._moment = self._step(batch, self._moment)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ModelError("one example does not fit in memory", details=[str(error)]) from error
        else:
            yield step
            return
        self._halve(batch)
        for part in self._parts(batch):
            yield from self._steps(part)

    def _step(self, batch: Batch, moment: Moment) -> tuple[Step, Moment]:
        results, after = self._runner.run(batch, moment)
        features: dict[str, dict[str, Tensor]] = {layer: {} for layer in self._layers}
        for variant, result in results.items():
            for layer, found in gather(result.journal, self._layers, len(batch)).items():
                if isinstance(found, NotMeasured):
                    self._give_up(layer, found)
                else:
                    features[layer][variant] = found
        for layer in self._reasons:
            features.pop(layer, None)
        outputs = {variant: result.outputs for variant, result in results.items()}
        return Step(batch=batch, outputs=outputs, features=features), after

    def _give_up(self, layer: str, reason: NotMeasured) -> None:
        if layer not in self._reasons:
            self._reasons[layer] = reason
            self._progress.note(f"no features of layer {layer}: {reason.reason}")

    def _halve(self, batch: Batch) -> None:
        """Free what the failed attempt left, and go on with smaller batches."""
        if self._passes.device.type == "cuda":
            torch.cuda.empty_cache()
        self._most_examples = (len(batch) + 1) // 2
        self._progress.note(
            f"{len(batch)} examples at once do not fit in memory: going on with {self._most_examples}"
        )
