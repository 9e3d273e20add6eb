"""Behaviour and features on one data set: one stream, every variant, dissolved into sums, read off at the end."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise

from forgetaudit.audits.answers import find_unusable, rival_section, score_sections, source_section
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.ledger import Ledger, Tally
from forgetaudit.audits.network import Network
from forgetaudit.audits.weighing import Weighed
from forgetaudit.data.batches import Batch, in_batches
from forgetaudit.engine.passes import plainly
from forgetaudit.engine.stream import Stream
from forgetaudit.errors import DataError
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import (
    FeatureSection,
    LayerDrift,
    RivalSection,
    ScoreSection,
    SourceSection,
)
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.stats.cka import linear_cka
from forgetaudit.values import NotMeasured

__all__ = ["Behaviour", "measure_behaviour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What every tuned variant did on one data set, against base and against each other."""

    source: tuple[SourceSection, ...]
    scores: tuple[ScoreSection, ...]
    features: tuple[FeatureSection, ...]
    rivals: tuple[RivalSection, ...]


def measure_behaviour(
    network: Network, data: OpenedData, plan: AuditPlan, weighed: Mapping[str, Weighed], progress: Progress
) -> Behaviour:
    """Run every variant over the examples, once, and read off what became of them."""
    stream = Stream(
        network.skeleton,
        network.variants,
        layers=network.watched,
        pool=plan.settings.pool,
        # What is pooled under two masks is not the same, though it be computed from the same.
        reuse=plan.settings.reuse and not (data.own and data.examples.of_text),
        call=getattr(data.task, "forward", plainly),
        progress=progress,
    )
    ledger = Ledger(plan.names, data.task, plan.settings.seed)
    examples = in_batches(data.examples, plan.settings.batch_size, data.collate)
    split = getattr(data.task, "parts", _whole)
    batches = (part.with_floats(network.dtype) for batch in examples for part in split(batch))
    last = ""
    with (
        network.limited_threads(),
        # What a forward prints is not part of the report.
        redirect_stdout(sys.stderr),
        progress.phase("evaluating", len(data.examples), "examples") as advance,
    ):
        for step in stream.run(batches):
            ledger.take_in(step)
            names = step.batch.groups or step.batch.ids
            advance(sum(one != before for before, one in pairwise((last, *names))))
            last = names[-1]
        ledger.settle()
    if not ledger.answers.n:
        raise DataError(
            f"{data.plan.name} holds nothing to ask",
            details=data.task.decisions(),
            hint="pass examples that the task can ask something about",
        )
    unusable = find_unusable(ledger, data)
    return Behaviour(
        source=tuple(
            source_section(
                name, tally, data, known=weighed[name].identical and name not in data.own, unusable=unusable
            )
            for name, tally in ledger.tallies.items()
        ),
        scores=tuple(
            section for name, tally in ledger.tallies.items() for section in score_sections(name, tally, data)
        ),
        features=tuple(
            _feature_section(name, tally, data, network, stream, plan.settings.pool)
            for name, tally in ledger.tallies.items()
        ),
        rivals=tuple(
            rival_section(first, second, tally, data) for (first, second), tally in ledger.rivals.items()
        ),
    )


def _whole(batch: Batch) -> tuple[Batch]:
    return (batch,)


def _feature_section(
    name: str, tally: Tally, data: OpenedData, network: Network, stream: Stream, pool: str
) -> FeatureSection:
    stages = {layer.name: layer.stage.value for layer in network.layers}
    return FeatureSection(
        data=data.plan.name,
        variant=name,
        layers=tuple(
            _drift(layer, stages[layer], tally, stream, pool, n=len(data.examples))
            for layer in network.watched
        ),
    )


def _drift(layer: str, stage: str, tally: Tally, stream: Stream, pool: str, *, n: int) -> LayerDrift:
    moments = tally.moments.get(layer)
    reason = stream.not_measured.get(layer)
    cka = linear_cka(moments) if moments is not None and reason is None else reason
    estimate: Measured
    if cka is None or isinstance(cka, NotMeasured):
        estimate = Absent(not_measured="no features were seen" if cka is None else cka.reason)
    else:
        estimate = Estimate(kind=cka.kind, estimate=cka.estimate, method=cka.method)
    return LayerDrift(
        layer=layer, stage=stage, n=n, d=0 if moments is None else moments.d_base, pool=pool, cka=estimate
    )
