"""What every checkpoint format offers: named tensors, and their bytes on request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from forgetaudit.gaps import Notes

__all__ = ["DTYPE_BITS", "Checkpoint", "Shape", "TensorInfo", "in_values"]

Shape = tuple[int, ...]

# Bits per element, by torch's names. The types below eight bits are stored packed.
DTYPE_BITS: Mapping[str, int] = {
    "float64": 64,
    "float32": 32,
    "float16": 16,
    "bfloat16": 16,
    "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8,
    "float8_e5m2": 8,
    "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8,
    "float6_e2m3": 6,
    "float6_e3m2": 6,
    "float4_e2m1": 4,
    "complex32": 32,
    "complex64": 64,
    "complex128": 128,
    "int64": 64,
    "int32": 32,
    "int16": 16,
    "int8": 8,
    "uint64": 64,
    "uint32": 32,
    "uint16": 16,
    "uint8": 8,
    "bool": 8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """What is known of a tensor before any of its values is read. `dtype` is torch's name: "bfloat16".

    `stored` is how the file holds it, where that is another dtype than what is read; `codes` says, of quantised
    weights, why their bytes stand for no values here, and `scales` what belongs to them; `is_scale` marks that.
    """

    name: str
    dtype: str
    shape: Shape
    n_bytes: int
    stored: str | None = None
    codes: str | None = None
    scales: tuple[str, ...] = ()
    is_scale: bool = False

    @property
    def n_elements(self) -> int:
        """The number of values; 1 for a scalar, 0 where a dimension is 0."""
        return math.prod(self.shape)


def in_values(name: str, dtype: str, shape: Shape, n_bytes: int) -> TensorInfo:
    """A tensor of torch's as safetensors describes it: fp4, which torch counts in pairs, is counted in values."""
    plain = dtype.removesuffix("fn_x2")
    if plain != dtype and shape:
        shape = (*shape[:-1], 2 * shape[-1])
    return TensorInfo(name=name, dtype=plain, shape=shape, n_bytes=n_bytes)


class Checkpoint(Protocol):
    """Named tensors in one or more files, opened read-only; reading them never runs code.

    `tensors` is in file order, so reading in that order reads the disk forwards. `format` is in human words.
    `notes` are the decisions a user should see, such as which of two sets of weights was taken.
    """

    @property
    def path(self) -> Path:
        """What the user named."""
        ...

    @property
    def format(self) -> str:
        """Such as "safetensors"."""
        ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor by its name, in file order."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """The text the file carries about itself."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file with weights in it, the index first where there is one."""
        ...

    @property
    def notes(self) -> Notes:
        """Decisions made while opening."""
        ...

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`: C order, little endian.

        Raises UnreadableCheckpoint where the file has changed since it was opened.
        """
        ...

    def close(self) -> None:
        """Let go of the files. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
