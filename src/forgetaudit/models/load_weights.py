"""A checkpoint's tensors under the names of a network, by where its library puts them."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import MismatchError, listing
from forgetaudit.gaps import Gap, Notes
from forgetaudit.models.architecture import Graft
from forgetaudit.models.loading import (
    LoadedState,
    converted,
    read_tensor,
    refuse_other_head,
    shapes_text,
)
from forgetaudit.models.probing import Loader, NameMapping
from forgetaudit.models.sentence_transformers import is_of_pooler
from forgetaudit.models.unrun import unfilled_slots, unrun_tensors

__all__ = ["assign_weights", "load_weights"]


def load_weights(
    landing: NameMapping,
    checkpoint: Checkpoint,
    load: Loader,
    *,
    dtype: torch.dtype,
    device: torch.device,
    graft: Graft | None,
    shared: Mapping[str, Tensor] = MappingProxyType({}),
    notes: Notes = (),
) -> LoadedState:
    """Every parameter and buffer; floating ones in `dtype`. Names that are tied share one tensor.

    `shared` are tensors that are known to be those of the file, and need not be read: by the network's names.
    MismatchError with every name that found no place, but for what `graft` may take from base.
    """
    dtypes = {name: tensor.dtype for name, tensor in landing.model.state_dict().items()}
    replaced = {name for name in dtypes if graft is not None and graft.always and name in graft.names}
    absent = [name for name in (*landing.missing, *landing.mismatched) if name not in replaced]
    replaced |= {name for name in absent if graft is not None and name in graft.names}
    _refuse_misfits(checkpoint, landing, kept=replaced)
    if graft is not None and graft.never:
        refuse_other_head(checkpoint, _other_shapes(checkpoint, landing, replaced))
    read: dict[str, Tensor] = {}
    state: dict[str, Tensor] = {}
    for name, source in landing.sources.items():
        if name in replaced:
            continue
        if name in shared:
            read.setdefault(source, shared[name])
        if source not in read:
            read[source] = converted(read_tensor(checkpoint, source), dtypes[name], dtype, source).to(device)
        state[name] = read[source]
    state |= _computed(landing, checkpoint, load, dtypes, dtype, device, without=replaced)
    if graft is not None:
        state |= {name: graft.base[name] for name in replaced}
    return LoadedState(
        state=state,
        model_names=landing.model_names,
        grafted=tuple(name for name in dtypes if name in replaced),
        steps=(*landing.steps, *_renamed(landing, checkpoint)),
        notes=(
            *notes,
            *_unrun(landing, grafted=bool(replaced)),
            *unfilled_slots(checkpoint.path.name, _headless(landing, graft)),
        ),
    )


def _headless(landing: NameMapping, graft: Graft | None) -> list[str]:
    """What the file lacks of the head, where it holds no other one, and nobody asked for base's."""
    if graft is None or graft.always or landing.mismatched or landing.unexpected:
        return []
    return [name for name in landing.missing if name in graft.names]


def _unrun(landing: NameMapping, *, grafted: bool) -> Iterator[Gap]:
    """What the loader took and the network does not hold, and what it refused where another head was grafted."""
    ignored = getattr(landing.model, "_keys_to_ignore_on_load_unexpected", None) or ()
    yield from unrun_tensors(landing.unused, tuple(ignored))
    if grafted:
        backbone = f"{getattr(landing.model, 'base_model_prefix', '')}."
        inside = [name for name in landing.unexpected if name.startswith(backbone) and not is_of_pooler(name)]
        yield from unrun_tensors(inside)
        yield from unrun_tensors([n for n in landing.unexpected if n not in inside], of_other_head=True)


def assign_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put the tensors into the network in place of what hangs there; one tensor of several names stays one."""
    parameters: dict[int, nn.Parameter] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for key in list(module._parameters):
            if (tensor := state.get(prefix + key)) is not None:
                can_learn = tensor.is_floating_point()
                parameters.setdefault(id(tensor), nn.Parameter(tensor, requires_grad=can_learn))
                setattr(module, key, parameters[id(tensor)])
        for key in list(module._buffers):
            if (tensor := state.get(prefix + key)) is not None:
                setattr(module, key, tensor)


def _computed(
    landing: NameMapping,
    checkpoint: Checkpoint,
    load: Loader,
    dtypes: Mapping[str, torch.dtype],
    dtype: torch.dtype,
    device: torch.device,
    *,
    without: set[str],
) -> dict[str, Tensor]:
    """What the loader puts together itself, from the tensors as they are."""
    wanted = [name for name in landing.computed if name not in without]
    if not wanted:
        return {}
    tensors = {
        tried: read_tensor(checkpoint, name).to(dtype)
        if _is_floating(checkpoint, name)
        else read_tensor(checkpoint, name)
        for name, tried in landing.tried.items()
    }
    made = load(tensors).model.state_dict()
    return {name: converted(made[name], dtypes[name], dtype).to(device) for name in wanted}


def _is_floating(checkpoint: Checkpoint, name: str) -> bool:
    dtype: torch.dtype = getattr(torch, checkpoint.tensors[name].dtype)
    return dtype.is_floating_point


def _renamed(landing: NameMapping, checkpoint: Checkpoint) -> tuple[str, ...]:
    n_renamed = sum(landing.tried[source] != name for source, name in landing.model_names.items())
    if not n_renamed:
        return ()
    return (
        f"renamed {n_renamed} of {len(checkpoint.tensors)} tensors of {checkpoint.path.name}, as its library does",
    )


def _other_shapes(checkpoint: Checkpoint, landing: NameMapping, names: set[str]) -> list[str]:
    source = {tried: name for name, tried in landing.tried.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in landing.model.state_dict().items()}
    return [shapes_text(name, shapes[name], checkpoint, source.get(name)) for name in shapes if name in names]


def _refuse_misfits(checkpoint: Checkpoint, landing: NameMapping, *, kept: set[str]) -> None:
    """What found no place, of every kind the first few: the rest is of the same."""
    shapes = {name: list(tensor.shape) for name, tensor in landing.model.state_dict().items()}
    missing = [name for name in landing.missing if name not in kept]
    odd = [f"{name} {shapes.get(name, '')}" for name in landing.mismatched if name not in kept]
    unexpected = [] if kept else list(landing.unexpected)
    details = [
        listing(label, names, shown=5)
        for label, names in (
            ("missing in the file", missing),
            ("in the file but not in the model", unexpected),
            ("with another shape than the model's", odd),
        )
        if names
    ]
    if details:
        raise MismatchError(
            f"{checkpoint.path} does not fit the model",
            details=[*details, *landing.steps],
            hint="pass weights of the network that config.json names, or the config that belongs to them",
        )
