"""The layers of a run over its checkpoints: CKA and weight distance side by side, step by step."""

from collections.abc import Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Caps, Cell, Column, Table
from forgetaudit.renderers.lines import LABEL, Line, evenly
from forgetaudit.renderers.tables import left_out
from forgetaudit.report.parts import Absent
from forgetaudit.report.trace import TraceLayer, TracePoint, TraceSection
from forgetaudit.wording import counted

__all__ = ["layer_lines", "layers_over_steps"]

_CELL = 13
_MOST_STEPS = 5
_MOST_LAYERS = 14
_MOST_COLUMNS = 10


def layer_lines(trace: TraceSection) -> Iterator[Line]:
    """A line for each layer; nothing where no layer was measured. Evenly spaced steps where there are many."""
    shown = evenly(trace.points, _MOST_STEPS)
    layers = shown[-1].layers
    if not layers:
        return
    wide = max(LABEL, *(len(one.layer) + 2 for one in layers))
    yield [(f"{'layers':<{wide}}", "label"), ("CKA and ‖Δ‖/‖θ₀‖, at step", "dim")]
    steps = "".join(f"{_step(point):<{_CELL}}" for point in shown)
    yield [(" " * wide, ""), (steps.rstrip(), "label")]
    for one in evenly(layers, _MOST_LAYERS):
        cells = "".join(f"{_cell(_of(point, one.layer)):<{_CELL}}" for point in shown)
        yield [(f"{one.layer:<{wide}}", ""), (cells.rstrip(), "dim")]
    if (hidden := len(layers) - _MOST_LAYERS) > 0:
        yield [("…", "dim"), (f" {counted(hidden, 'layer')} between, all in the report", "dim")]
    yield []


def layers_over_steps(trace: TraceSection, caps: Caps) -> Iterator[Table]:
    """Of CKA and of weight distance a table each: a row a layer, a column a checkpoint; none without layers."""
    points = evenly(trace.points, _MOST_COLUMNS)
    layers = evenly(points[-1].layers, caps.layers)
    kinds = {
        "CKA by layer": "Debiased linear CKA with base, the lowest over the source data: diagnostic.",
        "Weight distance by layer": "‖Δ‖/‖θ₀‖ of the parameters: exact.",
    }
    for number, (title, kind) in enumerate(kinds.items() if layers else ()):
        hidden = len(trace.points) - len(points), len(points[-1].layers) - len(layers)
        yield Table(
            ident="layers-over-steps",
            title=title,
            columns=(
                Column(title="layer"),
                *(Column(title=_step(point), numeric=True) for point in points),
            ),
            rows=tuple(
                (
                    Cell(text=one.layer, named=True),
                    *(Cell(text=_values(_of(point, one.layer))[number]) for point in points),
                )
                for one in layers
            ),
            note=" ".join(
                filter(None, (kind, left_out(hidden[0], "checkpoint"), left_out(hidden[1], "layer")))
            ),
        )


def _of(point: TracePoint, layer: str) -> TraceLayer | None:
    return next((one for one in point.layers if one.layer == layer), None)


def _cell(layer: TraceLayer | None) -> str:
    """`0.878 0.123`."""
    cka, relative = _values(layer)
    return f"{cka:<5} {relative}"


def _values(layer: TraceLayer | None) -> tuple[str, str]:
    """CKA and relative distance; a dot for what was not measured."""
    if layer is None:
        return "·", "·"
    cka = "·" if isinstance(layer.cka, Absent) else numbers.unit(layer.cka.estimate)
    return cka, "·" if isinstance(layer.relative, Absent) else numbers.unit(layer.relative)


def _step(point: TracePoint) -> str:
    name = point.variant if point.step is None else f"{point.step}"
    return name if len(name) < _CELL else f"…{name[2 - _CELL :]}"
