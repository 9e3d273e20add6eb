"""From a path to a checkpoint: which format it is, judged by evidence."""

import difflib
from pathlib import Path

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.directory import part_of_several, weights_in
from forgetaudit.checkpoints.distributed import INDEX, DistributedCheckpoint
from forgetaudit.checkpoints.evidence import Kind, recognise
from forgetaudit.checkpoints.run_folders import refuse_rank_file
from forgetaudit.checkpoints.safetensors_file import SafetensorsFile
from forgetaudit.checkpoints.sharded import ShardedCheckpoint
from forgetaudit.checkpoints.state_dicts import WeightSet
from forgetaudit.checkpoints.torch_file import TorchFile
from forgetaudit.errors import UnreadableCheckpoint
from forgetaudit.gaps import Notes

__all__ = ["open_checkpoint"]


def open_checkpoint(path: Path, *, weights: WeightSet | None = None, notes: Notes = ()) -> Checkpoint:
    """Open a safetensors file, a shard index, a torch file, a directory with one of them, or a distributed checkpoint.

    `weights` says which set is meant where a training checkpoint holds raw weights and averaged ones; `notes` are
    what the caller knows of the choice.
    Close it after use. The bytes decide, not the name. Opening runs no code of the file. Raises UnreadableCheckpoint
    where it is no checkpoint or a damaged one, UnsafeCheckpoint where reading it would run code or leave its folder.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{path} cannot be looked up: {error.strerror}", hint="check the path"
        ) from None
    if not exists:
        raise _missing(path)
    if path.is_dir():
        if (path / INDEX).exists() and not any(path.glob("*.safetensors")):
            return DistributedCheckpoint(path)
        chosen = weights_in(path)
        return _open_file(chosen.path, (*notes, *chosen.notes), weights)
    refuse_rank_file(path)
    return _open_file(path, (*notes, *part_of_several(path)), weights)


def _open_file(path: Path, notes: Notes, weights: WeightSet | None) -> Checkpoint:
    match recognise(path):
        case Kind.INDEX:
            return ShardedCheckpoint(path, notes)
        case Kind.TORCH:
            return TorchFile(path, notes, weights=weights)
        case Kind.SAFETENSORS:
            return SafetensorsFile(path, notes)


def _missing(path: Path) -> UnreadableCheckpoint:
    if path.is_symlink():
        return UnreadableCheckpoint(
            f"{path} is a link to {path.readlink()}, which does not exist",
            hint="download the file it stands for",
        )
    beside = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=3)
    hint = (
        f"did you mean {', '.join(str(path.parent / name) for name in near)}?" if near else "check the path"
    )
    return UnreadableCheckpoint(f"{path} does not exist", hint=hint)
