"""Tensors that are computed from examples: BatchNorm's statistics taken again, and a head fitted to what was known."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from forgetaudit.audits.evaluate import make_stream, steps
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.engine.measured_calls import ObservedCall, Spread, SpreadCall, observing, tracked_norms
from forgetaudit.engine.passes import Call
from forgetaudit.engine.stream import Step
from forgetaudit.engine.variants import Variant
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.stats.ridge import FOLDS, RidgeMeans, RidgeSums
from forgetaudit.tasks.scoring import tensor_in
from forgetaudit.values import NotMeasured

__all__ = ["WIDEST", "Examples", "HeadFitting", "reestimate_batchnorm", "statistics_of"]

WIDEST = 4096
"""Of features into a head that is fitted anew: its sums hold five float64 matrices of that side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Data to compute from, on the network that is to be repaired, and the run's own ways."""

    network: Network
    data: OpenedData
    settings: Settings
    progress: Progress

    def run(self, variant: Variant, title: str, around: Callable[[Call], Call]) -> Iterator[Step]:
        """One pass of `variant`, each call of the model through `around`."""
        # One variant has nothing to share.
        alone = replace(self.settings, reuse=False)
        stream = make_stream(self.network, self.data, alone, self.progress, variants=[variant], around=around)
        yield from steps(
            stream,
            self.network,
            self.data,
            self.progress,
            batch_size=self.settings.batch_size,
            title=title,
        )


def statistics_of(model: nn.Module) -> list[str]:
    """The slots of BatchNorm's running statistics."""
    return [f"{path}.{name}" for path in tracked_norms(model) for name in ("running_mean", "running_var")]


def reestimate_batchnorm(variant: Variant, sources: Sequence[Examples]) -> dict[str, Tensor]:
    """By slot the running statistics that `variant` would have had from training on `sources`, float64.

    Every set of examples counts the same; norms that are not called with all of them have none. As in re-estimation
    after weights were averaged (Izmailov et al. 2018, arXiv 1803.05407, section 3.2), but exact over all values where
    batches' variances are averaged there.
    """
    spreads = []
    for examples in sources:
        calls: list[SpreadCall] = []

        def measuring(call: Call, calls: list[SpreadCall] = calls) -> Call:
            calls.append(SpreadCall(call))
            return calls[-1]

        for _ in examples.run(variant, f"statistics of {variant.name}", measuring):
            pass
        spreads.append(calls[-1].read())
    called = [path for path in spreads[0] if all(path in spread for spread in spreads)]
    return {slot: value for path in called for slot, value in _statistics(path, [s[path] for s in spreads])}


def _statistics(path: str, spreads: Sequence[Spread]) -> Iterator[tuple[str, Tensor]]:
    mean = torch.stack([spread.mean for spread in spreads]).mean(0)
    square = torch.stack([spread.square for spread in spreads]).mean(0)
    n = sum(spread.n for spread in spreads)
    yield f"{path}.running_mean", mean
    yield f"{path}.running_var", (square - mean.square()).clamp(min=0) * (n / (n - 1))


class HeadFitting:
    """What a head would have to say: on each set of examples the scores of the variant that knows it.

    Base knows the source data, tuned the target's; no label is looked at. Their scores are kept in memory, n × k.
    """

    def __init__(self, path: str, known: Sequence[tuple[Examples, Variant]]) -> None:
        self.path = path
        self._examples = [examples for examples, _ in known]
        self._wanted = [torch.cat(list(self._scores(examples, knower))) for examples, knower in known]

    def sums(self, variant: Variant) -> dict[str, RidgeMeans] | NotMeasured:
        """By data set: what goes into the head of `variant`, and what its scores lack of those wanted."""
        found = {}
        for examples, wanted in zip(self._examples, self._wanted, strict=True):
            means = self._of(variant, examples, wanted)
            if isinstance(means, NotMeasured):
                return means
            found[examples.data.plan.name] = means
        return found

    def _scores(self, examples: Examples, knower: Variant) -> Iterator[Tensor]:
        for step in examples.run(knower, f"scores of {knower.name}", lambda call: call):
            scores = tensor_in(step.outputs[knower.name])
            yield torch.zeros(len(step.batch), 0) if scores is None else scores.detach().cpu().double()

    def _of(self, variant: Variant, examples: Examples, wanted: Tensor) -> RidgeMeans | NotMeasured:
        sums, row = None, 0
        linear = examples.network.skeleton.get_submodule(self.path)
        for step in examples.run(
            variant, f"features of {variant.name}", lambda call: observing(call, self.path)
        ):
            heard: ObservedCall = step.outputs[variant.name]
            scores = tensor_in(heard.outputs)
            if (why := _why_not(heard, scores, variant, self.path, linear)) is not None:
                return why
            assert scores is not None  # noqa: S101
            n, features = len(step.batch), heard.inputs[0]
            if sums is None:
                sums = RidgeSums(features.shape[1], scores.shape[1])
            lacking = wanted[row : row + n] - scores.detach().cpu().double()
            sums.update(features, lacking, _folds(step))
            row += n
        return NotMeasured("there are no examples") if sums is None else sums.read()


def _why_not(
    heard: ObservedCall, scores: Tensor | None, variant: Variant, path: str, linear: nn.Module
) -> NotMeasured | None:
    """Why the module is not what makes the scores; None where it is."""
    if scores is None or scores.ndim != 2:
        return NotMeasured("the network gives no scores of examples")
    if len(heard.inputs) != 1 or heard.inputs[0].ndim != 2 or len(heard.inputs[0]) != len(scores):
        return NotMeasured(f"{path} is not called once with the features of every example")
    if heard.inputs[0].shape[1] > WIDEST:
        return NotMeasured(f"{path} takes {heard.inputs[0].shape[1]:,} features, more than {WIDEST:,}")
    bias = variant.tensors.get(f"{path}.bias") if getattr(linear, "bias", None) is not None else None
    made = functional.linear(heard.inputs[0], variant.tensors[f"{path}.weight"], bias)
    if not torch.allclose(made, scores, rtol=1e-3, atol=1e-3, equal_nan=True):
        return NotMeasured(f"what {path} answers is not what is judged")
    return None


def _folds(step: Step) -> Tensor:
    """By content, so that the order plays no part; what is of one group lies in one fold."""
    names = step.batch.clusters or step.batch.groups or step.batch.ids
    return torch.tensor([zlib.crc32(name.partition("-")[0].encode()) % FOLDS for name in names])
