"""What the bytes and the features said, as tables: layers, totals, the tensors that moved most."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Bar, Caps, Cell, Column, Table, Tone
from forgetaudit.renderers.layer_table import distance_words, most_telling
from forgetaudit.renderers.phrases import left_words
from forgetaudit.report.behaviour import FeatureSection, LayerDrift
from forgetaudit.report.parts import Absent
from forgetaudit.report.weights import LayerWeights, TensorRow, WeightSection, WeightTotal
from forgetaudit.wording import counted

__all__ = ["layers_table", "tensors_table", "totals_table"]

_TONES: dict[str, Tone] = {"good": "good", "bad": "bad", "dim": "dim"}


def layers_table(weights: WeightSection, features: FeatureSection | None, caps: Caps) -> Table:
    """Every layer with CKA and distance on fixed scales."""
    drift = {layer.layer: layer for layer in features.layers} if features else {}
    shown, left = most_telling(weights.layers, drift, caps.layers)
    cka = (Column(title="CKA", numeric=True), Column(title="CKA, 0 to 1", drawn=True)) if drift else ()
    more = (
        f" {counted(left, 'layer')} between these {'is' if left == 1 else 'are'} in the report."
        if left
        else ""
    )
    kinds = "CKA (debiased, linear): diagnostic, but exact where bytes prove it. " if drift else ""
    return Table(
        ident="layers",
        title="Layers",
        columns=(
            Column(title="layer"),
            *cka,
            Column(title="distance", numeric=True),
            Column(title="distance, 0 to 1", drawn=True),
            Column(title="tensors"),
        ),
        rows=tuple(_layer_row(layer, drift.get(layer.layer), with_cka=bool(drift)) for layer in shown),
        note=f"{kinds}Distance = ‖Δ‖/‖θ₀‖ of the parameters: exact.{more}",
    )


def _layer_row(layer: LayerWeights, drift: LayerDrift | None, *, with_cka: bool) -> tuple[Cell, ...]:
    number, said, style = distance_words(layer)
    relative = layer.parameters.relative
    return (
        Cell(text=layer.layer, named=True),
        *(_cka_cells(drift) if with_cka else ()),
        Cell(text=number),
        Cell(mark=None if isinstance(relative, Absent) or layer.is_still else Bar(value=relative)),
        Cell(text=said or f"{layer.n_tensors}", tone=_TONES.get(style, "")),
    )


def _cka_cells(drift: LayerDrift | None) -> tuple[Cell, Cell]:
    if drift is None:
        return Cell(text="·", tone="dim"), Cell()
    if isinstance(drift.cka, Absent):
        return Cell(text=f"not measured: {drift.cka.not_measured}", tone="warn"), Cell()
    exact = drift.cka.kind == "exact"
    return (
        Cell(text=numbers.unit(drift.cka.estimate), tone="good" if exact else ""),
        Cell(mark=Bar(value=drift.cka.estimate)),
    )


_TOTAL_COLUMNS = (
    Column(title="weights"),
    Column(title="changed"),
    Column(title="‖Δ‖", numeric=True),
    Column(title="‖Δ‖/‖θ₀‖", numeric=True),
    Column(title="1 − cosine", numeric=True),
    Column(title="largest Δ", numeric=True),
)


def totals_table(weights: WeightSection) -> Table:
    """Parameters in total, and running statistics apart."""
    said = [weights.resolution] if weights.resolution else []
    if weights.batches_in_training_mode:
        said.append(f"Running statistics moved over {counted(weights.batches_in_training_mode, 'batch')}.")
    return Table(
        ident="totals",
        title="Weights in total",
        columns=_TOTAL_COLUMNS,
        rows=tuple(_total_rows(weights)),
        note=" ".join(["Exact.", *said]),
    )


def _total_rows(weights: WeightSection) -> Iterator[tuple[Cell, ...]]:
    yield _total_row("parameters", weights.total)
    if weights.running.n_tensors:
        yield _total_row("running statistics", weights.running)


def _total_row(name: str, total: WeightTotal) -> tuple[Cell, ...]:
    changed = f"{total.n_tensors - total.n_identical:,} of {counted(total.n_tensors, 'tensor')}"
    return (Cell(text=name), Cell(text=changed + left_words(total)), *_sizes(total))


def _sizes(measured: WeightTotal | TensorRow) -> tuple[Cell, ...]:
    values = (measured.distance, measured.relative, measured.one_minus_cosine, measured.max_abs)
    return tuple(_size(value) for value in values)


def _size(value: float | Absent) -> Cell:
    if isinstance(value, Absent):
        return Cell(text=f"not measured: {value.not_measured}", tone="dim")
    return Cell(text=numbers.plain(value))


def tensors_table(weights: WeightSection, caps: Caps) -> Table | None:
    """The parameters that moved furthest, relative to their size; None where none did, or none are to be shown."""
    moved = [
        row
        for row in weights.tensors
        if row.role == "parameter" and row.change not in ("identical", "renamed")
    ]
    if not moved or not caps.tensors:
        return None
    furthest = sorted(
        moved, key=lambda row: row.relative if isinstance(row.relative, float) else -1.0, reverse=True
    )
    shown, left = furthest[: caps.tensors], len(furthest) - caps.tensors
    more = f" {numbers.count(left)} more changed and moved less; they are in the report." if left > 0 else ""
    return Table(
        ident="tensors",
        title="Parameters that moved furthest",
        columns=(Column(title="tensor"), *_TOTAL_COLUMNS[1:]),
        rows=tuple((Cell(text=row.name, named=True), Cell(text=row.change), *_sizes(row)) for row in shown),
        note=f"Exact; in order of ‖Δ‖/‖θ₀‖.{more}",
    )
