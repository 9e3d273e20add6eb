"""A remedy: how much of what fine-tuning did to each tensor is kept. Most families are a choice of these strengths.

θ = θ0 + λ(θ1 − θ0) with one λ for each tensor: 0 is base's, 1 is tuned's. A mixture has one λ for all, a ramp one for
each depth, a rollback 0 in some parts and 1 elsewhere. What lies on no such line is an edit of single tensors.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from forgetaudit.engine.bit_equality import same_bits
from forgetaudit.engine.variants import Variant
from forgetaudit.remedies.edits import Edit

__all__ = [
    "Remedy",
    "applied",
    "change_of",
    "edited",
    "edited_tensor",
    "mixed",
    "moved_norms",
    "strengthened",
]

# Float64 copies are made of so many values at a time: half a megabyte, five times faster than of millions.
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """`strengths` gives λ by slot; slots that are not named keep 1, tuned's own. `family` is what it is one of.

    `edits` are made on what the strengths mix, by slot; a slot under an edit shares its tensor with no other. `said` is
    how they were made.
    """

    name: str
    family: str
    strengths: Mapping[str, float]
    edits: Mapping[str, Edit] = field(default_factory=dict)
    said: str = ""

    def strength(self, slot: str) -> float:
        """λ of one slot."""
        return self.strengths.get(slot, 1.0)


def mixed(base: Tensor, tuned: Tensor, strength: float, stored: torch.dtype | None = None) -> Tensor:
    """(1 − λ)·base + λ·tuned in float64, in tuned's dtype; through `stored`, if given, the dtype it is written in.

    λ of 0 and 1 are base and tuned themselves. Complex numbers are mixed in complex128; integers and booleans are
    counted or looked up, never averaged: they are base's at λ = 0 and tuned's otherwise.
    """
    if strength == 1 or (strength != 0 and not _is_averaged(tuned)):
        return tuned
    if tuned.device.type == "mps":  # which has no float64
        return mixed(base.cpu(), tuned.cpu(), strength, stored).to(tuned.device)
    made = torch.empty(tuned.shape, dtype=tuned.dtype, device=tuned.device)
    into, ours, theirs = made.view(-1), base.detach().reshape(-1), tuned.detach().reshape(-1)
    exact = torch.complex128 if tuned.is_complex() else torch.float64
    room = [torch.empty(min(_CHUNK, into.numel()), dtype=exact, device=into.device) for _ in range(2)]
    for start in range(0, into.numel(), _CHUNK):
        here = slice(start, start + _CHUNK)
        value = ours[here] if strength == 0 else _between(ours[here], theirs[here], strength, room)
        rounded = stored is not None and stored.is_floating_point and not value.is_complex()
        into[here] = value.to(stored) if rounded else value
    return made


def _is_averaged(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _between(base: Tensor, tuned: Tensor, strength: float, room: Sequence[Tensor]) -> Tensor:
    """In place, in `room`: what is mixed stays in the processor's cache."""
    kept, learned = (one[: len(base)] for one in room)
    kept.copy_(base).mul_(1 - strength)
    return kept.add_(learned.copy_(tuned).mul_(strength))


def applied(
    remedy: Remedy, base: Variant, tuned: Variant, *, stored: Mapping[str, torch.dtype] | None = None
) -> Variant:
    """The variant that the remedy makes: its strengths, then its edits."""
    return edited(remedy, strengthened(remedy, base, tuned, stored=stored), base, tuned, stored=stored)


def strengthened(
    remedy: Remedy, base: Variant, tuned: Variant, *, stored: Mapping[str, torch.dtype] | None = None
) -> Variant:
    """Without the edits. Only tensors with 0 < λ < 1, or rounded to `stored`, take new memory.

    Slots that share a tensor in both, under one λ, share the new one.
    """
    made: dict[tuple[int, int, float], Tensor] = {}
    tensors = {}
    for slot, theirs in tuned.tensors.items():
        ours, strength = base.tensors[slot], remedy.strength(slot)
        if ours is theirs or strength == 1:
            tensors[slot] = theirs
            continue
        dtype = None if stored is None else stored.get(slot)
        if strength == 0 and (dtype is None or not _rounds(ours, dtype)):
            tensors[slot] = ours
            continue
        key = (id(ours), id(theirs), strength)
        if key not in made:
            made[key] = _as_slot(mixed(ours, theirs, strength, dtype), theirs)
        tensors[slot] = made[key]
    return Variant(name=remedy.name, tensors=MappingProxyType(tensors))


def edited(
    remedy: Remedy,
    mixture: Variant,
    base: Variant,
    tuned: Variant,
    *,
    stored: Mapping[str, torch.dtype] | None = None,
) -> Variant:
    """`mixture`, which the strengths made, with the edits. Only edited tensors take new memory."""
    tensors = dict(mixture.tensors)
    for slot in remedy.edits:
        theirs = tuned.tensors[slot]
        dtype = theirs.dtype if stored is None else stored.get(slot, theirs.dtype)
        made = edited_tensor(remedy, slot, base.tensors[slot], theirs).to(dtype)
        tensors[slot] = _as_slot(made.to(theirs.dtype).to(theirs.device), theirs)
    return Variant(name=remedy.name, tensors=MappingProxyType(tensors))


def edited_tensor(remedy: Remedy, slot: str, base: Tensor, tuned: Tensor) -> Tensor:
    """What stands in an edited slot, in float64 on the CPU."""
    exact = mixed(_exact(base), _exact(tuned), remedy.strength(slot))
    return remedy.edits[slot].made(exact)


def _rounds(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether writing `tensor` in `dtype` changes it."""
    if not (
        tensor.is_floating_point() and dtype.is_floating_point and dtype.itemsize < tensor.dtype.itemsize
    ):
        return False
    return not same_bits(tensor, tensor.to(dtype).to(tensor.dtype))


def _as_slot(tensor: Tensor, like: Tensor) -> Tensor:
    if isinstance(like, torch.nn.Parameter) and not isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(tensor, requires_grad=like.requires_grad)
    return tensor


def moved_norms(base: Variant, tuned: Variant) -> dict[str, float]:
    """‖θ1 − θ0‖² of every slot that moved, shared tensors under their first slot only; none where it is not finite."""
    norms: dict[str, float] = {}
    seen: set[tuple[int, int]] = set()
    for slot, theirs in tuned.tensors.items():
        ours = base.tensors[slot]
        if ours is theirs or not _is_averaged(theirs) or (id(ours), id(theirs)) in seen:
            continue
        seen.add((id(ours), id(theirs)))
        square = sum(
            float((_exact(b) - _exact(a)).abs().square().sum())
            for a, b in zip(_chunks(ours), _chunks(theirs), strict=True)
        )
        if math.isfinite(square):
            norms[slot] = square
    return norms


def _exact(tensor: Tensor) -> Tensor:
    """In float64 (complex numbers in complex128), on the CPU: not every device has it."""
    return tensor.detach().cpu().to(torch.complex128 if tensor.is_complex() else torch.float64)


def _chunks(tensor: Tensor) -> Iterator[Tensor]:
    flat = tensor.detach().reshape(-1)
    return (flat[start : start + _CHUNK] for start in range(0, flat.numel(), _CHUNK))


def change_of(remedy: Remedy, norms: Mapping[str, float], base: Variant, tuned: Variant) -> float:
    """How much of fine-tuning's way the remedy takes back: ‖θ − θ1‖ / ‖θ1 − θ0‖, 0 for tuned and 1 for base.

    `norms` are those of `moved_norms`. Edits can lead further than base lies. What is not finite counts nowhere.
    """
    whole = sum(norms.values())
    if whole == 0:
        return 0.0
    square = sum(
        (1 - remedy.strength(slot)) ** 2 * norm for slot, norm in norms.items() if slot not in remedy.edits
    )
    for slot in remedy.edits:
        theirs = tuned.tensors[slot]
        made = edited_tensor(remedy, slot, base.tensors[slot], theirs)
        further = float((made - _exact(theirs)).abs().square().sum())
        square += further if math.isfinite(further) else 0.0
    return math.sqrt(square / whole)
