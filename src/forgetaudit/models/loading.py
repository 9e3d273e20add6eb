"""A checkpoint's tensors, put under the names that the network gives them. Strictly: parameters and buffers."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.align import NameAlignment, align_names
from forgetaudit.checkpoints.checkpoint import Checkpoint, Shape
from forgetaudit.errors import MismatchError, listing
from forgetaudit.gaps import Gap, Notes
from forgetaudit.models.unrun import unfilled_slots, unrun_tensors
from forgetaudit.wording import some

__all__ = [
    "Graft",
    "LoadedState",
    "converted",
    "load_state",
    "read_tensor",
    "refuse_other_head",
    "run_type",
    "shapes_text",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedState:
    """Tensors under the model's names. `grafted` came from base; `steps` say what was done to the names.

    `model_names` gives the model's name for each of the checkpoint's; `notes` are what else a reader should know.
    """

    state: Mapping[str, Tensor]
    model_names: Mapping[str, str]
    grafted: tuple[str, ...]
    steps: tuple[str, ...]
    notes: Notes = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Graft:
    """Which tensors of a tuned checkpoint may come from base: those of `names`, where they do not fit.

    `always`: also those that would fit. `never`: none, and what does not fit is refused as a matter of the head.
    """

    names: Collection[str]
    base: Mapping[str, Tensor]
    always: bool = False
    never: bool = False


def refuse_other_head(checkpoint: Checkpoint, reasons: Sequence[str]) -> None:
    """MismatchError, where there are `reasons` why tuned's own head cannot answer in base's place."""
    if reasons:
        raise MismatchError(
            f"--head own: the head of {checkpoint.path} is not one for base's classes",
            details=reasons,
            hint="leave it out, or pass --head base: tuned's features are then judged under base's head",
        )


def load_state(
    model: nn.Module,
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype,
    device: torch.device,
    graft: Graft | None = None,
) -> LoadedState:
    """Every parameter and buffer of `model` from `checkpoint`; floating ones in `dtype`.

    Of a head, what `checkpoint` lacks or has in another shape may come from base, as `graft` says. Of tied
    tensors one name suffices. MismatchError naming everything that is missing, unexpected or reshaped.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    alignment = align_names(
        wanted,
        {name: info.shape for name, info in checkpoint.tensors.items()},
        sides=("the model", checkpoint.path.name),
    )
    source = dict(alignment.pairs)
    if graft is not None and graft.always:
        source = {ours: theirs for ours, theirs in source.items() if ours not in graft.names}
    absent = [name for name in wanted if name not in source]
    grafted = [name for name in absent if graft is not None and name in graft.names]
    # Files older than torch 0.4 have no counters, which play no part in eval mode.
    counters = [name for name in absent if name.endswith("num_batches_tracked")]
    tolerated = {*grafted, *counters, *_tied_to(model, source)}
    _refuse_misfits(checkpoint, alignment, [n for n in absent if n not in tolerated], grafted=grafted)
    if graft is not None and graft.never:
        reshaped = dict(alignment.reshaped)
        refuse_other_head(
            checkpoint, [shapes_text(name, wanted[name], checkpoint, reshaped.get(name)) for name in grafted]
        )
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    state = {
        ours: converted(read_tensor(checkpoint, theirs), dtypes[ours], dtype, theirs).to(device)
        for ours, theirs in source.items()
    }
    state |= {name: graft.base[name] for name in grafted if graft is not None}
    state |= {name: model.state_dict()[name] for name in counters}
    return LoadedState(
        state=state,
        model_names={theirs: ours for ours, theirs in alignment.pairs},
        grafted=tuple(grafted),
        steps=alignment.steps,
        notes=(
            *unrun_tensors(alignment.only_right, of_other_head=bool(grafted)),
            *_untied(model, state, checkpoint),
            *unfilled_slots(checkpoint.path.name, _headless(grafted, alignment, graft)),
        ),
    )


def _headless(grafted: list[str], alignment: NameAlignment, graft: Graft | None) -> list[str]:
    """What the file lacks of the head, where it holds no other one, and nobody asked for base's."""
    if graft is None or graft.always or alignment.reshaped or alignment.only_right:
        return []
    return grafted


def _untied(model: nn.Module, state: Mapping[str, Tensor], checkpoint: Checkpoint) -> Iterator[Gap]:
    """Where the network has one tensor under two names, and the file has two: they are run as the file has them."""
    tensors = model.state_dict(keep_vars=True)
    first: dict[int, str] = {}
    apart = [
        f"{first[id(tensor)]} and {name}"
        for name, tensor in tensors.items()
        if name in state
        and first.setdefault(id(tensor), name) != name
        and not torch.equal(state[first[id(tensor)]], state[name])
    ]
    if apart:
        yield Gap(
            ident="tied-tensors-differ",
            what=f"the network ties {some(apart)}, and {checkpoint.path.name} holds different tensors: run untied",
            advice="build the network that the weights were trained with: untied, or save the file from the tied one",
            holds="behaviour",
            evidence={"tensors": apart},
        )


def shapes_text(name: str, shape: Shape, checkpoint: Checkpoint, source: str | None) -> str:
    """`head.weight: [10, 64] in base, [7, 64] in tuned`; `source` is the file's name of it, None where it has none."""
    theirs = "none" if source is None else list(checkpoint.tensors[source].shape)
    return f"{name}: {list(shape)} in base, {theirs} in tuned"


def _tied_to(model: nn.Module, present: Collection[str]) -> set[str]:
    """Names of tensors that hang in the model under a second name which is present."""
    tensors = model.state_dict(keep_vars=True)
    identities = {id(tensors[name]) for name in present}
    return {name for name, tensor in tensors.items() if id(tensor) in identities and name not in present}


def _refuse_misfits(
    checkpoint: Checkpoint, alignment: NameAlignment, missing: list[str], *, grafted: Sequence[str]
) -> None:
    """All of the names in one message: half a list would have to be asked for again."""
    reshaped = dict(alignment.reshaped)
    details = []
    if gone := [name for name in missing if name not in reshaped]:
        details.append(listing("missing in the file", gone, shown=5))
    unexpected = [name for name in alignment.only_right if not (grafted and _lies_in_head(name, grafted))]
    if unexpected:
        details.append(listing("in the file but not in the model", unexpected, shown=5))
    if odd := [
        f"{name} {list(checkpoint.tensors[reshaped[name]].shape)}" for name in missing if name in reshaped
    ]:
        details.append(listing("with another shape than the model's", odd, shown=5))
    if details:
        raise MismatchError(
            f"{checkpoint.path} does not fit the model",
            details=[*details, *alignment.steps],
            hint="pass the --model that these weights were trained with",
        )


def _lies_in_head(name: str, grafted: Sequence[str]) -> bool:
    """Another head may have tensors of other names; what lies outside it is part of a network that is not this one."""
    modules = zip(*(grafted_name.split(".")[:-1] for grafted_name in grafted), strict=False)
    head = ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, modules))
    return bool(head) and (name.startswith(f"{head}.") or f".{head}." in name)


def read_tensor(checkpoint: Checkpoint, name: str) -> Tensor:
    """Into memory that torch allocated: weights off a 64-byte boundary change the last bits of a matmul."""
    info = checkpoint.tensors[name]
    tensor = torch.empty(info.shape, dtype=getattr(torch, info.dtype))
    if tensor.numel():
        checkpoint.read(name, 0, memoryview(tensor.reshape(-1).view(torch.uint8).numpy().data))
    return tensor


def converted(tensor: Tensor, slot: torch.dtype, dtype: torch.dtype, name: str = "a tensor") -> Tensor:
    """Floating slots take the run's dtype, complex ones that of its precision; others keep their own.

    MismatchError where the slot cannot hold what the file has: complex numbers in a real slot, fractions in a whole
    one.
    """
    made = tensor.to(run_type(slot, dtype)) if not tensor.is_complex() or slot.is_complex else None
    loses = made is None or (
        tensor.is_floating_point()
        and not (slot.is_floating_point or slot.is_complex)
        and not torch.equal(made.to(tensor.dtype), tensor)
    )
    if made is None or loses:
        kinds = (str(tensor.dtype).removeprefix("torch."), str(slot).removeprefix("torch."))
        raise MismatchError(
            f"{name} holds {kinds[0]} in the file, which the network's {kinds[1]} cannot hold",
            details=["the part that is lost would count nowhere"],
            hint="pass a --model whose parameters and buffers have the types that were saved",
        )
    return made


def run_type(slot: torch.dtype, dtype: torch.dtype) -> torch.dtype:
    """What a slot is run in, where floating numbers are run in `dtype`; complex ones have no half precision."""
    if slot.is_floating_point:
        return dtype
    if slot.is_complex:
        return torch.complex128 if dtype == torch.float64 else torch.complex64
    return slot
