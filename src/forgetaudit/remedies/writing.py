"""A remedy as files: a checkpoint in the form of another, and all that lies beside it."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.checkpoints.distributed import DistributedCheckpoint
from forgetaudit.checkpoints.evidence import Kind, recognise
from forgetaudit.checkpoints.state_dicts import WeightSet
from forgetaudit.checkpoints.torch_file import TorchFile
from forgetaudit.checkpoints.write_safetensors import Values, write_like_safetensors
from forgetaudit.checkpoints.write_torch import write_like_torch
from forgetaudit.errors import MismatchError, OutputError, listing
from forgetaudit.models.loading import read_tensor
from forgetaudit.models.quantised import quantisation_of
from forgetaudit.remedies.remedy import Remedy, edited_tensor, mixed

__all__ = ["Sources", "bytes_of", "files_beside", "refuse_unwritable", "repaired_values", "write_repaired"]

# Of a training that the repaired weights are not a state of.
_OF_TRAINING = (
    "optimizer",
    "scheduler",
    "scaler",
    "rng_state",
    "random_states",
    "training_args",
    "trainer_state",
)
_WEIGHTS = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".index.json",
    ".h5",
    ".msgpack",
    ".gguf",
    ".onnx",
)
# Saved by earlier steps of a run, and by version control.
_OTHER_FOLDERS = ("checkpoint-", ".git", "global_step", "runs", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Both checkpoints, which of base's tensors is which of tuned's, and the network's slot of each of tuned's."""

    base: Checkpoint
    tuned: Checkpoint
    base_names: Mapping[str, str]
    slots: Mapping[str, str]

    def strength(self, remedy: Remedy, name: str) -> float:
        """λ of a tensor in tuned's file."""
        if name in self.slots:
            return remedy.strength(self.slots[name])
        # What the network puts together from several tensors of the file, or has no use for.
        every = set(remedy.strengths.values())
        if len(every) == 1 and remedy.family in ("mixture", "adapter"):
            return every.pop()
        return 1.0


def repaired_values(sources: Sources, remedy: Remedy) -> Values:
    """The bytes of every tensor of tuned's file under the remedy; None where they are tuned's own."""

    def values(info: TensorInfo) -> memoryview | None:
        strength, slot = sources.strength(remedy, info.name), sources.slots.get(info.name, "")
        if slot not in remedy.edits and strength == 1:
            return None
        if info.name not in sources.base_names or not info.n_elements:
            return None
        base = read_tensor(sources.base, sources.base_names[info.name])
        tuned = read_tensor(sources.tuned, info.name)
        if slot in remedy.edits:
            return bytes_of(edited_tensor(remedy, slot, base, tuned).to(tuned.dtype))
        return bytes_of(mixed(base, tuned, strength))

    return values


def bytes_of(tensor: Tensor) -> memoryview:
    """As they stand in a file."""
    return memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def refuse_unwritable(sources: Sources) -> None:
    """What cannot be mixed, or not be written in its own form, is refused by name. MismatchError, OutputError."""
    for side, checkpoint in (("base", sources.base), ("tuned", sources.tuned)):
        packed = [
            name
            for name, info in checkpoint.tensors.items()
            if info.dtype.startswith(("float8_", "float6_", "float4_"))
            or (len(info.shape) >= 2 and info.dtype in ("int8", "uint8", "int32"))
        ]
        method = quantisation_of(checkpoint)
        if method is not None or packed:
            raise MismatchError(
                f"{side} holds quantised weights{f' ({method})' if method else ''}, which cannot be mixed",
                details=[listing("quantised", packed or sorted(checkpoint.tensors))],
                hint="pass the weights before they were quantised, or dequantise them: model.dequantize()",
            )
    if isinstance(sources.tuned, DistributedCheckpoint):
        raise OutputError(
            f"{sources.tuned.path} is a distributed checkpoint, which repair cannot write",
            hint="convert it first: python -m torch.distributed.checkpoint.format_utils dcp_to_torch",
        )


def write_repaired(pattern: Checkpoint, target: Path, values: Values, *, folder: Path | None) -> None:
    """Every weight file of `pattern` anew at `target`; a folder if `folder` is tuned's, with what lies beside.

    An index is copied, as no tensor changes its shard. OSError where the disk does not take it.
    """
    weights = pattern.weights if isinstance(pattern, TorchFile) else None
    if folder is None:
        _write_file(pattern.files[0], target, values, weights)
        return
    target.mkdir()
    for source in files_beside(folder, pattern):
        made = target / source.relative_to(folder)
        made.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, made)
    for file in pattern.files:
        made = target / file.relative_to(folder)
        made.parent.mkdir(parents=True, exist_ok=True)
        _write_file(file, made, values, weights)


def _write_file(pattern: Path, target: Path, values: Values, weights: WeightSet | None) -> None:
    match recognise(pattern):
        case Kind.INDEX:
            shutil.copyfile(pattern, target)
        case Kind.TORCH:
            write_like_torch(pattern, target, values, weights)
        case Kind.SAFETENSORS:
            write_like_safetensors(pattern, target, values)


def files_beside(folder: Path, pattern: Checkpoint) -> Iterator[Path]:
    """The files that go with the weights, as configs and tokenizers do; no other weights, nor a training's state."""
    weights = {file.resolve() for file in pattern.files}
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(_OTHER_FOLDERS))
        for name in sorted(names):
            path = Path(root) / name
            if path.resolve() in weights or not path.is_file():
                continue
            if not name.startswith((*_OF_TRAINING, ".git")) and not name.endswith(_WEIGHTS):
                yield path
