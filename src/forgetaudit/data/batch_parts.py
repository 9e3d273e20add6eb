"""Which rows of a batch a call of the model is about, where a task runs the model in several calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BatchPart", "outside_the_batch", "part_of_batch", "part_under_way"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPart:
    """The rows that a call has along its first dimension, and its mask (r, t), 1 for tokens that count.

    No rows: the call shows nothing new of the examples, such as the choices that follow a context already seen.
    """

    rows: tuple[int, ...]
    mask: Tensor | None = None


_UNDER_WAY: ContextVar[BatchPart | None] = ContextVar("part under way", default=None)


def part_under_way() -> BatchPart | None:
    """What the calls made now are about; None: the whole batch."""
    return _UNDER_WAY.get()


@contextmanager
def part_of_batch(rows: Sequence[int], mask: Tensor | None = None) -> Iterator[None]:
    """The calls made inside are about `rows`; features are read there. Each row of a batch in one such call."""
    yield from _under_way(BatchPart(rows=tuple(rows), mask=mask))


@contextmanager
def outside_the_batch() -> Iterator[None]:
    """The calls made inside show nothing new of the examples, whatever parts are named there: no features are read."""
    yield from _under_way(BatchPart(rows=()))


def _under_way(part: BatchPart) -> Iterator[None]:
    outer = _UNDER_WAY.get()
    before = _UNDER_WAY.set(part if outer is None or outer.rows else outer)
    try:
        yield
    finally:
        _UNDER_WAY.reset(before)
