"""How small a move the stored dtype can still show."""

from collections.abc import Mapping

from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Change, Role, WeightChanges
from forgetaudit.weights.groups import total

__all__ = ["RESOLUTION", "resolution_note"]

# Relative distance from which rounding no longer swallows moves: half a unit in the last place, 2^-9 for bfloat16.
# Measured for bfloat16: of a true 1e-4 it shows 0.28, of 1e-3 0.82, of 2e-3 all.
RESOLUTION: Mapping[str, float] = {
    "bfloat16": 2.0**-9,
    "float16": 2.0**-12,
    "float8_e4m3fn": 2.0**-4,
    "float8_e5m2": 2.0**-3,
}


def resolution_note(changes: WeightChanges) -> str | None:
    """One sentence where the total relative distance lies below what tuned's dtype resolves, else None."""
    relative = total(changes).relative
    moved = [
        row.tuned.dtype
        for row in changes.tensors
        if row.role is Role.PARAMETER and row.change is Change.CHANGED and row.tuned is not None
    ]
    coarse = [dtype for dtype in moved if dtype in RESOLUTION]
    if isinstance(relative, NotMeasured) or 2 * len(coarse) <= len(moved):
        return None
    dtype = max(set(coarse), key=lambda one: (coarse.count(one), one))
    if relative >= RESOLUTION[dtype]:
        return None
    return (
        f"tuned is stored in {dtype}, which rounds away moves below {RESOLUTION[dtype]:.1g} of a weight: the true"
        f" distance may differ from the {relative:.1g} measured"
    )
