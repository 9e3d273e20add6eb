"""Every number of a report as a row: section, data, variant, name, value, low, high, n, kind. Fractions throughout.

A section is a path in the JSON, without the places in its lists; the name is the class, layer, tensor or measure. What
was not measured has no value, and its reason as its kind.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

from forgetaudit.renderers.csv_cells import COLUMNS, Row, measured, plain
from forgetaudit.renderers.csv_runs import locate_rows, repair_rows, trace_rows
from forgetaudit.report.behaviour import (
    FeatureSection,
    LogLoss,
    LostExample,
    RivalSection,
    ScoreSection,
    SourceSection,
)
from forgetaudit.report.budget import BudgetAbsent, BudgetSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import RuleResult
from forgetaudit.report.weights import TensorRow, WeightSection, WeightTotal

__all__ = ["COLUMNS", "csv_rows"]


def csv_rows(report: AuditReport) -> str:
    """The table with its heading; numbers are written so that they are read back exactly."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(list(row.cells()) for row in _rows(report))
    return buffer.getvalue()


def _rows(report: AuditReport) -> Iterator[Row]:
    for rule in report.verdict.rules:
        yield from _rule(rule)
    for source in () if isinstance(report.source, Absent) else report.source:
        yield from _source(source)
    for lost in report.lost:
        yield from _lost(lost)
    for score in report.scores:
        yield from _score(score)
    for features in () if isinstance(report.features, Absent) else report.features:
        yield from _features(features)
    for rival in report.rivals:
        yield from _rival(rival)
    for weights in () if isinstance(report.weights, Absent) else report.weights:
        yield from _weights(weights)
    for budget in report.budget:
        yield from _budget(budget)
    if report.trace is not None:
        yield from trace_rows(report.trace)
    for located in report.locate:
        yield from locate_rows(located, report.variants[1].name)
    if report.repair is not None:
        yield from repair_rows(report.repair, report.inputs.data[0].data)


def _rule(rule: RuleResult) -> Iterator[Row]:
    low, high = (rule.limits.low, rule.limits.high) if rule.limits else (None, None)
    here = Row(
        section="rules.value", data=rule.data or "", variant=rule.variant, name=rule.rule, kind=rule.outcome
    )
    yield replace(here, value=rule.value, low=low, high=high, n=rule.n)
    if rule.limit is not None:
        yield replace(here, section="rules.limit", value=rule.limit)


def _source(source: SourceSection) -> Iterator[Row]:
    here = Row(section="source", data=source.data, variant=source.variant, name="n", n=source.n)
    yield replace(here, value=source.n, kind="exact")
    accuracy = replace(here, section="source.accuracy")
    for name, share in (("base", source.accuracy.base), ("tuned", source.accuracy.tuned)):
        yield replace(accuracy, name=name, value=share, kind="statistical")
    yield measured(replace(accuracy, name="drop"), source.accuracy.drop)
    for name in ("forgotten", "gained", "kept", "missed"):
        yield replace(
            here, section="source.flips", name=name, value=getattr(source.flips, name), kind="exact"
        )
    for name in ("exact", "mid_p"):
        test = replace(here, section="source.mcnemar", name=name)
        p = source.mcnemar
        yield plain(test, p if isinstance(p, Absent) else getattr(p, name), "statistical")
    yield from _log_loss(replace(here, section="source.nll"), source.nll)
    yield measured(replace(here, name="disagreement"), source.disagreement)
    for soft in source.soft:
        yield measured(replace(here, section="source.soft", name=soft.measure), soft.value)
    if not isinstance(source.calibration, Absent):
        for name, value in source.calibration:
            yield replace(here, section="source.calibration", name=name, value=value, kind="diagnostic")
    for section in ("per_class", "per_group", "per_stratum"):
        results = getattr(source, section)
        for result in results:
            mine = replace(here, name=result.name, n=result.n)
            for name, share in (
                ("base", result.base),
                ("tuned", result.tuned),
                ("adjusted_p", result.adjusted_p),
            ):
                yield replace(mine, section=f"source.{section}.{name}", value=share, kind="statistical")
            yield measured(replace(mine, section=f"source.{section}.drop"), result.drop)


def _log_loss(here: Row, loss: LogLoss) -> Iterator[Row]:
    yield plain(replace(here, name="base"), loss.base, "statistical")
    yield plain(replace(here, name="tuned"), loss.tuned, "statistical")
    yield measured(replace(here, name="increase"), loss.increase)


def _lost(lost: LostExample) -> Iterator[Row]:
    here = Row(section="lost", data=lost.data, variant=lost.variant, name=lost.id, n=lost.n, kind="exact")
    for size in ("confidence", "nll_increase"):
        if (value := getattr(lost, size)) is not None:
            yield replace(here, section=f"lost.{size}", value=value)


def _score(score: ScoreSection) -> Iterator[Row]:
    here = Row(section="scores", data=score.data, variant=score.variant, name=score.metric, n=score.n)
    yield replace(here, section="scores.base", value=score.base, kind="statistical")
    yield replace(here, section="scores.tuned", value=score.tuned, kind="statistical")
    yield measured(replace(here, section="scores.increase"), score.increase)


def _features(features: FeatureSection) -> Iterator[Row]:
    for layer in features.layers:
        here = Row(
            section="features.cka", data=features.data, variant=features.variant, name=layer.layer, n=layer.n
        )
        yield measured(here, layer.cka)


def _rival(rival: RivalSection) -> Iterator[Row]:
    here = Row(
        section="rivals.advantage_of_first",
        data=rival.data,
        variant=rival.first,
        name=rival.second,
        n=rival.n,
    )
    yield measured(here, rival.advantage_of_first)


def _weights(weights: WeightSection) -> Iterator[Row]:
    here = Row(section="weights", variant=weights.variant, name="")
    for name, total in (("total", weights.total), ("running", weights.running)):
        yield from _sizes(replace(here, section=f"weights.{name}"), total)
        yield plain(
            replace(here, section=f"weights.{name}", name="compared_share", n=total.n_tensors),
            total.compared_share,
            "exact",
        )
    for left in weights.not_compared:
        place = replace(here, section="weights.not_compared", name=left.name)
        yield plain(place, left.distance if isinstance(left.distance, Absent) else left.relative, "exact")
    yield plain(replace(here, name="median_cosine"), weights.median_cosine, "exact")
    for layer in weights.layers:
        at = replace(here, section="weights.layers", name=layer.layer)
        yield from _sizes(at, layer.parameters)
        if layer.parameters.not_compared:
            share = replace(at, section="weights.layers.compared_share", n=layer.parameters.n_tensors)
            yield plain(share, layer.parameters.compared_share, "exact")
    for row in weights.tensors:
        yield from _sizes(replace(here, section="weights.tensors", name=row.name), row)


def _budget(budget: BudgetSection | BudgetAbsent) -> Iterator[Row]:
    here = Row(section="budget", variant=budget.variant, name="used")
    if isinstance(budget, BudgetAbsent):
        yield replace(here, kind=f"not measured: {budget.not_measured}")
        return
    yield replace(here, value=budget.used, n=budget.n_steps, kind="bound")
    for row in budget.tensors:
        yield plain(replace(here, section="budget.tensors.used", name=row.tensor), row.used, "bound")


def _sizes(here: Row, measured: WeightTotal | TensorRow) -> Iterator[Row]:
    for size in ("distance", "relative", "one_minus_cosine", "max_abs"):
        place = replace(
            here, name=here.name or size, section=here.section if not here.name else f"{here.section}.{size}"
        )
        yield plain(place, getattr(measured, size), "exact")
