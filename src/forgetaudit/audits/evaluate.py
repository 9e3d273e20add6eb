"""One data set through the engine: a stream of steps, under the run's own threads, with progress told."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import pairwise

from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.data.batches import Batch, in_batches
from forgetaudit.engine.passes import Call, run_plainly
from forgetaudit.engine.stream import Step, Stream
from forgetaudit.engine.variants import Variant
from forgetaudit.errors import ModelError
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress

__all__ = ["look_again", "make_stream", "steps"]


def make_stream(
    network: Network,
    data: OpenedData,
    settings: Settings,
    progress: Progress,
    *,
    variants: Sequence[Variant] | None = None,
    layers: Sequence[str] = (),
    around: Callable[[Call], Call] = lambda call: call,
    asks: bool = True,
) -> Stream:
    """The engine for all variants of the network, or for `variants`, watching `layers`; calls go through `around`."""
    return Stream(
        network.skeleton,
        network.variants if variants is None else variants,
        layers=layers,
        pool=settings.pool,
        # What is pooled under two masks is not the same, though it be computed from the same.
        reuse=settings.reuse and not (data.own and data.examples.of_text),
        call=around(getattr(data.task, "forward", run_plainly)),
        seed=settings.seed,
        asks=asks,
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
    continued: bool = False,
) -> Iterator[Step]:
    """Every step of `stream` over the data, in batches of `batch_size` examples; `data` learn what it showed.

    `continued`: from where the last run of the stream ended.
    """
    examples = in_batches(data.examples, batch_size, data.collate)
    split = getattr(data.task, "parts", _one_batch)
    batches = (part.with_floats(network.dtype) for batch in examples for part in split(batch))
    last = ""
    with (
        network.limited_threads(),
        _naming(data),
        # What a forward prints is not part of the report.
        redirect_stdout(sys.stderr),
        progress.phase(title, len(data.examples), "examples") as advance,
    ):
        for step in stream.run(batches, continued=continued):
            _keep_gaps(stream, data)
            yield step
            names = step.batch.groups or step.batch.ids
            advance(sum(one != before for before, one in pairwise((last, *names))))
            last = names[-1]
        _keep_gaps(stream, data)


@contextmanager
def _naming(data: OpenedData) -> Iterator[None]:
    """What a model cannot do with some data is told with the name of these."""
    try:
        yield
    except ModelError as error:
        where = f"data {data.plan.name}: {data.plan.where}"
        raise type(error)(error.fact, details=[where, *error.details], hint=error.hint) from error


def look_again(stream: Stream, network: Network, data: OpenedData) -> None:
    """For a run that stopped before its end: whether the network still answers as it did. ModelError."""
    with network.limited_threads(), redirect_stdout(sys.stderr):
        stream.look_again()
    _keep_gaps(stream, data)


def _keep_gaps(stream: Stream, data: OpenedData) -> None:
    data.seen.extend(gap for gap in stream.gaps if gap not in data.seen)


def _one_batch(batch: Batch) -> tuple[Batch]:
    return (batch,)
