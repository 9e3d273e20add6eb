"""Weight decay's fossil: rows that no gradient ever reached were only shrunk, θ₁ = cθ₀ with c = Π(1 − ηₜλ)."""

import math
from dataclasses import dataclass

import numpy as np

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Change, Role, TensorChange
from forgetaudit.weights.reading import is_as_trained, matrix_shape, read_rows, row_blocks

__all__ = ["DecayOnlyRows", "find_decay_only_rows", "may_hold_unused_rows", "sum_of_rates"]

# Relative rounding of one store, times this: thousands of steps round at random.
_ROUNDINGS = 32
_UNIT = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10}
_MIN_ROWS, _MIN_COLUMNS = 4, 4
_MIN_EMBEDDING_ROWS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayOnlyRows:
    """`n_rows` of a tensor were shrunk by `shrink`, and nothing else was done to them."""

    tensor: str
    n_rows: int
    n_rows_in_all: int
    shrink: float

    @property
    def rate_times_decay(self) -> float:
        """Σ ηₜλ, the sum of learning rate times weight decay over all steps: −ln c, but for terms of (ηλ)²."""
        return -math.log(self.shrink)


def sum_of_rates(fossil: DecayOnlyRows, weight_decay: float) -> float:
    """Σ ηₜ, the learning rates of all steps added up, where the decay is known: decoupled, as in AdamW."""
    return fossil.rate_times_decay / weight_decay


def may_hold_unused_rows(row: TensorChange) -> bool:
    """Whether the tensor is a changed matrix with rows enough, that could be those of tokens or classes never seen."""
    info = row.base
    if row.role is not Role.PARAMETER or row.change is not Change.CHANGED or info is None:
        return False
    n_rows, n_columns = matrix_shape(info)
    return (
        len(info.shape) == 2
        and info.dtype in _UNIT
        and all(side is None or is_as_trained(side) for side in (info, row.tuned))
        and n_rows >= _MIN_EMBEDDING_ROWS
        and n_columns >= _MIN_COLUMNS
    )


def find_decay_only_rows(
    base: Checkpoint, tuned: Checkpoint, base_name: str, tuned_name: str
) -> DecayOnlyRows | NotMeasured:
    """Rows of the tensor that share one shrinkage to the last digits. Reads the tensor once, some rows at a time."""
    dtype = tuned.tensors[tuned_name].dtype
    if dtype not in _UNIT:
        return NotMeasured(f"{dtype} is too coarse to show how far a row was shrunk")
    tolerance = _ROUNDINGS * _UNIT[dtype]
    shrinkages: list[float] = []
    info = base.tensors[base_name]
    for start, stop in row_blocks(info):
        a, b = read_rows(base, base_name, start, stop), read_rows(tuned, tuned_name, start, stop)
        with np.errstate(all="ignore"):
            squares = np.einsum("nd,nd->n", a, a)
            shrunk = np.einsum("nd,nd->n", a, b) / squares
            rest = np.linalg.norm(b - shrunk[:, None] * a, axis=1) / np.sqrt(squares)
        only_shrunk = (rest < tolerance) & (shrunk < 1 - 2 * tolerance) & (shrunk > 0)
        shrinkages += [float(value) for value in shrunk[only_shrunk]]
    if len(shrinkages) < _MIN_ROWS:
        return NotMeasured(f"{len(shrinkages)} rows were only shrunk, {_MIN_ROWS} are needed")
    middle = float(np.median(shrinkages))
    alike = [value for value in shrinkages if abs(value - middle) < tolerance]
    if len(alike) < max(_MIN_ROWS, len(shrinkages) / 2):
        return NotMeasured("rows were shrunk by different factors")
    return DecayOnlyRows(
        tensor=base_name,
        n_rows=len(alike),
        n_rows_in_all=matrix_shape(info)[0],
        shrink=math.fsum(alike) / len(alike),
    )
