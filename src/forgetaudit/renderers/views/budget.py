"""The drift budget: how much of what the optimizer could move was moved, what that rests on, and what it forecasts."""

from collections.abc import Iterator

from forgetaudit.judge.budget_findings import share_words
from forgetaudit.renderers import cells
from forgetaudit.renderers.blocks import Block, Cell, Column, Facts, Table, Tone
from forgetaudit.report.budget import BudgetAbsent, BudgetSection, FurtherSteps, LayerBudget
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["budget"]


def budget(report: AuditReport, variant: str) -> Iterator[Block]:
    """The sentences, and a row a layer for a page; nothing where no budget was asked for."""
    for section in report.budget:
        if section.variant != variant:
            continue
        if isinstance(section, BudgetAbsent):
            reason = f"not measured: {section.not_measured}"
            rows = [("budget", reason), *(("", note) for note in section.notes)]
        else:
            rows = list(_sentences(section))
        refuted = isinstance(section, BudgetSection) and section.refuted
        tone: Tone = "bad" if refuted else ""
        yield Facts(ident="budget", title="Drift budget", rows=tuple(rows), tones=(tone,) * len(rows))
        if isinstance(section, BudgetSection):
            yield _layers(section)


def _sentences(section: BudgetSection) -> Iterator[tuple[str, str]]:
    yield "budget", _used(section)
    if section.used > 1 and not section.refuted:
        yield (
            "",
            f"the excess may be rounding: every step was rounded to {section.written}, as far as is known",
        )
    if isinstance(section.forecast, FurtherSteps):
        yield "", _further(section.forecast)
    yield "", _rests_on(section)
    yield from (("", note) for note in section.notes)


def _used(budget: BudgetSection) -> str:
    of = "" if budget.used > 1 else " of"
    where = budget.most if budget.of == "norm" else f"max {budget.most}"
    steps = counted(budget.n_steps, "step")
    return f"{share_words(budget.used)}{of} what {budget.optimizer} could move in {steps} ({where})"


def _further(forecast: FurtherSteps) -> str:
    steps = counted(forecast.n_steps, "more step")
    decay = f" + {forecast.decay:.2g}·|θ|" if forecast.decay else ""
    return f"{steps} at {forecast.rate:.3g} can add {forecast.reach:.2g}{decay} to any weight"


def _rests_on(budget: BudgetSection) -> str:
    sources = f"by {' and '.join(budget.sources)}" if budget.sources else ""
    assumed = f"assumed, and not proved by any file: {'; '.join(budget.assumed)}" if budget.assumed else ""
    return "; ".join(part for part in (sources, assumed) if part) or "nothing assumed"


def _layers(section: BudgetSection) -> Table:
    return Table(
        ident="budget",
        title="Drift budget by layer",
        what="layer",
        on="page",
        columns=(
            Column(title="layer"),
            Column(title="used", kind="number"),
            Column(title="0 to 1", kind="bar"),
        ),
        rows=tuple(_layer_row(layer) for layer in section.layers),
        note="A bound.",
    )


def _layer_row(layer: LayerBudget) -> tuple[Cell, ...]:
    if isinstance(layer.used, Absent):
        return cells.name(layer.layer), cells.text(f"not measured: {layer.used.not_measured}", "dim"), Cell()
    used = cells.percent(layer.used)
    return (
        cells.name(layer.layer),
        cells.text(used.text, "bad" if layer.used > 1 else ""),
        cells.share(layer.used),
    )
