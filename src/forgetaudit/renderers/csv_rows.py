"""Every number of a report as a row: section, data, variant, name, value, low, high, n, kind. Fractions throughout.

A section is a path in the JSON, without the places in its lists; the name is the class, layer, tensor or measure. What
was not measured has no value, and its reason as its kind.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

from forgetaudit.renderers.escapes import for_spreadsheet
from forgetaudit.report.behaviour import (
    FeatureSection,
    LogLoss,
    LostExample,
    RivalSection,
    ScoreSection,
    SourceSection,
)
from forgetaudit.report.budget import BudgetAbsent, BudgetSection
from forgetaudit.report.parts import Absent, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import RuleResult
from forgetaudit.report.weights import TensorRow, WeightSection, WeightTotal

__all__ = ["COLUMNS", "csv_rows"]

COLUMNS = ("section", "data", "variant", "name", "value", "low", "high", "n", "kind")

_TEXTS = {"section", "data", "variant", "name", "kind"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    section: str
    data: str = ""
    variant: str = ""
    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    kind: str = ""

    def cells(self) -> Iterator[str]:
        for column in COLUMNS:
            cell = getattr(self, column)
            yield for_spreadsheet(cell) if column in _TEXTS else "" if cell is None else repr(cell)


def csv_rows(report: AuditReport) -> str:
    """The table with its heading; numbers are written so that they are read back exactly."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(list(row.cells()) for row in _rows(report))
    return buffer.getvalue()


def _rows(report: AuditReport) -> Iterator[_Row]:
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


def _rule(rule: RuleResult) -> Iterator[_Row]:
    low, high = (rule.limits.low, rule.limits.high) if rule.limits else (None, None)
    here = _Row(
        section="rules.value", data=rule.data or "", variant=rule.variant, name=rule.rule, kind=rule.outcome
    )
    yield replace(here, value=rule.value, low=low, high=high, n=rule.n)
    if rule.limit is not None:
        yield replace(here, section="rules.limit", value=rule.limit)


def _measured(here: _Row, value: Measured) -> _Row:
    if isinstance(value, Absent):
        return replace(here, kind=f"not measured: {value.not_measured}")
    return replace(here, value=value.estimate, low=value.low, high=value.high, kind=value.kind)


def _plain(here: _Row, value: float | Absent, kind: str) -> _Row:
    if isinstance(value, Absent):
        return replace(here, kind=f"not measured: {value.not_measured}")
    return replace(here, value=value, kind=kind)


def _source(source: SourceSection) -> Iterator[_Row]:
    here = _Row(section="source", data=source.data, variant=source.variant, name="n", n=source.n)
    yield replace(here, value=source.n, kind="exact")
    accuracy = replace(here, section="source.accuracy")
    for name, share in (("base", source.accuracy.base), ("tuned", source.accuracy.tuned)):
        yield replace(accuracy, name=name, value=share, kind="statistical")
    yield _measured(replace(accuracy, name="drop"), source.accuracy.drop)
    for name in ("forgotten", "gained", "kept", "missed"):
        yield replace(
            here, section="source.flips", name=name, value=getattr(source.flips, name), kind="exact"
        )
    for name in ("exact", "mid_p"):
        test = replace(here, section="source.mcnemar", name=name)
        p = source.mcnemar
        yield _plain(test, p if isinstance(p, Absent) else getattr(p, name), "statistical")
    yield from _log_loss(replace(here, section="source.nll"), source.nll)
    yield _measured(replace(here, name="disagreement"), source.disagreement)
    for soft in source.soft:
        yield _measured(replace(here, section="source.soft", name=soft.measure), soft.value)
    if not isinstance(source.calibration, Absent):
        for name, value in source.calibration:
            yield replace(here, section="source.calibration", name=name, value=value, kind="diagnostic")
    for section, results in (("per_class", source.per_class), ("per_group", source.per_group)):
        for result in results:
            mine = replace(here, name=result.name, n=result.n)
            for name, share in (
                ("base", result.base),
                ("tuned", result.tuned),
                ("adjusted_p", result.adjusted_p),
            ):
                yield replace(mine, section=f"source.{section}.{name}", value=share, kind="statistical")
            yield _measured(replace(mine, section=f"source.{section}.drop"), result.drop)


def _log_loss(here: _Row, loss: LogLoss) -> Iterator[_Row]:
    yield _plain(replace(here, name="base"), loss.base, "statistical")
    yield _plain(replace(here, name="tuned"), loss.tuned, "statistical")
    yield _measured(replace(here, name="increase"), loss.increase)


def _lost(lost: LostExample) -> Iterator[_Row]:
    here = _Row(section="lost", data=lost.data, variant=lost.variant, name=lost.id, n=lost.n, kind="exact")
    for size in ("confidence", "nll_increase"):
        if (value := getattr(lost, size)) is not None:
            yield replace(here, section=f"lost.{size}", value=value)


def _score(score: ScoreSection) -> Iterator[_Row]:
    here = _Row(section="scores", data=score.data, variant=score.variant, name=score.metric, n=score.n)
    yield replace(here, section="scores.base", value=score.base, kind="statistical")
    yield replace(here, section="scores.tuned", value=score.tuned, kind="statistical")
    yield _measured(replace(here, section="scores.increase"), score.increase)


def _features(features: FeatureSection) -> Iterator[_Row]:
    for layer in features.layers:
        here = _Row(
            section="features.cka", data=features.data, variant=features.variant, name=layer.layer, n=layer.n
        )
        yield _measured(here, layer.cka)


def _rival(rival: RivalSection) -> Iterator[_Row]:
    here = _Row(
        section="rivals.advantage_of_first",
        data=rival.data,
        variant=rival.first,
        name=rival.second,
        n=rival.n,
    )
    yield _measured(here, rival.advantage_of_first)


def _weights(weights: WeightSection) -> Iterator[_Row]:
    here = _Row(section="weights", variant=weights.variant, name="")
    for name, total in (("total", weights.total), ("running", weights.running)):
        yield from _sizes(replace(here, section=f"weights.{name}"), total)
    yield _plain(replace(here, name="median_cosine"), weights.median_cosine, "exact")
    for layer in weights.layers:
        yield from _sizes(replace(here, section="weights.layers", name=layer.layer), layer.parameters)
    for row in weights.tensors:
        yield from _sizes(replace(here, section="weights.tensors", name=row.name), row)


def _budget(budget: BudgetSection | BudgetAbsent) -> Iterator[_Row]:
    here = _Row(section="budget", variant=budget.variant, name="used")
    if isinstance(budget, BudgetAbsent):
        yield replace(here, kind=f"not measured: {budget.not_measured}")
        return
    yield replace(here, value=budget.used, n=budget.n_steps, kind="bound")
    for row in budget.tensors:
        yield _plain(replace(here, section="budget.tensors.used", name=row.tensor), row.used, "bound")


def _sizes(here: _Row, measured: WeightTotal | TensorRow) -> Iterator[_Row]:
    for size in ("distance", "relative", "one_minus_cosine", "max_abs"):
        place = replace(
            here, name=here.name or size, section=here.section if not here.name else f"{here.section}.{size}"
        )
        yield _plain(place, getattr(measured, size), "exact")
