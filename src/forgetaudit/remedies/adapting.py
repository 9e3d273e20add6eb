"""A remedy as an adapter: a LoRA's own matrices scaled, where that says the same as mixing the weights."""

from collections.abc import Mapping
from pathlib import Path

import torch

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.checkpoints.write_safetensors import Values
from forgetaudit.models.adapter_files import adapter_config
from forgetaudit.models.adapter_targets import PREFIX
from forgetaudit.models.loading import read_tensor
from forgetaudit.remedies.remedy import Remedy, edited_tensor, mixed
from forgetaudit.remedies.writing import Sources, bytes_of

__all__ = ["adapter_values", "merged_values", "why_merged"]

_SCALED = (".lora_B.", ".lora_embedding_B")
_KEPT = (".lora_A.", ".lora_embedding_A")


def why_merged(path: Path, weights: Checkpoint, sources: Sources, remedy: Remedy) -> str | None:
    """Why this remedy of the adapter cannot be an adapter again; None where it can.

    ΔW = s·BA is linear in B, so λΔW is an adapter, too; a norm (DoRA) or a product with W (IA³) is not.
    """
    if remedy.edits:
        return f"{remedy.name} is more than the adapter at another strength"
    config = adapter_config(path)
    if config["peft_type"] != "LORA":
        return f"{config['peft_type']} is no sum of base and a change"
    if config.get("use_dora"):
        return "DoRA rescales what it changes"
    slots = set(sources.slots.values())
    for name in weights.tensors:
        if not any(mark in name for mark in (*_SCALED, *_KEPT)) and _own(name) not in slots:
            return f"{name} finds no tensor of the network"
    return None


def adapter_values(weights: Checkpoint, sources: Sources, remedy: Remedy) -> Values:
    """B scaled by the λ of the layer that it changes; what was trained whole is mixed with base's."""
    files = {slot: name for name, slot in sources.slots.items()}

    def values(info: TensorInfo) -> memoryview | None:
        if any(mark in info.name for mark in _KEPT):
            return None
        tensor = read_tensor(weights, info.name)
        if any(mark in info.name for mark in _SCALED):
            made = _scaled(tensor, remedy.strength(f"{_module(info.name)}.weight"))
        else:
            base = read_tensor(sources.base, sources.base_names[files[_own(info.name)]]).to(tensor.dtype)
            made = mixed(base, tensor, remedy.strength(_own(info.name)))
        return bytes_of(made)

    return values


def merged_values(sources: Sources, remedy: Remedy) -> Values:
    """The whole weights, in base's own types: for a pattern that is base's checkpoint."""
    files: Mapping[str, str] = {ours: theirs for theirs, ours in sources.base_names.items()}

    def values(info: TensorInfo) -> memoryview | None:
        name = files[info.name]
        tuned, base = read_tensor(sources.tuned, name), read_tensor(sources.base, info.name)
        slot = sources.slots.get(name, "")
        if slot in remedy.edits:
            return bytes_of(edited_tensor(remedy, slot, base, tuned).to(base.dtype))
        return bytes_of(mixed(base.to(tuned.dtype), tuned, sources.strength(remedy, name)).to(base.dtype))

    return values


def _scaled(tensor: torch.Tensor, strength: float) -> torch.Tensor:
    return (strength * tensor.double()).to(tensor.dtype)


def _module(name: str) -> str:
    """`base_model.model.layers.0.q_proj.lora_B.weight` -> `layers.0.q_proj`."""
    for mark in _SCALED:
        name = name.partition(mark)[0]
    return name.removeprefix(PREFIX)


def _own(name: str) -> str:
    return name.removeprefix(PREFIX).replace(".modules_to_save.", ".").replace(".base_layer.", ".")
