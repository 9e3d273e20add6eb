"""One file with weights, whatever its format."""

from pathlib import Path

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.evidence import Kind, recognise
from forgetaudit.checkpoints.safetensors_file import SafetensorsFile
from forgetaudit.checkpoints.torch_file import TorchFile
from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["open_single"]


def open_single(path: Path) -> Checkpoint:
    """Open one file of weights, told by its bytes and not by its name."""
    match recognise(path):
        case Kind.SAFETENSORS:
            return SafetensorsFile(path)
        case Kind.TORCH:
            return TorchFile(path)
        case Kind.INDEX:
            raise UnreadableCheckpoint(f"{path} is JSON, not weights", hint="name the file with the weights")
