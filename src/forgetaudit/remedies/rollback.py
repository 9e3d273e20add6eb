"""Variants that take some of their tensors from another: no tensor is copied."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from forgetaudit.engine.variants import Variant

__all__ = ["combined", "moved_slots", "tied_in_all", "tied_slots"]


def combined(name: str, variant: Variant, other: Variant, slots: Collection[str]) -> Variant:
    """`variant` with the tensors of `other` in `slots`, under a name of its own.

    Tuned with base's tensors in one block is that block rolled back; base with tuned's is that block kept alone.
    Tensors are the very objects of the two, so that the engine runs what they share once. Slots that share one tensor
    have to go together: `tied_slots` says which do. ValueError for a slot that there is none of.
    """
    wanted = frozenset(slots)
    if unknown := sorted(wanted - variant.tensors.keys()):
        raise ValueError(f"there is no tensor {unknown[0]} to exchange")
    tensors = {slot: (other if slot in wanted else variant).tensors[slot] for slot in variant.tensors}
    return Variant(name=name, tensors=MappingProxyType(tensors))


def moved_slots(base: Variant, tuned: Variant) -> frozenset[str]:
    """The slots in which the two are not bit-identical; `make_variant` has made equal tensors one object."""
    return frozenset(slot for slot, tensor in base.tensors.items() if tuned.tensors[slot] is not tensor)


def tied_slots(*variants: Variant) -> Mapping[str, frozenset[str]]:
    """For every slot those that share its tensor in any of `variants`, itself among them."""
    groups = {slot: frozenset([slot]) for slot in variants[0].tensors}
    for variant in variants:
        first: dict[int, str] = {}
        for slot, tensor in variant.tensors.items():
            twin = first.setdefault(id(tensor), slot)
            if groups[twin] is not groups[slot]:
                together = groups[twin] | groups[slot]
                groups.update(dict.fromkeys(together, together))
    return groups


def tied_in_all(*variants: Variant) -> Mapping[str, frozenset[str]]:
    """For every slot those that share its tensor in each of `variants`: a head that came apart stands alone."""
    together: dict[tuple[int, ...], set[str]] = {}
    for slot in variants[0].tensors:
        together.setdefault(tuple(id(variant.tensors[slot]) for variant in variants), set()).add(slot)
    return {slot: frozenset(group) for group in together.values() for slot in group}
