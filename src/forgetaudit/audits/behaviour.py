"""Behaviour and features on one data set: one stream, every variant, dissolved into sums, read off at the end."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass

from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.ledger import Ledger, Tally
from forgetaudit.audits.network import Network
from forgetaudit.audits.weighing import Weighed
from forgetaudit.data.batches import in_batches
from forgetaudit.engine.stream import Stream
from forgetaudit.inference.chance import check_chance
from forgetaudit.inference.corrections import benjamini_hochberg
from forgetaudit.inference.label_map import find_wrong_label_map
from forgetaudit.inference.paired import mcnemar, mean_difference, tango
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import (
    Accuracy,
    ClassResult,
    FeatureSection,
    FlipTable,
    LayerDrift,
    LogLoss,
    McNemarTest,
    RivalSection,
    SourceSection,
    Unusable,
)
from forgetaudit.report.parts import Absent, Estimate, Measured, estimate_from
from forgetaudit.stats.cka import linear_cka
from forgetaudit.stats.confusion import ConfusionCounts
from forgetaudit.stats.flips import FlipCounts
from forgetaudit.values import NotMeasured

__all__ = ["Behaviour", "measure_behaviour"]

# Intervals for reading are two-sided at this confidence; the gate has its own, one-sided.
SHOWN_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What every tuned variant did on one data set, against base and against each other."""

    source: tuple[SourceSection, ...]
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
        reuse=plan.settings.reuse,
        progress=progress,
    )
    ledger = Ledger(plan.names, data.task, plan.settings.seed)
    examples = in_batches(data.examples, plan.settings.batch_size, data.task.collate)
    batches = (batch.with_floats(network.dtype) for batch in examples)
    with (
        network.limited_threads(),
        # What a forward prints is not part of the report.
        redirect_stdout(sys.stderr),
        progress.phase("evaluating", len(data.examples), "examples") as advance,
    ):
        for step in stream.run(batches):
            ledger.take_in(step)
            advance(len(step.batch))
    assert ledger.confusion is not None  # noqa: S101
    unusable = _unusable(ledger.confusion.read(), data)
    return Behaviour(
        source=tuple(
            _source_section(name, tally, data, known=weighed[name].identical, unusable=unusable)
            for name, tally in ledger.tallies.items()
        ),
        features=tuple(
            _feature_section(name, tally, data, network, stream, plan.settings.pool)
            for name, tally in ledger.tallies.items()
        ),
        rivals=tuple(
            _rivals(first, second, flips.read(), data) for (first, second), flips in ledger.rivals.items()
        ),
    )


def _unusable(counts: ConfusionCounts, data: OpenedData) -> Unusable | None:
    """Why base's behaviour on these data cannot show forgetting, if so."""
    moved = find_wrong_label_map(*counts.matrices())
    if moved is not None:
        names = data.task.class_names
        pairs = [f"{names[a] if names else a} as {b}" for a, b in moved.moved]
        more = f", … {len(pairs) - 3} more" if len(pairs) > 3 else ""
        return Unusable(
            id="labels-do-not-fit",
            reason=f"the labels of {data.plan.name} are not base's classes: base reads {', '.join(pairs[:3])}{more} "
            f"({moved.n_right_as_moved} of {moved.n} right so, {moved.n_right_as_read} as labelled)",
        )
    chance = check_chance(counts.n_right, counts.n, counts.n_classes, counts.majority_share, SHOWN_CONFIDENCE)
    if chance.at_chance:
        return Unusable(
            id="base-at-chance",
            reason=f"base is at chance on {data.plan.name}: {100 * chance.accuracy:.1f} % right, "
            f"guessing gets {100 * chance.chance:.1f} %",
        )
    return None


def _source_section(
    name: str, tally: Tally, data: OpenedData, *, known: bool, unusable: Unusable | None
) -> SourceSection:
    flips = tally.flips.read()
    test = mcnemar(flips.forgotten, flips.gained)
    return SourceSection(
        data=data.plan.name,
        variant=name,
        n=flips.n,
        task=data.task_name,
        accuracy=Accuracy(
            base=flips.n_right_base / flips.n,
            tuned=flips.n_right_tuned / flips.n,
            drop=_drop(flips, known=known),
        ),
        flips=FlipTable(forgotten=flips.forgotten, gained=flips.gained, kept=flips.kept, missed=flips.missed),
        mcnemar=McNemarTest(exact=test.exact, mid_p=test.mid_p),
        nll=_log_loss(tally, known=known),
        known=known,
        unusable=unusable,
        nonfinite=dict(tally.n_without_answer),
        per_class=tuple(_per_class(flips, data.task.class_names)),
    )


def _rivals(first: str, second: str, flips: FlipCounts, data: OpenedData) -> RivalSection:
    """Flips from first to second: what base is to tuned, first is to second here."""
    interval = tango(flips.forgotten, flips.gained, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
    test = mcnemar(flips.forgotten, flips.gained)
    return RivalSection(
        data=data.plan.name,
        first=first,
        second=second,
        n=flips.n,
        only_first_right=flips.forgotten,
        only_second_right=flips.gained,
        advantage_of_first=estimate_from(interval),
        mcnemar=McNemarTest(exact=test.exact, mid_p=test.mid_p),
    )


def _drop(flips: FlipCounts, *, known: bool) -> Measured:
    if known:
        return Estimate(kind="exact", estimate=0.0, method="bit-identical")
    return estimate_from(tango(flips.forgotten, flips.gained, flips.n, confidence=SHOWN_CONFIDENCE, sides=2))


def _log_loss(tally: Tally, *, known: bool) -> LogLoss:
    means = tally.log_loss.read()
    bad = {side: n for side, n in tally.n_without_answer.items() if n}
    if isinstance(means, NotMeasured) or bad:
        said = ", ".join(f"{n} examples in {side}" for side, n in bad.items())
        absent = Absent(not_measured=f"outputs are NaN or infinite for {said}" if bad else "no examples")
        return LogLoss(base=absent, tuned=absent, increase=absent)
    increase = (
        Estimate(kind="exact", estimate=0.0, method="bit-identical")
        if known
        else estimate_from(
            mean_difference(means.n, means.increase, means.m2, confidence=SHOWN_CONFIDENCE, sides=2)
        )
    )
    return LogLoss(base=means.base, tuned=means.tuned, increase=increase)


def _per_class(flips: FlipCounts, names: tuple[str, ...] | None) -> list[ClassResult]:
    """Every class that the data hold, with mid-P adjusted over them (Benjamini–Hochberg)."""
    present = [(label, counts) for label, counts in enumerate(flips.per_class) if counts.n]
    adjusted = benjamini_hochberg([mcnemar(c.forgotten, c.gained).mid_p for _, c in present])
    return [
        ClassResult(
            label=label,
            name=names[label] if names and label < len(names) else str(label),
            n=counts.n,
            base=counts.n_right_base / counts.n,
            tuned=counts.n_right_tuned / counts.n,
            drop=estimate_from(
                tango(counts.forgotten, counts.gained, counts.n, confidence=SHOWN_CONFIDENCE, sides=2)
            ),
            adjusted_p=p,
        )
        for (label, counts), p in zip(present, adjusted, strict=True)
    ]


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
