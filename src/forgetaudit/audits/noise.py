"""--noise-floor: base against itself, in batches of another size and then once more in the same.

What flips there is the machine, or the network's own random numbers, and not the fine-tune.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from forgetaudit.audits.evaluate import make_stream, steps
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.audits.paired_sums import BASE, EvaluationSums
from forgetaudit.data.batches import Batch
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import NoiseFloor
from forgetaudit.tasks.task import Outcomes

__all__ = ["BaseAnswers", "measure_noise"]


class BaseAnswers:
    """Base's answer to every question, in order. Mutable; memory: 17 bytes a question."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]] = []

    def take_in(self, outcomes: Mapping[str, Outcomes], batch: Batch, soft: object = None) -> None:  # noqa: ARG002
        """What base answered to one batch."""
        base = outcomes[BASE]
        self._parts.append((base.predicted, base.correct, base.nll))

    def together(self) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
        """(n,) predicted, correct and nll of all questions."""
        predicted, correct, nll = zip(*self._parts, strict=True)
        return np.concatenate(predicted), np.concatenate(correct), np.concatenate(nll)


def measure_noise(
    network: Network, data: OpenedData, settings: Settings, first: BaseAnswers, progress: Progress
) -> NoiseFloor:
    """Run base again, in batches of about half the size and in the same, and count what differs from `first`.

    The second run goes on where the other ended, so that random numbers are others than at first.
    """
    other_size = settings.batch_size // 2 + 1 if settings.batch_size > 2 else settings.batch_size + 1
    base = network.variants[:1]
    stream = make_stream(network, data, settings, progress, variants=base)
    predicted, correct, nll = first.together()
    # A run that stopped early saw fewer.
    n = len(predicted)
    changed, flipped, gaps = np.zeros(n, np.bool_), np.zeros(n, np.bool_), [0.0]
    for size, continued in ((other_size, False), (settings.batch_size, True)):
        again = BaseAnswers()
        ledger = EvaluationSums((), data.task, settings.seed, watchers=[again.take_in])
        for step in steps(
            stream, network, data, progress, batch_size=size, title="noise floor", continued=continued
        ):
            ledger.take_in(step)
        ledger.settle()
        other_predicted, other_correct, other_nll = again.together()
        changed |= predicted != other_predicted[:n]
        flipped |= correct != other_correct[:n]
        gap = np.abs(other_nll[:n] - nll)
        gaps.append(float(gap[np.isfinite(gap)].max(initial=0.0)))
    return NoiseFloor(
        data=data.plan.name,
        n=n,
        batch_sizes=(settings.batch_size, other_size),
        n_answers_changed=int(changed.sum()),
        n_flips=int(flipped.sum()),
        largest_nll_change=max(gaps),
    )
