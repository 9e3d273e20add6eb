"""A number for every step of a run, kept as stretches of equal ones: a billion steps take no more room than ten."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, repeat
from typing import overload

__all__ = ["Rates", "Stretch", "stretches_of", "stretches_together"]

Stretch = tuple[float, int]


class Rates(Sequence[float]):
    """The learning rate of every step, from the first. Equal to any sequence of the same numbers."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        merged: list[Stretch] = []
        for rate, group in groupby(stretches, key=lambda stretch: stretch[0]):
            n_steps = sum(n for _, n in group)
            if n_steps > 0:
                merged.append((rate, n_steps))
        self.stretches = tuple(merged)
        self.n_steps = sum(n for _, n in merged)

    def __len__(self) -> int:
        return self.n_steps

    def __iter__(self) -> Iterator[float]:
        return chain.from_iterable(repeat(rate, n) for rate, n in self.stretches)

    @overload
    def __getitem__(self, at: int) -> float: ...
    @overload
    def __getitem__(self, at: slice) -> "Rates": ...
    def __getitem__(self, at: int | slice) -> "float | Rates":
        if isinstance(at, slice):
            start, stop, step = at.indices(self.n_steps)
            if step != 1:
                raise ValueError("only whole stretches of steps can be taken")
            return Rates(self._between(start, stop))
        at = at + self.n_steps if at < 0 else at
        for rate, n in self._between(at, at + 1):
            if n:
                return rate
        raise IndexError(at)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rates):
            return self.stretches == other.stretches
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(self.stretches)

    def __repr__(self) -> str:
        return f"Rates({list(self.stretches)})"

    def scaled(self, factor: float) -> "Rates":
        """Every rate times `factor`."""
        return Rates((rate * factor, n) for rate, n in self.stretches)

    def _between(self, start: int, stop: int) -> Iterator[Stretch]:
        past = 0
        for rate, n in self.stretches:
            yield rate, max(0, min(stop, past + n) - max(start, past))
            past += n


def stretches_of(rates: Iterable[float]) -> Iterator[Stretch]:
    """Those of a Rates, or of any numbers."""
    if isinstance(rates, Rates):
        yield from rates.stretches
    else:
        yield from ((rate, sum(1 for _ in group)) for rate, group in groupby(rates))


def stretches_together(left: Iterable[float], right: Iterable[float]) -> Iterator[tuple[float, float, int]]:
    """Stretches over which both stay as they are. ValueError where one is longer."""
    ours, theirs = stretches_of(left), stretches_of(right)
    (one, n), (other, m) = next(ours, (0.0, 0)), next(theirs, (0.0, 0))
    while n and m:
        both = min(n, m)
        yield one, other, both
        n, m = n - both, m - both
        if not n:
            one, n = next(ours, (0.0, 0))
        if not m:
            other, m = next(theirs, (0.0, 0))
    if n or m:
        raise ValueError("one of them has more steps than the other")
