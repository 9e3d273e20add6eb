"""How much of what the optimizer could do was done to a tensor; read again, where one number a tensor does not tell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from forgetaudit.budget.bounds import ARITHMETIC, TravelBound
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.weights.changes import TensorChange
from forgetaudit.weights.reading import read_rows, row_blocks

__all__ = ["HALF_ULP", "BudgetUsed", "Rounding", "coordinate_share", "fewer_bits", "norm_share", "rounding"]

# e to a larger number is beyond float64.
_MOST_POWERS = 700.0

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
# Two roundings a step, by decay and by the step itself; where 16 bits are rounded at random, by a whole ulp each.
_HALF_ULPS_A_STEP = {"float64": 2, "float32": 2, "float16": 4, "bfloat16": 4}
# What is left of a float32 that was a number of fewer bits: training in these, saved as float32, shows in every value.
_LOW_BITS: Mapping[str, int] = {"bfloat16": 16, "float16": 13}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """What rounding may have added: of `written` in each of `n_steps`, and once of what was saved.

    `declared` says that something told what was written; else numbers that fit into fewer bits are taken at that.
    """

    written: str
    saved: str
    n_steps: int
    declared: bool = False

    def slack(self, size: np.ndarray, bound: np.ndarray) -> np.ndarray:
        """For weights that began with the absolute values `size` and can have gone as far as `bound`.

        Each step rounds what the steps before have rounded: (1 + r)ᵀ − 1 of the largest that a weight can have been.
        """
        relative, least = HALF_ULP[self.written]
        coarse, coarse_least = HALF_ULP[self.saved]
        arithmetic = ARITHMETIC[self.written] * bound
        reached = size + bound + arithmetic
        powers = (self.n_steps + 1) * math.log1p(_HALF_ULPS_A_STEP[self.written] * relative)
        growth = math.expm1(powers) if powers < _MOST_POWERS else math.inf
        with np.errstate(all="ignore"):
            steps = growth * reached + (self.n_steps + 1) * (1 + growth) * least
            slack: np.ndarray = steps + np.maximum(coarse * (reached + steps), coarse_least) + arithmetic
        return slack

    def of_fewer_bits(self, dtype: str) -> "Rounding":
        """The same for numbers that all turned out to be of `dtype`."""
        return replace(self, saved=dtype, written=self.written if self.declared else dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUsed:
    """`share` of the bound, without regard to rounding; `refuted` where not even rounding explains it."""

    share: float
    refuted: bool


def rounding(row: TensorChange, declared: str | None, n_steps: int) -> Rounding:
    """By the dtype that the optimizer is said to write; else it wrote what was saved, and no type of eight bits."""
    saved = "float32" if row.tuned is None else row.tuned.dtype
    written = declared or ("bfloat16" if saved.startswith("float8") else saved)
    return Rounding(written=written, saved=saved, n_steps=n_steps, declared=declared is not None)


def coordinate_share(
    row: TensorChange, base: Checkpoint, tuned: Checkpoint, bound: TravelBound, rounded: Rounding
) -> BudgetUsed:
    """The largest |Δ|/B over the coordinates, exactly; the tensor is read again where decay makes B differ in them."""
    if row.sums is None or row.base is None or row.tuned is None or row.sums.max_abs_delta == 0.0:
        return BudgetUsed(share=0.0, refuted=False)
    largest = row.sums.max_abs_delta
    if bound.decay == 0.0 and largest <= bound.reach:
        return BudgetUsed(share=largest / bound.reach, refuted=False)
    share, refuted = 0.0, False
    if (fewer := fewer_bits(row, tuned)) is not None:
        rounded = rounded.of_fewer_bits(fewer)
    for start, stop in row_blocks(row.base):
        before = read_rows(base, row.base.name, start, stop)
        moved = np.abs(read_rows(tuned, row.tuned.name, start, stop) - before)
        size = np.abs(before)
        limit = bound.reach + bound.decay * size
        with np.errstate(all="ignore"):
            shares = np.where(moved > 0, moved / limit, 0.0)
        share = max(share, float(np.nanmax(shares)))
        refuted = refuted or bool(np.any(moved > limit + rounded.slack(size, limit)))
    return BudgetUsed(share=share, refuted=refuted)


def fewer_bits(row: TensorChange, tuned: Checkpoint) -> str | None:
    """bfloat16 or float16, where every number of a float32 tensor is one of these: it was one, before it was saved."""
    if row.tuned is None or row.tuned.dtype != "float32":
        return None
    left = dict.fromkeys(_LOW_BITS)
    for start, stop in row_blocks(row.tuned):
        bits = read_rows(tuned, row.tuned.name, start, stop).astype(np.float32).view(np.uint32)
        for dtype in [dtype for dtype in left if np.any(bits & ((1 << _LOW_BITS[dtype]) - 1))]:
            del left[dtype]
        if not left:
            return None
    return next(iter(left))


def norm_share(
    distance: float, base_norm: float, limit: float, rounded: Rounding, n_elements: int, margin: float = 0.0
) -> BudgetUsed:
    """‖Δ‖/B in the Euclidean norm, for one tensor or all of them; `margin` is what B itself may be wrong by."""
    if distance == 0.0:
        return BudgetUsed(share=0.0, refuted=False)
    slack = float(rounded.slack(np.asarray(base_norm), np.asarray(limit))) + margin * limit
    slack += HALF_ULP[rounded.saved][1] * (rounded.n_steps + 2) * math.sqrt(n_elements)
    return BudgetUsed(share=distance / limit if limit else math.inf, refuted=distance > limit + slack)
