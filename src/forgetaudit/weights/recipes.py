"""What was trained, told from which parameters moved at all: recipes that leave the rest bit-identical."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Role, TensorChange, WeightChanges
from forgetaudit.weights.groups import by_layer
from forgetaudit.weights.layer_names import BLOCK, HEAD, LayerNames, layer_names

__all__ = ["LayerRates", "Recipe", "find_layer_rates", "find_recipe"]

Kind = Literal["bias-only", "norm-only", "head-only", "last-blocks-only"]

_NORM = re.compile(r"(^|_)(layer|batch|group|rms|instance)?_?(norm|ln|bn)(_|\d|$)|layernorm", re.IGNORECASE)
_MIN_BLOCKS, _MIN_RATE_BLOCKS = 3, 6
# A straight line through log-distances: how much of their spread it has to explain, and how steep it has to be.
_MIN_R_SQUARED = 0.95
_RATES = (0.3, 0.97)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What alone was trained, by the bytes: `n_changed` of `n_parameters` tensors, perhaps the last `blocks`."""

    kind: Kind
    n_changed: int
    n_parameters: int
    blocks: tuple[str, ...] = ()
    n_blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRates:
    """Blocks moved by a constant factor less for every block towards the input, as layer-wise rates would have it."""

    factor: float
    r_squared: float
    n_blocks: int


def find_recipe(changes: WeightChanges) -> Recipe | None:
    """The narrowest recipe that explains which parameters moved; None where none does, or everything moved."""
    rows = [row for row in changes.tensors if row.role is Role.PARAMETER]
    moved = [row for row in rows if not row.is_unchanged]
    still = [row for row in rows if row.is_unchanged]
    if not moved or not still:
        return None
    places = layer_names(row.name for row in changes.tensors)
    found = Recipe(kind="bias-only", n_changed=len(moved), n_parameters=len(rows))
    norms = _norms(changes)
    if all(row.name.endswith("bias") for row in moved) and any(
        not row.name.endswith("bias") for row in still
    ):
        return found
    if all(_module(row) in norms for row in moved):
        return replace(found, kind="norm-only")
    stages = {row.name: _stage(row, places) for row in moved}
    if all(stage == HEAD for stage in stages.values()):
        return replace(found, kind="head-only")
    return _last_blocks(moved, places, stages, found)


def _last_blocks(
    moved: Sequence[TensorChange], places: LayerNames, stages: dict[str, str], found: Recipe
) -> Recipe | None:
    blocks = places.blocks
    touched = {block for block in blocks for row in moved if row.name.startswith(f"{block}.")}
    last = blocks[len(blocks) - len(touched) :]
    whole = set(last) == touched and set(stages.values()) <= {BLOCK, HEAD, "rest"}
    if len(blocks) < _MIN_BLOCKS or not touched or len(touched) == len(blocks) or not whole:
        return None
    return replace(found, kind="last-blocks-only", blocks=last, n_blocks=len(blocks))


def _module(row: TensorChange) -> str:
    return row.name.rpartition(".")[0]


def _norms(changes: WeightChanges) -> frozenset[str]:
    """The modules that normalise: by their name, or because they keep running statistics."""
    keeping = {_module(row) for row in changes.tensors if row.role is Role.STATISTIC}
    named = {
        _module(row)
        for row in changes.tensors
        if _NORM.search(_module(row).rpartition(".")[2]) and _is_vector(row)
    }
    return frozenset(keeping | named)


def _is_vector(row: TensorChange) -> bool:
    info = row.base or row.tuned
    return info is not None and len(info.shape) <= 1


def _stage(row: TensorChange, places: LayerNames) -> str:
    layers = [layer for layer in places.stages if row.name.startswith(f"{layer}.") or not layer]
    return places.stages[max(layers, key=len)] if layers else "rest"


def find_layer_rates(changes: WeightChanges) -> LayerRates | NotMeasured:
    """The slope of log RMS(Δ) over the blocks, where a straight line explains it.

    An optimizer like Adam moves weights in proportion to the rate, so layer-wise rates that fall by a factor for every
    block towards the input (Howard and Ruder, arXiv 1801.06146) show as a line. A diagnostic: other things grow, too.
    """
    places = layer_names(row.name for row in changes.tensors)
    groups = by_layer(changes, list(places.stages))
    moves = [
        0.5 * math.log(group.parameters.delta_square / group.parameters.n_elements)
        for group in groups
        if places.stages.get(group.name) == BLOCK and group.parameters.delta_square > 0
    ]
    if len(moves) < _MIN_RATE_BLOCKS or len(moves) < len(places.blocks):
        return NotMeasured(f"{len(moves)} blocks moved, {_MIN_RATE_BLOCKS} are needed, and all of them")
    slope, r_squared = _line(moves)
    factor = math.exp(-slope)
    if r_squared < _MIN_R_SQUARED or not _RATES[0] <= factor <= _RATES[1]:
        return NotMeasured("the blocks' distances do not fall by one factor towards the input")
    return LayerRates(factor=factor, r_squared=r_squared, n_blocks=len(moves))


def _line(values: Sequence[float]) -> tuple[float, float]:
    """Slope and R² of the least-squares line through (0, y₀), (1, y₁) and so on."""
    n = len(values)
    x_mean, y_mean = (n - 1) / 2, math.fsum(values) / n
    spread = math.fsum((x - x_mean) ** 2 for x in range(n))
    slope = math.fsum((x - x_mean) * (y - y_mean) for x, y in enumerate(values)) / spread
    whole = math.fsum((y - y_mean) ** 2 for y in values)
    rest = math.fsum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in enumerate(values))
    return slope, 1 - rest / whole if whole > 0 else 0.0
