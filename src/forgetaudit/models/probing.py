"""Where a library puts each tensor of a file: asked of its own loader, with stand-ins that take no memory.

A stand-in has the shape of the tensor and the memory of one element. The loader assigns what it only renames, so its
memory tells which tensor it was; what it computes anew (experts stacked into one tensor) lies in memory of its own,
where the values tell. Each stand-in has a value of its own: what a config ties, transformers ties only where both names
hold equal values, and a trained head beside an embedding must not look equal to it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import TensorInfo

__all__ = ["Loaded", "Loader", "NameMapping", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the library's loader returned: the network, and the names it could not place."""

    model: nn.Module
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]


Loader = Callable[[dict[str, Tensor]], Loaded]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMapping:
    """Where the tensors of one file land.

    `sources` gives the file's name for each name of the network that takes a tensor as it is; `computed` are the
    names whose tensors the loader puts together from several, or changes. `model` holds the stand-ins. `tried` gives
    the name under which each of the file's was offered; `steps` say what was changed for that. `unused` are the names
    of the file that the loader took, and that hang nowhere.
    """

    model: nn.Module
    sources: Mapping[str, str]
    computed: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...] = ()
    tried: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()

    @property
    def model_names(self) -> dict[str, str]:
        """The network's name of each of the file's tensors; the first, where several share it."""
        names: dict[str, str] = {}
        for name, source in self.sources.items():
            names.setdefault(source, name)
        return names

    @property
    def n_misfits(self) -> int:
        """How many names found no place."""
        return len(self.missing) + len(self.unexpected) + len(self.mismatched)


def probe(tensors: Mapping[str, TensorInfo], load: Loader) -> NameMapping:
    """Load stand-ins for `tensors` (by the names to be tried), and see where they come to hang."""
    stand_ins = {name: _stand_in(info, place) for place, (name, info) in enumerate(tensors.items(), 1)}
    source = {tensor.data_ptr(): name for name, tensor in stand_ins.items()}
    loaded = load(dict(stand_ins))
    absent = {*loaded.missing, *loaded.mismatched}
    sources: dict[str, str] = {}
    computed: list[str] = []
    made: list[Tensor] = []
    for name, tensor in loaded.model.state_dict().items():
        if name in absent:
            continue
        found = source.get(tensor.data_ptr())
        if found is not None and tuple(tensor.shape) == tensors[found].shape:
            sources[name] = found
        else:
            computed.append(name)
            made.append(tensor)
    placed = {*sources.values(), *loaded.unexpected, *loaded.mismatched}
    left = [name for name in tensors if name not in placed]
    return NameMapping(
        model=loaded.model,
        sources=sources,
        computed=tuple(computed),
        missing=loaded.missing,
        unexpected=loaded.unexpected,
        mismatched=loaded.mismatched,
        unused=tuple(_without_trace(left, stand_ins, made)),
    )


def _stand_in(info: TensorInfo, place: int) -> Tensor:
    """Of the shape of the tensor, in the memory of one element; empty tensors have none to tell them by."""
    dtype = _dtype(info.dtype)
    # Integers of eight bits have no more values than these, and nothing that is tied or stacked is of integers.
    value = place if dtype.is_floating_point or dtype.is_complex else place % 127
    return torch.full((), value, dtype=dtype).expand(info.shape)


def _without_trace(
    names: Sequence[str], stand_ins: Mapping[str, Tensor], made: Sequence[Tensor]
) -> Iterator[str]:
    """Those whose value stands in nothing that the loader computed."""
    values = {value for tensor in made for value in torch.unique(tensor).tolist()} if names else set()
    for name in names:
        tensor = stand_ins[name]
        # Empty tensors hold no value that could be lost.
        if tensor.numel() and tensor[(0,) * tensor.dim()].item() not in values:
            yield name


def _dtype(name: str) -> torch.dtype:
    """float32 for every floating type, so that the loader converts nothing; torch lacks some that files have."""
    dtype: torch.dtype | None = getattr(torch, name, None)
    return torch.float32 if dtype is None or dtype.is_floating_point else dtype
