"""The screen of `weights`: verdict, a table by layer or by tensor, stages and the total, and what was found."""

from collections.abc import Iterator, Sequence
from typing import Literal

from forgetaudit.renderers import numbers
from forgetaudit.renderers.budget_lines import budget_lines
from forgetaudit.renderers.headline import Subject, rule_words, rules_of, subjects, verdict_line
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.phrases import best_advice, files_compared, findings_of, left_words
from forgetaudit.renderers.screen import gap_lines
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.weights import LayerWeights, TensorRow, WeightSection, WeightTotal
from forgetaudit.wording import counted

__all__ = ["By", "weights_screen"]

By = Literal["layer", "tensor"]

_MOST_LAYERS = 60
_WIDEST_NAME = 40


def weights_screen(report: AuditReport, exit_note: str = "", *, by: By = "layer") -> Iterator[Line]:
    """Every line. By tensor, all of them are listed, the unchanged ones too."""
    for subject in subjects(report):
        yield [("forgetaudit weights  ", "bold"), (files_compared(report, subject.variant), "")]
        yield verdict_line(report, subject)
        yield from gap_lines(report, subject)
        yield []
        if subject.weights is not None:
            yield from _table(subject.weights, by)
            yield from _spectra(subject.weights)
            yield from budget_lines(report, subject.variant)
        yield from _rules(report, subject)
        yield from _findings(report, subject)
    yield [(f"exit {exit_note or report.exit_code}", "dim")]


def _table(weights: WeightSection, by: By) -> Iterator[Line]:
    rows = weights.tensors if by == "tensor" else weights.layers
    shown, hidden = rows[: None if by == "tensor" else _MOST_LAYERS], rows[_MOST_LAYERS:]
    names = [row.name if isinstance(row, TensorRow) else row.layer for row in shown]
    wide = max(LABEL, *(min(len(name), _WIDEST_NAME) + 2 for name in names)) if names else LABEL
    length = "‖Δ‖" if isinstance(weights.total.relative, Absent) else "‖Δ‖/‖θ₀‖"
    yield [(f"{by + 's':<{wide}}", "label"), (f"{length:<16}{_HEADING}", "dim")]
    for row in shown:
        yield _tensor_line(row, wide) if isinstance(row, TensorRow) else _layer_line(row, wide)
    if hidden and by == "layer":
        yield [(f"{'…':<{wide}}", "dim"), (f"{len(hidden)} more layers: --output json", "dim")]
    if by == "layer" and len(weights.stages) > 1:
        yield []
        for stage in weights.stages:
            yield _total_line(stage.stage, stage.parameters, wide)
    yield _total_line("total", weights.total, wide)
    if weights.running.n_tensors:
        yield _total_line("running stats", weights.running, wide)
    yield []


_HEADING = f"{'1−cos':<10}{'max|Δ|':<10}changed"
_NO_BASE = "no base was passed"


def _layer_line(layer: LayerWeights, wide: int) -> Line:
    name: Line = [(_name(layer.layer, wide), "")]
    if layer.is_still and not layer.n_cast:
        return [*name, (f"0   {counted(layer.n_tensors, 'tensor')}, bit-identical", "good")]
    if layer.parameters_still and not layer.is_still:
        return [*name, (f"0   but {counted(layer.buffers_moved, 'buffer')} moved", "bad")]
    cast = "equal up to a cast" if layer.is_still else ""
    if isinstance(layer.parameters.distance, Absent):
        return [*name, *_cells(layer.parameters, cast)]
    return [*name, *_cells(layer.parameters, cast), (left_words(layer.parameters), "warn")]


def _tensor_line(row: TensorRow, wide: int) -> Line:
    name: Line = [(_name(row.name, wide), "")]
    if row.change in ("identical", "renamed"):
        renamed = f", there {row.tuned_name}" if row.change == "renamed" else ""
        return [*name, (f"0   bit-identical{renamed}", "good")]
    if row.role == "integer buffer" and not isinstance(row.max_abs, Absent):
        return [*name, (f"counts: moved by up to {row.max_abs:g}", "")]
    return [*name, *_cells(row, "" if row.change in ("changed", "reshaped") else row.change)]


def _total_line(label: str, total: WeightTotal, wide: int) -> Line:
    n = f"{total.n_tensors - total.n_identical} of {counted(total.n_tensors, 'tensor')}{left_words(total)}"
    if not total.n_tensors:
        return [(f"{label:<{wide}}", "dim"), ("·", "dim")]
    return [(f"{label:<{wide}}", "dim"), *_cells(total, "", bar=False), (f"  {n}", "dim")]


def _cells(row: LayerWeights | TensorRow | WeightTotal, said: str, *, bar: bool = True) -> Line:
    measured = row.parameters if isinstance(row, LayerWeights) else row
    relative = measured.relative
    if isinstance(measured.distance, Absent):
        return [(f"·   {measured.distance.not_measured}", "dim")]
    # An adapter by itself has a length and nothing to compare it with.
    alone = isinstance(relative, Absent) and relative.not_measured == _NO_BASE
    length = scientific(measured.distance) if alone else "·"
    length = length if isinstance(relative, Absent) else scientific(relative)
    strip = "" if isinstance(relative, Absent) or not bar else numbers.bar(relative, 6)
    rest = (measured.one_minus_cosine, measured.max_abs)
    cells = "".join(f"{'·' if isinstance(cell, Absent) else scientific(cell):<10}" for cell in rest)
    share = measured.changed_share
    changed = said or ("" if isinstance(share, Absent) else numbers.percent(share))
    return [(f"{length:<9}", ""), (f"{strip:<7}", "bar"), (f"{cells}{changed}", "")]


def scientific(value: float) -> str:
    """Three digits whatever the size: 0.0312, 4.9e-07, 0."""
    if value == 0:
        return "0"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def _name(name: str, wide: int) -> str:
    return f"{name or '(top)':<{wide}}" if len(name) < wide else f"{name} "


def _spectra(weights: WeightSection) -> Iterator[Line]:
    spectra = weights.forensics.spectra if weights.forensics else ()
    if isinstance(spectra, Absent) or not spectra:
        return
    wide = max(LABEL, *(min(len(row.tensor), _WIDEST_NAME) + 2 for row in spectra))
    ranks = f"{'stable':<9}{'effective':<11}{'in base':<9}"
    yield [(f"{'rank of Δ':<{wide}}", "label"), (f"{ranks}intruders", "dim")]
    for row in spectra:
        at_least = "≥" if row.error else ""
        energy = numbers.percent(row.base_energy)
        undecided = f" or up to {row.n_intruders + row.n_undecided}" if row.n_undecided else ""
        cells = f"{row.stable_rank:<9.1f}{at_least + format(row.effective_rank, '.1f'):<11}{energy:<9}"
        yield [(_name(row.tensor, wide), ""), (f"{cells}{row.n_intruders}{undecided} of {row.top}", "")]
    yield []


def _rules(report: AuditReport, subject: Subject) -> Iterator[Line]:
    words = {"fail": ("fail", "bad"), "warned": ("warn", "warn"), "inconclusive": ("open", "warn")}
    mine = rules_of(report, subject)
    for rule in mine:
        word, style = words.get(rule.outcome, ("ok", "good"))
        yield [(f"{word:<6}", style), (rule_words(rule), "")]
    if mine:
        yield []


def _findings(report: AuditReport, subject: Subject) -> Iterator[Line]:
    found = findings_of(report, subject.variant, None)
    told = [finding for finding in found if finding.holds is None]
    yield from _told([finding.title for finding in told], "found ", [f.severity for f in told])
    yield from _told(best_advice(found), "try   ", [])
    if found:
        yield []


def _told(texts: Sequence[str], label: str, severities: Sequence[str]) -> Iterator[Line]:
    styles = {"high": "bad", "medium": "warn"}
    for place, text in enumerate(texts):
        style = styles.get(severities[place], "") if severities else "dim"
        yield [(label, style), (text, "")]
