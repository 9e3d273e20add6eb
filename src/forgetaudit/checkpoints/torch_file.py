"""One torch file (.pt, .pth, .bin, .ckpt), read with weights_only and mapped into memory."""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from forgetaudit.checkpoints.checkpoint import Shape, TensorInfo, in_values
from forgetaudit.checkpoints.regular_file import RegularFile
from forgetaudit.checkpoints.state_dicts import WeightSet, find_state_dict
from forgetaudit.checkpoints.torch_archive import check_archive
from forgetaudit.errors import CheckpointError, UnreadableCheckpoint, UnsafeCheckpoint, listing
from forgetaudit.gaps import Notes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TorchFile", "load_piece", "load_plain"]


class TorchFile:
    """One torch file as a Checkpoint. Importing this module imports no torch; opening a file does.

    The file stays mapped while it is open. A tensor that is not stored in C order is copied when it is read, one at
    a time. `weights` is which of two sets was asked for.
    """

    format = "torch file"

    def __init__(self, path: Path, notes: Notes = (), *, weights: WeightSet | None = None) -> None:
        check_archive(path)
        self.path = path
        self.weights = weights
        self.files: tuple[Path, ...] = (path,)
        self.metadata: dict[str, str] = {}
        self._file = RegularFile(path)
        try:
            self._tensors, decisions = _named_tensors(path, weights)
        except BaseException:
            self._file.close()
            raise
        self.notes = (*notes, *decisions)
        self.tensors = {name: _info(name, tensor) for name, tensor in self._tensors.items()}
        self._open: tuple[str, Any] | None = None

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`."""
        # A map of a file that has shrunk kills the process when it is touched, so look first.
        self._file.check_unchanged()
        n_bytes = self.tensors[name].n_bytes
        if not 0 <= start_byte <= n_bytes - len(out):
            raise ValueError(f"{name!r} has {n_bytes} bytes; {len(out)} from {start_byte} were asked for")
        if self._open is None or self._open[0] != name:
            self._open = name, _bytes(self._tensors[name])
        out[:] = self._open[1][start_byte : start_byte + len(out)]

    def close(self) -> None:
        """Let go of the file and its map."""
        self._open = None
        self._tensors = {}
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _named_tensors(path: Path, weights: WeightSet | None) -> tuple[dict[str, Tensor], Notes]:
    from torch import Tensor

    found = find_state_dict(_load(path), lambda value: isinstance(value, Tensor), path, weights)
    tensors = {name: value for name, value in found.tensors.items() if isinstance(value, Tensor)}
    for name, tensor in tensors.items():
        _check(name, tensor, path)
    return tensors, found.notes


def _load(path: Path) -> object:
    import torch

    # The arguments of a training script, as timm's writes them: a bag of values, and its building runs nothing.
    with torch.serialization.safe_globals([argparse.Namespace]):
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # noqa: TID251
        except Exception as error:
            # Never tried again in another way: an unsafe fallback is what an attacker would ask for.
            raise _refusal(path, error) from None


def load_plain(path: Path) -> object:
    """All that a torch file holds, as plain data and tensors mapped into memory. For weights, see TorchFile."""
    check_archive(path)
    return _load(path)


def load_piece(data: bytes, dtype: str, shape: Shape, path: Path) -> memoryview:
    """The bytes of one tensor that was saved by itself into the middle of `path`, as distributed checkpoints do."""
    import torch

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        packed = True
    if packed:
        raise UnreadableCheckpoint(
            f"{path} is damaged, or has compressed members, which torch never writes",
            hint="copy or download the folder again",
        )
    try:
        tensor = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:
        raise _refusal(path, error, io.BytesIO(data)) from None
    if not isinstance(tensor, torch.Tensor) or str(tensor.dtype) != f"torch.{dtype}" or tensor.shape != shape:
        raise UnreadableCheckpoint(
            f"{path} holds something else than its index says", hint="copy or download the folder again"
        )
    _check("a piece", tensor, path)
    return _bytes(tensor)


def _refusal(path: Path, error: Exception, where: Path | io.BytesIO | None = None) -> CheckpointError:
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        named = sorted(get_unsafe_globals_in_checkpoint(where or path))
    except Exception:
        named = []
    if named:
        return UnsafeCheckpoint(
            f"{path} names Python objects that loading would run or build; it was not loaded",
            details=[listing("named", named, shown=6)],
            hint="where you trust the file, load it and save only its weights: torch.save(model.state_dict(), FILE)",
        )
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UnreadableCheckpoint(
        f"{path} cannot be read as a torch file",
        details=[f"torch says: {reason}"],
        hint="save the weights again: torch.save(model.state_dict(), FILE), or as safetensors",
    )


def _check(name: str, tensor: Tensor, path: Path) -> None:
    import torch

    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    if (
        not plain
        or tensor.layout != torch.strided
        or tensor.is_nested
        or tensor.is_quantized
        or tensor.device.type != "cpu"
    ):
        raise UnreadableCheckpoint(
            f"{path} holds {name!r} in a form that is not a plain dense tensor",
            details=[
                f"class {type(tensor).__name__}, {tensor.dtype}, {tensor.layout}, device {tensor.device}"
            ],
            hint="save it dense: tensor.to_dense(), tensor.dequantize() or full_tensor(), and pass that file",
        )
    n_stored = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > n_stored:
        # 1,570 bytes on disk can claim terabytes this way.
        raise UnreadableCheckpoint(
            f"{path} claims {tensor.numel():,} elements for {name!r} and stores {n_stored:,} bytes",
            hint="save it with its values: tensor.contiguous()",
        )


def _info(name: str, tensor: Tensor) -> TensorInfo:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return in_values(name, dtype, tuple(tensor.shape), tensor.numel() * tensor.element_size())


def _bytes(tensor: Tensor) -> memoryview:
    import torch

    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data
