"""Tensors, or rows of them, as numbers: for what looks at matrices and not at chunks."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, Checkpoint, TensorInfo
from forgetaudit.weights.decode import FLOATING, INTEGER, decode

__all__ = ["has_numbers", "is_as_trained", "matrix_shape", "read_rows", "row_blocks"]

Matrix = NDArray[np.float64]


def has_numbers(info: TensorInfo) -> bool:
    """Whether its values are real numbers that can be computed with."""
    return info.dtype in FLOATING | INTEGER


def is_as_trained(info: TensorInfo) -> bool:
    """Whether they are real numbers as the optimizer wrote them, up to a cast: not made of codes."""
    return has_numbers(info) and info.stored is None and info.codes is None


def matrix_shape(info: TensorInfo) -> tuple[int, int]:
    """As a matrix: the first dimension by all others. (n, 1) for a vector, (1, 1) for a scalar."""
    return (info.shape[0], math.prod(info.shape[1:])) if info.shape else (1, 1)


def read_rows(checkpoint: Checkpoint, name: str, start: int, stop: int) -> Matrix:
    """Rows `start` to `stop` of the tensor seen as a matrix, in float64."""
    info = checkpoint.tensors[name]
    n_columns = matrix_shape(info)[1]
    item = DTYPE_BITS[info.dtype] // 8
    raw = np.empty((stop - start) * n_columns * item, dtype=np.uint8)
    checkpoint.read(name, start * n_columns * item, raw.data)
    room = np.empty((stop - start) * n_columns, dtype=np.float32)
    with np.errstate(all="ignore"):
        return decode(raw, info.dtype, room).astype(np.float64).reshape(stop - start, n_columns)


def row_blocks(info: TensorInfo, n_elements: int = 1 << 18) -> Iterator[tuple[int, int]]:
    """(start, stop) of blocks of whole rows of about `n_elements`, at least one row each."""
    n_rows, n_columns = matrix_shape(info)
    step = max(1, n_elements // max(1, n_columns))
    for start in range(0, n_rows if n_columns else 0, step):
        yield start, min(start + step, n_rows)
