"""Which tensors of the network an adapter changes, and what they become."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forgetaudit.errors import ModelError
from forgetaudit.models.adapter_files import refused_parameters

__all__ = ["PREFIX", "AdapterTargets", "find_touched", "replaced"]

# PeftModel → tuner → the network.
PREFIX = "base_model.model."

BaseTensor = Callable[[str], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdapterTargets:
    """One layer that the adapter changes: `names` gives the network's name of each of its tensors.

    `layer` is PEFT's, and None where `trained` holds the new tensors themselves. A layer that is merged may have
    trained tensors, too: its bias.
    """

    layer: Any
    names: Mapping[str, str]
    trained: Mapping[str, Tensor]
    shapes: Mapping[str, tuple[int, ...]]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one of its tensors, by the network's name."""
        return self.shapes[name]

    @torch.no_grad()
    def values(self, base: BaseTensor) -> dict[str, Tensor]:
        """Every tensor of it, by the network's name; `base(name)` gives base's own in float32, which is not changed."""
        if self.layer is None:
            return dict(self.trained)
        inner: nn.Module = self.layer.get_base_layer()
        stand_ins = dict(inner._parameters)
        try:
            for key, name in self.names.items():
                value = self.trained[name] if name in self.trained else base(name)
                inner._parameters[key] = nn.Parameter(value.clone(), requires_grad=False)
            self._merge()
            # A kind that trains a copy of the layer (LayerNorm tuning) puts it in the place of base's.
            merged: Mapping[str, Any] = self.layer.get_base_layer()._parameters
            return {name: merged[key].detach().clone() for key, name in self.names.items()}
        finally:
            if self.layer.get_base_layer() is not inner:
                self.layer.unmerge()
            inner._parameters.update(stand_ins)
            self.layer.merged_adapters.clear()

    def _merge(self) -> None:
        try:
            self.layer.merge(safe_merge=False)
        except Exception as error:  # each kind of adapter has its own way of saying that it cannot
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"PEFT cannot merge the adapter into {next(iter(self.names.values()))}",
                details=[f"{type(error).__name__}: {said[:200]}"],
                hint="LoRA, DoRA, IA³ and other adapters that can be merged are audited",
            ) from error


def find_touched(adapted: Any, given: Mapping[str, Tensor]) -> dict[str, AdapterTargets]:
    """The network's name of every tensor that changes → the layer that knows what it becomes."""
    tuners: Any = importlib.import_module("peft.tuners.tuners_utils")
    wrappers: Any = importlib.import_module("peft.utils.other")
    trained = _assigned(adapted, given)
    found: dict[str, AdapterTargets] = {}
    for path, module in adapted.named_modules():
        place = path.removeprefix(PREFIX)
        if isinstance(module, wrappers.ModulesToSaveWrapper):
            found |= _saved(place, module)
        elif isinstance(module, tuners.BaseTunerLayer):
            # PEFT also makes these itself, of an adapter on experts that its library has fused since.
            if (parameter := getattr(module, "parameter_name", None)) is not None:
                raise refused_parameters(Path(place), [f"{place}.{parameter}"])
            _refuse_unmergeable(place, module)
            found |= _tuned(place.removesuffix(".token_adapter"), module, trained)
    return found | replaced({name: tensor for name, tensor in trained.items() if name not in found})


def replaced(tensors: Mapping[str, Tensor]) -> dict[str, AdapterTargets]:
    """Tensors, by the adapter's names, that stand for the network's as they are."""
    found = {}
    for given, tensor in tensors.items():
        name = given.removeprefix(PREFIX)
        found[name] = AdapterTargets(
            layer=None, names={}, trained={name: tensor}, shapes={name: tuple(tensor.shape)}
        )
    return found


def _saved(place: str, module: Any) -> dict[str, AdapterTargets]:
    """A module that was trained and saved whole."""
    copy: nn.Module = module.modules_to_save[module.active_adapters[0]]
    tensors = {f"{place}.{key}": tensor.detach() for key, tensor in copy.state_dict().items()}
    layer = AdapterTargets(
        layer=None, names={}, trained=tensors, shapes={name: tuple(t.shape) for name, t in tensors.items()}
    )
    return dict.fromkeys(tensors, layer)


def _tuned(place: str, module: Any, trained: Mapping[str, Tensor]) -> dict[str, AdapterTargets]:
    inner: nn.Module = module.get_base_layer()
    present = {key: tensor for key, tensor in inner._parameters.items() if tensor is not None}
    if not any(getattr(module, "lora_bias", {"": True}).values()) and f"{place}.bias" not in trained:
        present.pop("bias", None)  # LoRA leaves it alone
    names = {key: f"{place}.{key}" for key in present}
    shapes = {f"{place}.{key}": tuple(tensor.shape) for key, tensor in present.items()}
    mine = {name: trained[name] for name in names.values() if name in trained}
    layer = AdapterTargets(layer=module, names=names, trained=mine, shapes=shapes)
    return dict.fromkeys(names.values(), layer)


def _assigned(adapted: Any, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's own tensors that the adapter brings itself: trained biases, embeddings saved along."""
    brought = {tensor.data_ptr() for tensor in given.values() if tensor.numel()}
    found = {}
    for name, parameter in adapted.named_parameters():
        own = name.removeprefix(PREFIX).replace(".base_layer.", ".")
        is_part_of_adapter = any(mark in name for mark in _marks(adapted))
        if parameter.data_ptr() in brought and not is_part_of_adapter:
            found[own] = parameter.detach()
    return found


def _marks(adapted: Any) -> tuple[str, ...]:
    """What the names of an adapter's own parameters contain."""
    prefix = str(getattr(adapted.base_model, "prefix", "lora_"))
    return (f".{prefix}", ".modules_to_save.", ".trainable_tokens_", ".token_adapter.")


def _refuse_unmergeable(place: str, module: Any) -> None:
    if not callable(getattr(module, "merge", None)):
        raise ModelError(
            f"the adapter changes {place} by {type(module).__name__}, which PEFT cannot merge into weights",
            hint="LoRA, DoRA, IA³ and other adapters that can be merged are audited",
        )
