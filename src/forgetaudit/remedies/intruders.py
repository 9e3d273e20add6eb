"""Intruder dimensions: directions of a fine-tuned matrix that are near none of base's, damped.

Where fine-tuning adds them, forgetting was found to sit in them (Shuttleworth et al., arXiv 2410.21228: their singular
values scaled by λ < 1 win source accuracy back for little of the target's).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from forgetaudit.engine.variants import Variant
from forgetaudit.models.layers import Stage
from forgetaudit.remedies.depth import Depths
from forgetaudit.remedies.edits import Damped
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.weights.spectrum import TOP, find_intruders, leading_factors

__all__ = ["LAMBDAS", "Intruders", "damped", "find"]

LAMBDAS = (0.75, 0.5, 0.25, 0.0)
# Smaller matrices have no room for directions far from all others; larger ones would take gigabytes in float64.
_LEAST_SIDE = 16
_MOST_ELEMENTS = 1 << 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Intruders:
    """By slot the directions that intrude, at full strength, and how many matrices were looked at."""

    found: Mapping[str, Damped]
    n_matrices: int


def find(base: Variant, tuned: Variant, moved: Collection[str], depths: Depths) -> Intruders:
    """Among the leading TOP directions of every matrix in a block that moved. `moved` are slots that share nothing."""
    found, n_matrices = {}, 0
    for slot, tensor in tuned.tensors.items():
        if slot in moved and depths.stage[slot] is Stage.BLOCK and _is_matrix(tensor):
            n_matrices += 1
            for directions in _intruders_of(base.tensors[slot], tensor):
                found[slot] = directions
    return Intruders(found=found, n_matrices=n_matrices)


def damped(intruders: Intruders) -> Iterator[Remedy]:
    """All of them at λ of their strength, for each of LAMBDAS."""
    n = sum(len(directions.values) for directions in intruders.found.values())
    for strength in LAMBDAS if n else ():
        yield Remedy(
            name=f"intruders {strength:g}",
            family="intruders",
            strengths={},
            edits={
                slot: replace(directions, strength=strength) for slot, directions in intruders.found.items()
            },
            said=f"{n} intruder dimensions of {len(intruders.found)} matrices kept at {strength:g} of their "
            "strength",
        )


def _is_matrix(tensor: Tensor) -> bool:
    if tensor.ndim < 2 or not tensor.is_floating_point():
        return False
    side = min(tensor.shape[0], tensor.numel() // max(tensor.shape[0], 1))
    return side >= _LEAST_SIDE and tensor.numel() <= _MOST_ELEMENTS


def _intruders_of(base: Tensor, tuned: Tensor) -> Iterator[Damped]:
    """One, or none where none intrudes or a value is not finite."""
    before, after = (part.detach().cpu().double().flatten(1) for part in (base, tuned))
    if not (before.isfinite().all() and after.isfinite().all() and before.any() and after.any()):
        return
    ours, theirs = leading_factors(before.numpy()), leading_factors(after.numpy())
    intruding, _ = find_intruders(ours, theirs.left[:, :TOP])
    if intruding.any():
        left, values, right = (
            torch.from_numpy(part[..., :TOP][..., intruding].copy())
            for part in (theirs.left, theirs.values, theirs.right)
        )
        yield Damped(left=left, values=values, right=right, strength=1.0)
