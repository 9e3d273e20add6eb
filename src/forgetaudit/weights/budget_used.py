"""How much of what the optimizer could do was done to a tensor; read again, where one number a tensor does not tell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forgetaudit.budget.bounds import Travel
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.weights.changes import TensorChange
from forgetaudit.weights.reading import read_rows, row_blocks

__all__ = ["HALF_ULP", "Rounding", "Used", "coordinate_share", "norm_share", "rounding"]

# Half the distance to the next number, relative to the number, and below the smallest normal one.
HALF_ULP: Mapping[str, tuple[float, float]] = {
    "float64": (2.0**-53, 0.0),
    "float32": (2.0**-24, 2.0**-150),
    "float16": (2.0**-11, 2.0**-25),
    "bfloat16": (2.0**-8, 2.0**-134),
    "float8_e4m3fn": (2.0**-4, 2.0**-10),
    "float8_e4m3fnuz": (2.0**-4, 2.0**-11),
    "float8_e5m2": (2.0**-3, 2.0**-17),
    "float8_e5m2fnuz": (2.0**-3, 2.0**-18),
}
# What an optimizer's own arithmetic rounds, relative to the bound; its averages in bfloat16 can double a step.
_ARITHMETIC = {"float64": 1e-6, "float32": 1e-3, "float16": 0.1, "bfloat16": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """What rounding may have added: half an ulp of `written` in each of `n_steps`, and half a one of what was saved."""

    written: str
    saved: str
    n_steps: int

    def slack(self, size: np.ndarray, bound: np.ndarray) -> np.ndarray:
        """For weights that began with the absolute values `size` and can have gone as far as `bound`."""
        relative, least = HALF_ULP[self.written]
        coarse, coarse_least = HALF_ULP[self.saved]
        reached = size + bound
        steps = (self.n_steps + 1) * np.maximum(relative * reached, least)
        slack: np.ndarray = (
            steps + np.maximum(coarse * reached, coarse_least) + _ARITHMETIC[self.written] * bound
        )
        return slack


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """`share` of the bound, without regard to rounding; `refuted` where not even rounding explains it."""

    share: float
    refuted: bool


def rounding(row: TensorChange, declared: str | None, n_steps: int) -> Rounding:
    """By the dtype that the optimizer is said to write; else it wrote what was saved, and no type of eight bits."""
    saved = "float32" if row.tuned is None else row.tuned.dtype
    written = declared or ("bfloat16" if saved.startswith("float8") else saved)
    return Rounding(written=written, saved=saved, n_steps=n_steps)


def coordinate_share(
    row: TensorChange, base: Checkpoint, tuned: Checkpoint, bound: Travel, rounded: Rounding
) -> Used:
    """The largest |Δ|/B over the coordinates, exactly; the tensor is read again where decay makes B differ in them."""
    if row.sums is None or row.base is None or row.tuned is None or row.sums.max_abs_delta == 0.0:
        return Used(share=0.0, refuted=False)
    largest = row.sums.max_abs_delta
    if bound.decay == 0.0 and largest <= bound.reach:
        return Used(share=largest / bound.reach, refuted=False)
    share, refuted = 0.0, False
    for start, stop in row_blocks(row.base):
        before = read_rows(base, row.base.name, start, stop)
        moved = np.abs(read_rows(tuned, row.tuned.name, start, stop) - before)
        size = np.abs(before)
        limit = bound.reach + bound.decay * size
        with np.errstate(all="ignore"):
            shares = np.where(moved > 0, moved / limit, 0.0)
        share = max(share, float(np.nanmax(shares)))
        refuted = refuted or bool(np.any(moved > limit + rounded.slack(size, limit)))
    return Used(share=share, refuted=refuted)


def norm_share(distance: float, base_norm: float, limit: float, rounded: Rounding, n_elements: int) -> Used:
    """‖Δ‖/B in the Euclidean norm, for one tensor or all of them."""
    if distance == 0.0:
        return Used(share=0.0, refuted=False)
    slack = float(rounded.slack(np.asarray(base_norm), np.asarray(limit)))
    slack += HALF_ULP[rounded.saved][1] * (rounded.n_steps + 2) * math.sqrt(n_elements)
    return Used(share=distance / limit if limit else math.inf, refuted=distance > limit + slack)
