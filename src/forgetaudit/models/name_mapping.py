"""Which of a file's tensors belongs where in the network: the library's renaming, then ours of what is left."""

from collections.abc import Mapping
from dataclasses import replace

from forgetaudit.checkpoints.align import align_names
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.names import MAX_PREFIX_SEGMENTS
from forgetaudit.models.probing import Loader, NameMapping, probe

__all__ = ["find_landing"]


def find_landing(checkpoint: Checkpoint, load: Loader) -> NameMapping:
    """Where the tensors land. Wrappers that the library does not know (`module.`) are removed, and it is told.

    `sources` and `unused` of the result speak of the file's own names. What finds no place at all stays in `missing`,
    `unexpected` and `mismatched`.
    """
    found = _try(checkpoint, {name: name for name in checkpoint.tensors}, load)
    if found.n_misfits == 0:
        return found
    for prefix in _common_prefixes(checkpoint):
        without = _try(checkpoint, {name: name.removeprefix(prefix) for name in checkpoint.tensors}, load)
        if without.n_misfits < found.n_misfits:
            told = f"removed `{prefix}` from {len(checkpoint.tensors)} names of {checkpoint.path.name}"
            found = replace(without, steps=(told,))
    return _aligned(checkpoint, found, load) if found.missing and found.unexpected else found


def _try(checkpoint: Checkpoint, names: Mapping[str, str], load: Loader) -> NameMapping:
    """`names` gives the name to be tried for each of the file's."""
    back = {tried: name for name, tried in names.items()}
    if len(back) < len(names):
        back = names = {name: name for name in checkpoint.tensors}
    found = probe({tried: checkpoint.tensors[name] for tried, name in back.items()}, load)
    return replace(
        found,
        sources={ours: back[tried] for ours, tried in found.sources.items()},
        tried={name: tried for tried, name in back.items()},
        unused=tuple(back[tried] for tried in found.unused),
    )


def _common_prefixes(checkpoint: Checkpoint) -> list[str]:
    """The leading segments that every name of the file shares, one, two, … of them."""
    segments = [name.split(".")[:-1] for name in checkpoint.tensors]
    prefixes = []
    for n_segments in range(1, MAX_PREFIX_SEGMENTS + 1):
        heads = {tuple(names[:n_segments]) for names in segments}
        if len(heads) != 1 or len(next(iter(heads))) < n_segments:
            break
        prefixes.append("".join(segment + "." for segment in next(iter(heads))))
    return prefixes


def _aligned(checkpoint: Checkpoint, found: NameMapping, load: Loader) -> NameMapping:
    """What the library left on both sides, matched by ending and shape, and tried again under those names."""
    shapes = {name: tuple(tensor.shape) for name, tensor in found.model.state_dict().items()}
    theirs = {tried: name for name, tried in found.tried.items()}
    alignment = align_names(
        {name: shapes[name] for name in found.missing if name in shapes},
        {name: checkpoint.tensors[theirs[name]].shape for name in found.unexpected if name in theirs},
        sides=("the model", checkpoint.path.name),
    )
    if not alignment.pairs:
        return found
    renamed = {theirs[other]: name for name, other in alignment.pairs}
    again = _try(checkpoint, {**found.tried, **renamed}, load)
    if again.n_misfits < found.n_misfits:
        return replace(again, steps=(*found.steps, *alignment.steps))
    return found
