"""Rows gathered into blocks of one size, whatever the batches they come in."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["BLOCK_ROWS", "RowBlocks"]

BLOCK_ROWS = 512
"""Rows folded at once: the d x d accumulators are then touched once for 512 rows, not once for every batch."""


class RowBlocks:
    """Copies of the rows of several paired streams, handed out in full blocks; at most one block is held back.

    Because a block has its rows whatever the batch size was, so have all sums taken block by block: bit for bit.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, ...]] = []
        self._n_pending = 0

    def add(self, *streams: Tensor) -> list[tuple[Tensor, ...]]:
        """Copy (n, d) rows of each stream; the blocks that are now full, in order."""
        self._pending.append(tuple(_own(rows) for rows in streams))
        self._n_pending += len(streams[0])
        if self._n_pending < BLOCK_ROWS:
            return []
        joined = _join(self._pending)
        n_full = self._n_pending - self._n_pending % BLOCK_ROWS
        rest = tuple(rows[n_full:].clone() for rows in joined)
        self._n_pending -= n_full
        self._pending = [rest] if self._n_pending else []
        starts = range(0, n_full, BLOCK_ROWS)
        return [tuple(rows[start : start + BLOCK_ROWS] for rows in joined) for start in starts]

    def pending(self) -> tuple[Tensor, ...] | None:
        """The rows of the block that is not full yet; they stay here."""
        return _join(self._pending) if self._pending else None


def _own(rows: Tensor) -> Tensor:
    # Contiguous, because a product's last bits depend on the order of its operands in memory.
    return rows.detach().clone(memory_format=torch.contiguous_format)


def _join(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(streams) for streams in zip(*parts, strict=True))
