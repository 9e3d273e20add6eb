"""The drift budget on the screen and on the page: how much of what the optimizer could do was done."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Bar, Cell, Column, Table
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.report.budget import BudgetAbsent, BudgetSection, FurtherSteps
from forgetaudit.report.budget_findings import share_words
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["budget_lines", "budget_table"]

_ROUNDED = "the excess may be rounding: every step was rounded to {}, as far as is known"


def budget_lines(report: AuditReport, variant: str) -> Iterator[Line]:
    """A line with the share used, one with what it rests on, and one that looks ahead."""
    for budget in report.budget:
        if budget.variant != variant:
            continue
        if isinstance(budget, BudgetAbsent):
            yield _row("budget", f"not measured: {budget.not_measured}", "dim")
        else:
            yield _row("budget", _used(budget), "bad" if budget.refuted else "")
            if budget.used > 1 and not budget.refuted:
                yield _row("", _ROUNDED.format(budget.written))
            if isinstance(budget.forecast, FurtherSteps):
                yield _row("", _further(budget.forecast))
            yield _row("", _rests_on(budget), "dim")
        yield from (_row("", note, "dim") for note in budget.notes)
        yield []


def _row(label: str, text: str, style: str = "") -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, style)]


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
    told = f"by {' and '.join(budget.sources)}" if budget.sources else ""
    assumed = f"assumed, and not proved by any file: {'; '.join(budget.assumed)}" if budget.assumed else ""
    return "; ".join(part for part in (told, assumed) if part) or "nothing assumed"


def budget_table(report: AuditReport, variant: str) -> Table | None:
    """A row a layer; None where there is no budget."""
    budget = next((one for one in report.budget if one.variant == variant), None)
    if budget is None or isinstance(budget, BudgetAbsent):
        return None
    parts = [f"Bound. {_used(budget)}".rstrip("."), _rests_on(budget)]
    if budget.used > 1 and not budget.refuted:
        parts.append(_ROUNDED.format(budget.written))
    if isinstance(budget.forecast, FurtherSteps):
        parts.append(_further(budget.forecast))
    return Table(
        ident="budget",
        title="Drift budget",
        columns=(
            Column(title="layer"),
            Column(title="used", numeric=True),
            Column(title="used, 0 to 1", drawn=True),
        ),
        rows=tuple(
            (
                Cell(text=layer.layer, named=True),
                Cell(text=f"not measured: {layer.used.not_measured}", tone="dim"),
                Cell(),
            )
            if isinstance(layer.used, Absent)
            else (
                Cell(text=layer.layer, named=True),
                Cell(text=numbers.percent(layer.used), tone="bad" if layer.used > 1 else ""),
                Cell(mark=Bar(value=layer.used)),
            )
            for layer in budget.layers
        ),
        note=". ".join((*parts, *budget.notes)) + ".",
    )
