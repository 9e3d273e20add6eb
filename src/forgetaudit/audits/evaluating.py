"""One data set through the engine: a stream of steps, under the run's own threads, with progress told."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from itertools import pairwise

from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.data.batches import Batch, in_batches
from forgetaudit.engine.passes import Call, plainly
from forgetaudit.engine.stream import Step, Stream
from forgetaudit.engine.variants import Variant
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress

__all__ = ["make_stream", "steps"]


def make_stream(
    network: Network,
    data: OpenedData,
    settings: Settings,
    progress: Progress,
    *,
    variants: Sequence[Variant] | None = None,
    layers: Sequence[str] = (),
    around: Callable[[Call], Call] = lambda call: call,
) -> Stream:
    """The engine for all variants of the network, or for `variants`, watching `layers`; calls go through `around`."""
    return Stream(
        network.skeleton,
        network.variants if variants is None else variants,
        layers=layers,
        pool=settings.pool,
        # What is pooled under two masks is not the same, though it be computed from the same.
        reuse=settings.reuse and not (data.own and data.examples.of_text),
        call=around(getattr(data.task, "forward", plainly)),
        progress=progress,
    )


def steps(
    stream: Stream,
    network: Network,
    data: OpenedData,
    progress: Progress,
    *,
    batch_size: int,
    title: str = "evaluating",
) -> Iterator[Step]:
    """Every step of `stream` over the data, in batches of `batch_size` examples."""
    examples = in_batches(data.examples, batch_size, data.collate)
    split = getattr(data.task, "parts", _whole)
    batches = (part.with_floats(network.dtype) for batch in examples for part in split(batch))
    last = ""
    with (
        network.limited_threads(),
        # What a forward prints is not part of the report.
        redirect_stdout(sys.stderr),
        progress.phase(title, len(data.examples), "examples") as advance,
    ):
        for step in stream.run(batches):
            yield step
            names = step.batch.groups or step.batch.ids
            advance(sum(one != before for before, one in pairwise((last, *names))))
            last = names[-1]


def _whole(batch: Batch) -> tuple[Batch]:
    return (batch,)
