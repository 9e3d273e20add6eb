"""A PEFT adapter on its base, seen as a whole checkpoint: only the tensors that it touches are computed.

PEFT itself merges, one layer at a time, on a network of stand-ins that take no memory: so every kind of adapter that
PEFT can merge is read, the result is that of `merge_and_unload`, and a pair shares all that the adapter leaves alone.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.errors import MismatchError, ModelError, listing
from forgetaudit.gaps import Notes
from forgetaudit.models.adapter_files import (
    adapter_config,
    adapter_settings_text,
    base_name_note,
    open_adapter_weights,
)
from forgetaudit.models.adapter_targets import PREFIX, AdapterTargets, find_touched, replaced
from forgetaudit.models.declared_size import Weights, refusing_more
from forgetaudit.models.extras import import_extra
from forgetaudit.models.load_weights import assign_weights
from forgetaudit.models.loading import read_tensor
from forgetaudit.models.probing import NameMapping
from forgetaudit.models.silence_transformers import quiet_transformers

__all__ = ["AdaptedCheckpoint"]


# What these bring into a network depends on its shapes alone. Any other kind may start from base's own weights, as OSF
# and PSOFT decompose them, and is given these.
_OF_SHAPES = {
    "ADALORA", "BOFT", "C3A", "DELORA", "FOURIERFT", "GRALORA", "HIRA", "HRA", "IA3", "LN_TUNING", "LOHA", "LOKR",
    "LORA", "MISS", "OFT", "RANDLORA", "SHIRA", "TRAINABLE_TOKENS", "VBLORA", "VERA", "WAVEFT",
}  # fmt: skip


class AdaptedCheckpoint:
    """See `forgetaudit.checkpoints.checkpoint.Checkpoint`: base's tensors, those that the adapter touches merged.

    Touched tensors are float32, merged in float32 whatever base is saved in. `base` is closed along with `closes_base`.
    `landing` says where base's tensors hang in the network; its stand-ins are taken over. MismatchError where a
    tensor of the adapter finds no place, or the network needs one that it lacks.
    """

    metadata: Mapping[str, str]

    def __init__(
        self, base: Checkpoint, path: Path, landing: NameMapping, *, closes_base: bool = False
    ) -> None:
        self.base = base
        self._closes_base = closes_base
        config = adapter_config(path)
        weights = open_adapter_weights(path)
        with weights:
            given = {name: _as_float32(read_tensor(weights, name)) for name in weights.tensors}
            self.path, self.files, self.metadata = weights.path, weights.files, weights.metadata
        self.format = f"PEFT adapter ({adapter_settings_text(config)}) on {base.format}"
        if config["peft_type"] not in _OF_SHAPES:
            assign_weights(
                landing.model, {n: _as_float32(read_tensor(base, at)) for n, at in landing.sources.items()}
            )
        resized = _resized(landing.model, given)
        fitting = {name: tensor for name, tensor in given.items() if name not in resized}
        adapted = _injected(landing.model, _without_modules(config, resized), fitting, self.path)
        self._layers = find_touched(adapted, fitting) | replaced(resized)
        self._sources = dict(landing.sources)
        self._names = self._file_names()
        self.touched = frozenset(self._names)
        self.tensors = self._all_tensors()
        self.notes: Notes = (base_name_note(path, base), *weights.notes, self._said())
        self._merged: tuple[AdapterTargets, dict[str, Tensor]] | None = None
        self._last: tuple[str, memoryview] | None = None

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`; base's own where the adapter leaves it alone."""
        if name not in self._names:
            self.base.read(self._base_name(name), start_byte, out)
            return
        if self._last is None or self._last[0] != name:
            made = self._tensor(self._names[name]).contiguous()
            self._last = name, made.reshape(-1).view(torch.uint8).numpy().data
        out[:] = self._last[1][start_byte : start_byte + len(out)]

    def close(self) -> None:
        """Let go of what was computed."""
        self._merged = self._last = None
        if self._closes_base:
            self.base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def untouched(self) -> frozenset[str]:
        """The network's names of the tensors that are base's own."""
        return frozenset(self._sources.keys() - self._layers.keys())

    def _tensor(self, name: str) -> Tensor:
        """The network's tensor `name`, merged; the layer last merged is kept."""
        layer = self._layers[name]
        if self._merged is None or self._merged[0] is not layer:
            self._merged = layer, layer.values(self._base_tensor)
        return self._merged[1][name]

    def _base_tensor(self, name: str) -> Tensor:
        if name not in self._sources:
            raise ModelError(
                f"the adapter {self.path.parent} changes {name}, which its library puts together from several tensors",
                hint="merge it first: model.merge_and_unload().save_pretrained(DIRECTORY)",
            )
        return _as_float32(read_tensor(self.base, self._sources[name]))

    def _file_names(self) -> dict[str, str]:
        """Name in this checkpoint → name in the network, of what is touched: base's name, where it has it to itself."""
        sharing: dict[str, list[str]] = {}
        for name, source in self._sources.items():
            sharing.setdefault(source, []).append(name)
        names = {}
        for name in self._layers:
            source = self._sources.get(name, name)
            # Of tied tensors that are touched apart each goes under its own name from here on.
            alone = all(other in self._layers for other in sharing.get(source, [name]))
            names[source if alone and len(sharing.get(source, [name])) == 1 else name] = name
        return names

    def _base_name(self, name: str) -> str:
        return name if name in self.base.tensors else self._sources[name]

    def _all_tensors(self) -> dict[str, TensorInfo]:
        apart = {
            self._sources[name] for file, name in self._names.items() if self._sources.get(name, file) != file
        }
        tensors = {name: info for name, info in self.base.tensors.items() if name not in apart}
        for name, source in self._sources.items():
            # A head that was tied to an embedding stays base's where the adapter brings an embedding alone.
            if source in apart or (name not in self._layers and source in self._names):
                info = self.base.tensors[source]
                tensors[name] = TensorInfo(
                    name=name, dtype=info.dtype, shape=info.shape, n_bytes=info.n_bytes
                )
        for file, name in self._names.items():
            shape = self._layers[name].shape(name)
            tensors[file] = TensorInfo(
                name=file, dtype="float32", shape=shape, n_bytes=4 * torch.Size(shape).numel()
            )
        return tensors

    def _said(self) -> str:
        n = len(self.touched)
        return f"audited merged: {n} tensors merged in float32 as PEFT merges them, all others are base's"


def _resized(model: nn.Module, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Modules saved whole in another shape than base's: a head of other classes, which is no matter of PEFT."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    own = {name: name.removeprefix(PREFIX) for name in given}
    return {
        name: tensor
        for name, tensor in given.items()
        if own[name] in shapes and tensor.shape != shapes[own[name]]
    }


def _without_modules(config: dict[str, Any], resized: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config without the modules of `resized`, which are not to be expected among the tensors."""
    modules = {name.rpartition(".")[0] for name in resized}
    saved = config.get("modules_to_save")
    if not modules or not isinstance(saved, list):
        return config
    kept = [name for name in saved if not any(module.endswith(f".{name}") for module in modules)]
    return config | {"modules_to_save": kept or None}


def _injected(model: nn.Module, config: dict[str, Any], given: Mapping[str, Tensor], path: Path) -> Any:
    """The network with the adapter in it, which may be no larger than its file."""
    file = Weights(
        name=f"the adapter {path.parent.name}",
        n_tensors=len(given),
        n_elements=sum(tensor.numel() for tensor in given.values()),
        n_bytes=sum(tensor.numel() * tensor.element_size() for tensor in given.values()),
    )
    with refusing_more(file, config, path.parent / "adapter_config.json"):
        return _wrapped(model, config, given, path)


def _wrapped(model: nn.Module, config: dict[str, Any], given: Mapping[str, Tensor], path: Path) -> Any:
    """PEFT only warns of tensors that find no place; here they are refused."""
    peft: Any = import_extra("peft", needed_for=f"the adapter {path.parent.name}")
    light = config["peft_type"] in _OF_SHAPES
    try:
        with quiet_transformers():
            made = peft.PeftConfig.from_peft_type(**config)
            adapted = peft.PeftModel(model, made, low_cpu_mem_usage=light, autocast_adapter_dtype=False)
            found = peft.set_peft_model_state_dict(adapted, dict(given), low_cpu_mem_usage=True)
    except Exception as error:  # what does not fit, PEFT meets as any kind of error
        said = [line.strip() for line in str(error).splitlines() if line.strip()][:3]
        raise MismatchError(
            f"the adapter {path.parent} does not fit base",
            details=[f"PEFT {peft.__version__} says: {' '.join(said)[:300]}"],
            hint="pass the base that it was trained on as BASE",
        ) from error
    lost = sorted(found.unexpected_keys)
    brought = {tensor.data_ptr() for tensor in given.values()}
    own = f".{adapted.base_model.prefix}"
    empty = sorted(
        name
        for name, tensor in adapted.named_parameters()
        if tensor.is_meta or (not light and own in name and tensor.data_ptr() not in brought)
    )
    if lost or empty or not given:
        labels = (("without a place in base", lost), ("missing in the adapter", empty))
        raise MismatchError(
            f"the adapter {path.parent} does not fit base: {len(lost)} of its {len(given)} tensors find no module",
            details=[listing(label, names, shown=5) for label, names in labels if names],
            hint="the model would be base itself, or partly so; pass the base that the adapter was trained on",
        )
    return adapted


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
