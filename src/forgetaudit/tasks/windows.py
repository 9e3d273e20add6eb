"""Where a long text is cut: windows that overlap, for models that read on; pieces, for models that read both ways."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Window", "cut", "strided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Tokens `start` to `stop` of a text, of which those from `first` on are asked here and nowhere else."""

    start: int
    stop: int
    first: int


def strided(n: int, context: int, stride: int) -> Iterator[Window]:
    """Windows of at most `context` over `n` tokens, each `stride` after the one before; the last ends with the text.

    Every token but the very first is asked once, with at least `context` − `stride` tokens before it in its window, or
    all there are. None for fewer than two tokens. ValueError unless 1 ≤ stride < context.
    """
    if not 1 <= stride < context:
        raise ValueError(
            f"a stride of {stride} in a context of {context} leaves tokens without one before them"
        )
    first, start = 1, 0
    while first < n:
        stop = min(start + context, n)
        yield Window(start=start, stop=stop, first=first)
        first, start = stop, start + stride


def cut(n: int, longest: int) -> Iterator[Window]:
    """Pieces of `longest` of `n` tokens, one after the other, the last perhaps shorter."""
    for start in range(0, n, longest):
        yield Window(start=start, stop=min(start + longest, n), first=start)
