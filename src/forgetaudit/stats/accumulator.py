"""What every accumulator of this package can do, and the laws it obeys."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

__all__ = ["Accumulator"]

Result_co = TypeVar("Result_co", covariant=True)


class Accumulator(Protocol[Result_co]):
    """Sums over examples: mutable, mergeable, of a size that does not grow with the number of examples.

    The laws, tested over every accumulator:

    - reading after updating equals the statistic of all examples at once;
    - neither the split into batches nor the order of the examples matters, but for rounding;
    - merging shards equals one pass over all of them;
    - merging reads the other and nothing more: no buffer is shared, the other stays as it was, and what it is
      given later does not show here;
    - an empty accumulator merged, or merged into, changes nothing;
    - reading changes nothing, and what it hands out does not change with later updates;
    - nothing given to `update` is kept: the caller may overwrite it;
    - copies and pickles behave as the original.
    """

    @property
    def update(self) -> Callable[..., None]:
        """Take in a batch; what a batch is made of is the accumulator's own."""
        ...

    def merge(self, other: Self, /) -> None:
        """Take in all that `other` has seen."""
        ...

    def read(self) -> Result_co:
        """The statistic so far, as a frozen value."""
        ...
