"""Behaviour and features on one data set: one stream, every variant, dissolved into sums, read off at the end."""

from collections.abc import Mapping
from dataclasses import dataclass

from forgetaudit.audits.answers import find_unusable, rival_section, score_sections, source_section
from forgetaudit.audits.batch_independence import find_dependence
from forgetaudit.audits.early_stopping import decided, refuse_stopping
from forgetaudit.audits.evaluate import look_again, make_stream, steps
from forgetaudit.audits.example_table import Records
from forgetaudit.audits.forgotten_examples import MOST_SHOWN, lost_examples
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.audits.noise import BaseAnswers, measure_noise
from forgetaudit.audits.paired_sums import EvaluationSums, VariantSums
from forgetaudit.audits.strata import refuse_strata
from forgetaudit.audits.weight_diff import WeightDiff
from forgetaudit.engine.stream import Stream
from forgetaudit.errors import DataError
from forgetaudit.plan import AuditPlan
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import (
    FeatureSection,
    LayerDrift,
    LostExample,
    NoiseFloor,
    RivalSection,
    ScoreSection,
    SourceSection,
    Unusable,
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
    noise: tuple[NoiseFloor, ...]
    lost: tuple[LostExample, ...]
    records: Records


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a run over the examples left behind."""

    ledger: EvaluationSums
    stream: Stream
    records: Records
    dependence: Unusable | None


def measure_behaviour(
    network: Network, data: OpenedData, plan: AuditPlan, weighed: Mapping[str, WeightDiff], progress: Progress
) -> Behaviour:
    """Run every variant over the examples, once, and read off what became of them."""
    settings, base_answers, records = (
        plan.settings,
        BaseAnswers(),
        Records(None if plan.examples or plan.rehearsal else MOST_SHOWN),
    )
    if settings.stop_early:
        refuse_stopping(data, plan.policy)
    if settings.strata is not None:
        refuse_strata(data, settings.strata)
    stream = make_stream(network, data, settings, progress, layers=network.watched)
    ledger = EvaluationSums(
        plan.names,
        data.task,
        settings.seed,
        labelled=data.labelled,
        stratified=settings.strata is not None,
        watchers=[records.take_in, *([base_answers.take_in] if settings.noise_floor else [])],
    )
    dependence: Unusable | None = None
    for number, step in enumerate(steps(stream, network, data, progress, batch_size=settings.batch_size)):
        if number == 0:
            dependence = find_dependence(step, network, data, settings, network.variants)
        ledger.take_in(step)
        if settings.stop_early and decided(ledger, plan.policy):
            progress.note(f"decided after {ledger.answers.n:,} of {len(data.examples):,} examples")
            look_again(stream, network, data)
            break
    ledger.settle()
    if not ledger.answers.n:
        raise DataError(
            f"{data.plan.name} holds nothing to ask",
            details=[str(note) for note in data.task.decisions()],
            hint="pass examples that the task can ask something about",
        )
    ran = _Run(ledger=ledger, stream=stream, records=records, dependence=dependence)
    return _read_off(ran, network, data, plan, weighed, _noise(network, data, plan, base_answers, progress))


def _noise(
    network: Network, data: OpenedData, plan: AuditPlan, first: BaseAnswers, progress: Progress
) -> tuple[NoiseFloor, ...]:
    if not plan.settings.noise_floor:
        return ()
    return (measure_noise(network, data, plan.settings, first, progress),)


def _read_off(
    ran: _Run,
    network: Network,
    data: OpenedData,
    plan: AuditPlan,
    weighed: Mapping[str, WeightDiff],
    noise: tuple[NoiseFloor, ...],
) -> Behaviour:
    settings, ledger = plan.settings, ran.ledger
    unusable = ran.dependence or find_unusable(ledger, data)
    return Behaviour(
        source=tuple(
            source_section(
                name,
                tally,
                data,
                known=weighed[name].identical and name not in data.own,
                unusable=unusable,
                guess=ledger.answers.guess,
                grouped_by=settings.group_by,
                strata=settings.strata,
                sequential=settings.stop_early,
            )
            for name, tally in ledger.tallies.items()
        ),
        scores=tuple(
            section for name, tally in ledger.tallies.items() for section in score_sections(name, tally, data)
        ),
        features=tuple(
            _feature_section(name, tally, data, network, ran.stream, settings.pool)
            for name, tally in ledger.tallies.items()
        ),
        rivals=tuple(
            rival_section(first, second, tally, data) for (first, second), tally in ledger.rivals.items()
        ),
        noise=noise,
        lost=tuple(lost_examples(ran.records, data, plan.names, show=plan.show_samples)),
        records=ran.records,
    )


def _feature_section(
    name: str, tally: VariantSums, data: OpenedData, network: Network, stream: Stream, pool: str
) -> FeatureSection:
    stages = {layer.name: layer.stage.value for layer in network.layers}
    return FeatureSection(
        data=data.plan.name,
        variant=name,
        layers=tuple(_drift(layer, stages[layer], tally, stream, pool) for layer in network.watched),
    )


def _drift(layer: str, stage: str, tally: VariantSums, stream: Stream, pool: str) -> LayerDrift:
    moments = tally.moments.get(layer)
    reason = stream.not_measured.get(layer)
    cka = linear_cka(moments) if moments is not None and reason is None else reason
    estimate: Measured
    if cka is None or isinstance(cka, NotMeasured):
        estimate = Absent(not_measured="no features were seen" if cka is None else cka.reason)
    else:
        estimate = Estimate(kind=cka.kind, estimate=cka.estimate, method=cka.method)
    return LayerDrift(
        layer=layer,
        stage=stage,
        n=tally.n_rows[layer],
        d=0 if moments is None else moments.d_base,
        pool=pool,
        cka=estimate,
    )
