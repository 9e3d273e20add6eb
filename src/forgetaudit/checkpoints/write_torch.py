"""A torch file written after the pattern of another: the same structure around other values."""

import argparse
import os
from pathlib import Path
from typing import Any

from forgetaudit.checkpoints.checkpoint import TensorInfo
from forgetaudit.checkpoints.state_dicts import WeightSet, find_state_dict
from forgetaudit.checkpoints.torch_archive import check_archive
from forgetaudit.checkpoints.write_safetensors import Values

__all__ = ["write_like_torch"]


def write_like_torch(pattern: Path, target: Path, values: Values, weights: WeightSet | None = None) -> None:
    """Whatever lies beside the weights, and which tensors share memory, is the pattern's. The whole file is in memory.

    Of raw weights and averaged ones, those of `weights` are written. The file is on the disk when this returns.
    OSError where the disk does not take it.
    """
    import torch

    check_archive(pattern)
    with torch.serialization.safe_globals([argparse.Namespace]):
        content: Any = torch.load(pattern, map_location="cpu", weights_only=True)  # noqa: TID251
    found = find_state_dict(content, lambda value: isinstance(value, torch.Tensor), pattern, weights)
    for name, tensor in found.tensors.items():
        if isinstance(tensor, torch.Tensor):
            _fill(name, tensor, values)
    with target.open("xb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def _fill(name: str, tensor: Any, values: Values) -> None:
    """In place, so that what shares the memory follows."""
    import torch

    info = TensorInfo(
        name=name,
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=tuple(tensor.shape),
        n_bytes=tensor.numel() * tensor.element_size(),
    )
    made = values(info)
    if made is None or not info.n_bytes:
        return
    flat = torch.frombuffer(bytearray(made), dtype=tensor.dtype)
    with torch.no_grad():
        tensor.copy_(flat.reshape(tensor.shape))
