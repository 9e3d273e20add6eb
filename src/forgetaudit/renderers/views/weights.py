"""What the bytes and the features said: layers, totals, tensors, ranks of the change; and the view of `weights`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from forgetaudit.renderers import cells, numbers
from forgetaudit.renderers.blocks import Block, Cell, Column, Heading, On, Table, Tone
from forgetaudit.renderers.headline import Subject, subjects, verdict_line
from forgetaudit.renderers.phrases import left_words
from forgetaudit.renderers.views import shared
from forgetaudit.renderers.views.budget import budget
from forgetaudit.report.behaviour import LayerDrift
from forgetaudit.report.forensics import SpectrumRow
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.weights import LayerWeights, TensorRow, WeightSection, WeightTotal
from forgetaudit.wording import counted, some

__all__ = ["By", "blocks", "weights"]

By = Literal["layer", "tensor"]
_NO_BASE = "no base was passed"


def blocks(report: AuditReport, exit_note: str = "", *, by: By = "layer") -> Iterator[Block]:
    """The report of `weights`; by tensor, a screen lists all of them, the unchanged ones too."""
    for subject in subjects(report):
        yield shared.verdict(report, subject, verdict_line(report, subject))
        yield Heading(text=subject.variant)
        yield from weights(report, subject, by=by)
        yield from shared.rules(report, subject)
        yield shared.findings(report, subject)
    yield from shared.closing(report, exit_note)


def weights(report: AuditReport, subject: Subject, *, by: By = "layer") -> Iterator[Block]:
    """Everything that is known of one variant's weights, with the drift of its layers where it was measured."""
    section = subject.weights
    if section is None:
        return
    drift = {layer.layer: layer for layer in subject.features.layers} if subject.features else {}
    yield _layers(section, drift, on="all" if by == "layer" else "page")
    yield _totals(section, on="page" if subject.source else "all")
    yield from _tensors(section, by)
    yield from _ranks(section)
    yield from budget(report, subject.variant)


def _layers(section: WeightSection, drift: Mapping[str, LayerDrift], *, on: On) -> Table:
    """Every layer in the order of the network, and the total."""
    sizes: On = "page" if drift else "all"
    total = section.total
    n_changed = f"{total.n_tensors - total.n_identical:,} of {total.n_tensors:,} changed"
    return Table(
        ident="layers",
        title="Layers",
        what="layer",
        on=on,
        columns=(
            Column(title="layer"),
            *((Column(title="CKA", kind="number"), Column(title="0 to 1", kind="bar")) if drift else ()),
            Column(title="‖Δ‖/‖θ₀‖" if _has_base(section) else "‖Δ‖", kind="number"),
            Column(title="0 to 1", kind="bar"),
            Column(title="1−cos", kind="number", on=sizes),
            Column(title="largest Δ", kind="number", on=sizes),
            Column(title="changed", kind="number", on=sizes),
            Column(title="tensors"),
        ),
        rows=tuple(
            _layer_row(layer, drift.get(layer.layer), with_cka=bool(drift)) for layer in section.layers
        ),
        total=(
            cells.text("total", "dim"),
            *((Cell(), Cell()) if drift else ()),
            *_moved(total, bar=False),
            cells.text(n_changed + left_words(total), "dim"),
        ),
        weight=tuple(_telling(section.layers, drift)),
        note=_layers_note(drift),
    )


def _has_base(section: WeightSection) -> bool:
    """An adapter by itself has a length and nothing to compare it with."""
    return not (
        isinstance(section.total.relative, Absent) and section.total.relative.not_measured == _NO_BASE
    )


def _telling(layers: Sequence[LayerWeights], drift: Mapping[str, LayerDrift]) -> Iterator[float]:
    """The ends and the head first, then what drifted or moved most."""
    for at, layer in enumerate(layers):
        found = drift[layer.layer].cka if layer.layer in drift else None
        drifted = 1 - found.estimate if found is not None and not isinstance(found, Absent) else 0.0
        moved = layer.parameters.relative
        at_end = at in (0, len(layers) - 1) or layer.stage == "head"
        yield 2.0 * at_end + drifted + (0.0 if isinstance(moved, Absent) else min(moved, 1.0) / 10)


def _layers_note(drift: Mapping[str, LayerDrift]) -> str:
    absent: dict[str, list[str]] = {}
    for layer in drift.values():
        if isinstance(layer.cka, Absent):
            absent.setdefault(layer.cka.not_measured, []).append(layer.layer)
    reasons = [f"No CKA of {some(names)}: {reason}." for reason, names in absent.items()]
    kinds = ["CKA (debiased, linear): diagnostic, but exact where bytes prove it."] if drift else []
    return " ".join([*kinds, "Distance of the parameters: exact.", *reasons])


def _layer_row(layer: LayerWeights, drift: LayerDrift | None, *, with_cka: bool) -> tuple[Cell, ...]:
    words, tone = _layer_words(layer)
    still = layer.is_still and not layer.n_cast
    sizes = (Cell(text="0"), *(Cell() for _ in range(4))) if still else _moved(layer.parameters, bar=True)
    return (
        cells.name(layer.layer or "(top)"),
        *(_cka(drift) if with_cka else ()),
        *sizes,
        cells.text(words, tone),
    )


def _layer_words(layer: LayerWeights) -> tuple[str, Tone]:
    """What there is to say beside the numbers."""
    n = counted(layer.n_tensors, "tensor")
    if layer.is_still:
        return (f"equal up to a cast: {n}" if layer.n_cast else f"frozen: {n} bit-identical"), "good"
    if layer.parameters_still:
        return f"parameters still, but {counted(layer.buffers_moved, 'buffer')} moved", "bad"
    if isinstance(layer.parameters.distance, Absent):
        return layer.parameters.distance.not_measured, "dim"
    left = left_words(layer.parameters).removeprefix(", ")
    return (left, "warn") if left else (f"{layer.n_tensors}", "")


def _cka(drift: LayerDrift | None) -> tuple[Cell, Cell]:
    if drift is None:
        return cells.text("·", "dim"), Cell()
    if isinstance(drift.cka, Absent):
        return cells.text("not measured", "warn"), Cell()
    exact = drift.cka.kind == "exact"
    number = cells.text(numbers.unit(drift.cka.estimate), "good" if exact else "")
    return number, cells.share(drift.cka.estimate)


def _moved(row: WeightTotal | TensorRow, *, bar: bool) -> tuple[Cell, ...]:
    """Relative distance (the length where there is no base) with its bar, cosine, largest change, share changed."""
    relative = row.relative
    alone = isinstance(relative, Absent) and relative.not_measured == _NO_BASE
    share = cells.share(relative) if bar else Cell()
    return (
        cells.number(row.distance if alone else relative, _relative),
        share,
        cells.number(row.one_minus_cosine, scientific),
        cells.number(row.max_abs, scientific),
        cells.percent(row.changed_share),
    )


def _relative(value: float) -> str:
    """As CKA beside it, but small ones in three digits: 0.100, 0.00818."""
    return numbers.unit(value) if 0.01 <= value < 1e3 else scientific(value)


def scientific(value: float) -> str:
    """Three digits whatever the size: 0.0312, 4.9e-07, 0."""
    if value == 0:
        return "0"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def _totals(section: WeightSection, *, on: On) -> Table:
    """Stages, parameters in total, and running statistics apart."""
    stages = section.stages if len(section.stages) > 1 else ()
    totals = [(stage.stage, stage.parameters) for stage in stages] + [("parameters", section.total)]
    if section.running.n_tensors:
        totals.append(("running statistics", section.running))
    notes = [section.resolution] if section.resolution else []
    if section.batches_in_training_mode:
        notes.append(f"Running statistics moved over {counted(section.batches_in_training_mode, 'batch')}.")
    return Table(
        ident="totals",
        title="Weights in total",
        what="total",
        folded=True,
        on=on,
        columns=(
            Column(title="weights"),
            Column(title="‖Δ‖", kind="number"),
            *_SIZES,
            Column(title="tensors"),
        ),
        rows=tuple(
            (
                cells.text(name),
                cells.number(total.distance, scientific),
                *_sizes(total),
                cells.text(
                    f"{total.n_tensors - total.n_identical:,} of {total.n_tensors:,}{left_words(total)}"
                ),
            )
            for name, total in totals
        ),
        note=" ".join(["Exact, over all elements.", *notes]),
    )


_SIZES = (
    Column(title="‖Δ‖/‖θ₀‖", kind="number"),
    Column(title="1−cos", kind="number"),
    Column(title="largest Δ", kind="number"),
    Column(title="changed", kind="number"),
)


def _sizes(row: WeightTotal | TensorRow) -> tuple[Cell, ...]:
    values = (row.relative, row.one_minus_cosine, row.max_abs)
    return (*(cells.number(value, _relative) for value in values), cells.percent(row.changed_share))


def _tensors(section: WeightSection, by: By) -> Iterator[Table]:
    """The parameters that moved furthest; on a screen every tensor, where that was asked for."""
    moved = [row for row in section.tensors if row.role == "parameter" and not row.is_unchanged]
    furthest = sorted(
        moved, key=lambda row: row.relative if isinstance(row.relative, float) else -1.0, reverse=True
    )
    if furthest:
        yield _tensor_table("tensors", "Parameters that moved furthest", furthest, on="page")
    if by == "tensor":
        yield _tensor_table("every-tensor", "Tensors", section.tensors, on="screen")


def _tensor_table(ident: str, title: str, rows: Sequence[TensorRow], *, on: On) -> Table:
    return Table(
        ident=ident,
        title=title,
        what="tensor",
        bulky=on == "page",
        whole=on == "screen",
        folded=True,
        on=on,
        columns=(
            Column(title="tensor"),
            Column(title="‖Δ‖", kind="number", on="page"),
            *_SIZES,
            Column(title="what became of it"),
        ),
        rows=tuple(
            (
                cells.name(row.name),
                cells.number(row.distance, scientific),
                *_sizes(row),
                cells.text(_tensor_words(row), "good" if row.is_unchanged else ""),
            )
            for row in rows
        ),
        note="Exact; in order of ‖Δ‖/‖θ₀‖." if on == "page" else "",
    )


def _tensor_words(row: TensorRow) -> str:
    if row.role == "integer buffer" and not isinstance(row.max_abs, Absent):
        return f"counts: moved by up to {row.max_abs:g}"
    if row.change == "renamed":
        return f"bit-identical, there {row.tuned_name}"
    if isinstance(row.distance, Absent):
        return f"{row.change}: {row.distance.not_measured}"
    return "bit-identical" if row.change == "identical" else row.change


def _ranks(section: WeightSection) -> Iterator[Table]:
    spectra = section.forensics.spectra if section.forensics else ()
    if isinstance(spectra, Absent) or not spectra:
        return
    yield Table(
        ident="ranks",
        title="Rank of the change",
        what="matrix",
        folded=True,
        columns=(
            Column(title="rank of Δ"),
            Column(title="stable", kind="number"),
            Column(title="effective", kind="number"),
            Column(title="in base", kind="number"),
            Column(title="intruders"),
        ),
        rows=tuple(_rank_row(row) for row in spectra),
        note="Ranks are a diagnostic.",
    )


def _rank_row(row: SpectrumRow) -> tuple[Cell, ...]:
    at_least = "≥" if row.error else ""
    undecided = f" or up to {row.n_intruders + row.n_undecided}" if row.n_undecided else ""
    return (
        cells.name(row.tensor),
        cells.text(f"{row.stable_rank:.1f}"),
        cells.text(f"{at_least}{row.effective_rank:.1f}"),
        cells.percent(row.base_energy),
        cells.text(f"{row.n_intruders}{undecided} of {row.top}"),
    )
