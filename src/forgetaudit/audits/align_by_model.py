"""Which tensor of base is which of tuned, where the files spell their names differently: asked of the network."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from forgetaudit.checkpoints.align import NameAlignment, align, align_names
from forgetaudit.checkpoints.checkpoint import Checkpoint, Shape
from forgetaudit.checkpoints.versions import check_versions
from forgetaudit.errors import MismatchError

__all__ = ["ModelNames", "align_through_model"]

# The network's name of each tensor of a file that it spells differently; empty where nobody knows.
ModelNames = Callable[[Checkpoint], Mapping[str, str]]


def align_through_model(base: Checkpoint, tuned: Checkpoint, model_names: ModelNames) -> NameAlignment:
    """By the names in the files; where both sides keep names to themselves, by the network's own names for them.

    transformers 5 writes other names than its modules have, so that a `torch.save` and a `save_pretrained` of one
    ViT share few. MismatchError where they are not versions of one network by either.
    """
    direct = _direct(base, tuned)
    if isinstance(direct, NameAlignment) and not (direct.only_left and direct.only_right):
        return direct
    translated = _translated(base, tuned, model_names)
    if translated is not None and (
        isinstance(direct, MismatchError) or len(translated.pairs) > len(direct.pairs)
    ):
        check_versions(translated.pairs, translated.reshaped, translated.only_left, translated.only_right)
        return translated
    if isinstance(direct, MismatchError):
        raise direct
    return direct


def _direct(base: Checkpoint, tuned: Checkpoint) -> NameAlignment | MismatchError:
    try:
        return align(base, tuned)
    except MismatchError as problem:
        return problem


def _translated(base: Checkpoint, tuned: Checkpoint, model_names: ModelNames) -> NameAlignment | None:
    ours, theirs = _spelled(base, model_names(base)), _spelled(tuned, model_names(tuned))
    if ours is None or theirs is None:
        return None
    found = align_names(_shapes(base, ours), _shapes(tuned, theirs))
    pairs = tuple((ours[one], theirs[two]) for one, two in found.pairs)
    n_renamed = sum(one != two for one, two in pairs)
    return replace(
        found,
        pairs=pairs,
        reshaped=tuple((ours[one], theirs[two]) for one, two in found.reshaped),
        only_left=tuple(ours[name] for name in found.only_left),
        only_right=tuple(theirs[name] for name in found.only_right),
        steps=(
            f"renamed {n_renamed} names: the files spell them differently and mean one network",
            *found.steps,
        ),
    )


def _spelled(checkpoint: Checkpoint, names: Mapping[str, str]) -> dict[str, str] | None:
    """The network's name → the file's; None where the network knows none of them, or two get one name."""
    if not names:
        return None
    back = {names.get(name, name): name for name in checkpoint.tensors}
    return back if len(back) == len(checkpoint.tensors) else None


def _shapes(checkpoint: Checkpoint, names: Mapping[str, str]) -> dict[str, Shape]:
    return {name: checkpoint.tensors[source].shape for name, source in names.items()}
