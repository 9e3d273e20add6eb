"""Variants: named assignments of weights to the slots of one skeleton module.

A *slot* is a name under which a tensor hangs on the skeleton. Names that share one tensor (tied weights) are
several slots, so that a fine-tune which untied them can be expressed too.
"""

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from forgetaudit.engine.bit_equality import CACHE_LINE, same_bits
from forgetaudit.errors import MismatchError, ModelError, listing

__all__ = ["Slot", "Variant", "make_variant", "slots"]

Place = tuple[MutableMapping[Any, Any] | MutableSequence[Any], Any]

# What every nn.Module has of its own; a tensor found elsewhere on a module is one that PyTorch does not know of.
_REGISTRIES = frozenset(vars(nn.Module()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A name, and every place (container, key) on the skeleton whose tensor goes by it."""

    name: str
    places: tuple[Place, ...]
    is_parameter: bool
    is_persistent: bool

    @property
    def tensor(self) -> Tensor:
        """The tensor that hangs there now."""
        container, key = self.places[0]
        tensor: Tensor = container[key]
        return tensor

    def hang(self, tensor: Tensor) -> None:
        """Put `tensor` in every place of the slot."""
        for container, key in self.places:
            container[key] = tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A tensor for every slot of a skeleton. Bit-identical tensors of two variants are best one object."""

    name: str
    tensors: Mapping[str, Tensor]


def slots(model: nn.Module) -> dict[str, Slot]:
    """Every named tensor of `model`, tied names and non-persistent buffers included, in `state_dict` order.

    A tensor that also hangs outside the registries of its module (in a plain attribute, list or dict) has those
    places in its first slot. Raises ModelError where a tensor hangs where it cannot be exchanged.
    """
    found: dict[str, Slot] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, torch.jit.ScriptModule):
            raise ModelError(
                f"module {path or 'model'!r} is TorchScript, whose tensors cannot be exchanged",
                hint="build the model from its Python code",
            )
        found.update((slot.name, slot) for slot in _registered(path, module))
    _add_hidden_places(model, found)
    return found


def make_variant(
    name: str, skeleton: nn.Module, state: Mapping[str, Tensor], like: Variant | None = None
) -> Variant:
    """The variant of `skeleton` whose tensors are those of `state`, as they are in dtype and device.

    A name missing from `state` takes the tensor of a name it is tied to on the skeleton; non-persistent buffers
    are the skeleton's. Tensors take the skeleton's strides and are copied where their memory is not aligned
    as PyTorch aligns its own, because both change the last bits of a product. What is bit-identical in `like`
    becomes the tensor object of `like`. Raises MismatchError where names or shapes do not fit.
    """
    places = slots(skeleton)
    chosen = _choose(name, places, state)
    made: dict[int, Tensor] = {}
    tensors: dict[str, Tensor] = {}
    for slot_name, tensor in chosen.items():
        slot = places[slot_name]
        if id(tensor) not in made:
            made[id(tensor)] = _like_slot(tensor, slot)
        tensors[slot_name] = _interned(slot_name, made[id(tensor)], places, tensors, like)
    return Variant(name=name, tensors=MappingProxyType(tensors))


def _registered(path: str, module: nn.Module) -> Iterator[Slot]:
    prefix = f"{path}." if path else ""
    for registry, is_parameter in ((module._parameters, True), (module._buffers, False)):
        for key, tensor in registry.items():
            if tensor is not None:
                yield Slot(
                    name=prefix + key,
                    places=((registry, key),),
                    is_parameter=is_parameter,
                    is_persistent=key not in module._non_persistent_buffers_set,
                )


def _add_hidden_places(model: nn.Module, found: dict[str, Slot]) -> None:
    first_name: dict[int, str] = {}
    storages: dict[int, str] = {}
    for name, slot in found.items():
        first_name.setdefault(id(slot.tensor), name)
        storages.setdefault(_storage(slot.tensor), name)
    for path, module in model.named_modules():
        for attribute, place, tensor in _unregistered(module):
            twin = first_name.get(id(tensor))
            if twin is not None and place is not None:
                found[twin] = replace(found[twin], places=(*found[twin].places, place))
            elif twin is not None or _storage(tensor) in storages:
                raise ModelError(
                    f"module {path or 'model'!r} keeps {twin or storages[_storage(tensor)]} a second time, "
                    f"as {attribute!r}, where it cannot be exchanged",
                    hint="let forward read the parameter itself instead of a kept view or tuple of it",
                )


def _unregistered(module: nn.Module) -> Iterator[tuple[str, Place | None, Tensor]]:
    """Tensors in plain attributes and in lists, dicts and tuples there, with a place where they can be exchanged."""
    if isinstance(module, nn.RNNBase):
        return  # its list of flat weights follows its parameters by itself
    for attribute, value in vars(module).items():
        if attribute in _REGISTRIES or _is_made_anew(module, attribute):
            continue
        entries: list[tuple[Place | None, Any]]
        match value:
            case Tensor():
                entries = [((vars(module), attribute), value)]
            case list():
                entries = [((value, i), entry) for i, entry in enumerate(value)]
            case dict():
                entries = [((value, key), entry) for key, entry in value.items()]
            case tuple():
                entries = [(None, entry) for entry in value]
            case _:
                continue
        yield from ((attribute, place, entry) for place, entry in entries if isinstance(entry, Tensor))


def _is_made_anew(module: nn.Module, attribute: str) -> bool:
    """Whether a hook makes it of a parameter before each call, as `torch.nn.utils.spectral_norm` does.

    Until the first call it lies in the memory of the parameter.
    """
    return f"{attribute}_orig" in module._parameters and bool(module._forward_pre_hooks)


def _storage(tensor: Tensor) -> int:
    """Where the memory of `tensor` begins; tensors without memory of their own answer each for themselves."""
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        return -id(tensor)
    return tensor.untyped_storage().data_ptr() or -id(tensor)


def _choose(name: str, places: Mapping[str, Slot], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    ties: dict[int, list[str]] = {}
    for slot in places.values():
        ties.setdefault(id(slot.tensor), []).append(slot.name)
    chosen: dict[str, Tensor] = {}
    missing: list[str] = []
    for slot in places.values():
        source = next((n for n in (slot.name, *ties[id(slot.tensor)]) if n in state), None)
        if source is not None:
            chosen[slot.name] = state[source]
        elif not slot.is_persistent and slot.tensor.device.type != "meta":
            chosen[slot.name] = slot.tensor
        else:
            missing.append(slot.name)
    reshaped = [
        f"{n} {tuple(t.shape)} for {tuple(places[n].tensor.shape)}"
        for n, t in chosen.items()
        if t.shape != places[n].tensor.shape
    ]
    wrong = {
        "missing": missing,
        "unknown to the model": [n for n in state if n not in places],
        "of another shape": reshaped,
        "one tensor in the model, two in the checkpoint": _split(places, chosen),
    }
    if any(wrong.values()):
        details = [listing(label, names) for label, names in wrong.items() if names]
        raise MismatchError(f"the tensors of {name} do not fit the model", details=details)
    return chosen


def _split(places: Mapping[str, Slot], chosen: Mapping[str, Tensor]) -> list[str]:
    """Names of one place (a module registered twice) for which `chosen` has different tensors."""
    by_place: dict[tuple[int, Any], str] = {}
    names = []
    for name in chosen:
        container, key = places[name].places[0]
        first = by_place.setdefault((id(container), key), name)
        if not same_bits(chosen[first], chosen[name]):
            names.append(f"{first} and {name}")
    return names


def _like_slot(tensor: Tensor, slot: Slot) -> Tensor:
    """`tensor` with the strides of the slot's tensor, in aligned memory, as a parameter where the slot has one."""
    hung, made = slot.tensor, tensor.detach()
    if made.layout == hung.layout == torch.strided and (
        made.stride() != hung.stride() or made.data_ptr() % CACHE_LINE
    ):
        made = torch.empty_like(hung, dtype=tensor.dtype, device=tensor.device, requires_grad=False)
        made.copy_(tensor.detach())
    if not slot.is_parameter:
        return made
    can_learn = made.is_floating_point() or made.is_complex()
    return nn.Parameter(made, requires_grad=hung.requires_grad and can_learn)


def _interned(
    name: str, tensor: Tensor, places: Mapping[str, Slot], made: Mapping[str, Tensor], like: Variant | None
) -> Tensor:
    if like is not None and name in like.tensors and same_bits(like.tensors[name], tensor):
        return like.tensors[name]
    for twin in made:
        if places[twin].tensor is places[name].tensor and same_bits(made[twin], tensor):
            return made[twin]
    return tensor
