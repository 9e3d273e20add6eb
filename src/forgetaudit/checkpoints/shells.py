"""Tensors that were saved without their values: what is left of parameters that lay in parts on several devices."""

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.errors import UnreadableCheckpoint, listing

__all__ = ["is_shell", "refuse_shells"]


def is_shell(info: TensorInfo) -> bool:
    """The shape (0,), which DeepSpeed's ZeRO-3 leaves in place of a parameter. A matrix without rows can be meant."""
    return info.shape == (0,)


def refuse_shells(checkpoint: Checkpoint) -> None:
    """UnreadableCheckpoint where more tensors are empty than matrices are whole: small ones ZeRO-3 keeps."""
    empty = [info.name for info in checkpoint.tensors.values() if is_shell(info)]
    n_whole = sum(len(info.shape) >= 2 and info.n_elements > 0 for info in checkpoint.tensors.values())
    if len(empty) <= n_whole:
        return
    raise UnreadableCheckpoint(
        f"{len(empty):,} of {len(checkpoint.tensors):,} tensors of {checkpoint.path} are empty (0 elements): "
        "their values were not saved",
        details=[listing("empty", empty, shown=4)],
        hint="under DeepSpeed ZeRO-3 gather the weights: stage3_gather_16bit_weights_on_model_save when saving, or "
        "zero_to_fp32.py in the folder of its checkpoint",
    )
