"""What was handed over and not read, not run, not compared or not independent: named, and nothing passes over it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["Gap", "Holds", "Notes", "gaps_in"]

# Which rules cannot pass: those on answers and features, those on distances and frozen tensors, both, or none.
# "tensors": those of the second kind that cover a tensor which was not compared, each by itself.
Holds = Literal["behaviour", "weights", "everything", "tensors", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A part of the input that the numbers do not speak of.

    Whoever opens, reads, loads or runs something hands back a gap for everything that it left. `ident` has a section
    in docs/findings.md; `what` is one sentence with names and counts, for the first screen; `advice` is an action.
    `holds` says which rules are at best inconclusive; "nothing" where the choice is sound and has only to be said.
    `variant` and `data` are set by whoever knows them: None means every variant, or every data set.
    """

    ident: str
    what: str
    advice: str
    holds: Holds
    evidence: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    variant: str | None = None
    data: str | None = None

    def __str__(self) -> str:
        return self.what


# What was decided on the way: a sentence for --verbose, or a gap, which stands on the first screen, too.
Notes = tuple[str | Gap, ...]


def gaps_in(notes: Iterable[str | Gap]) -> tuple[Gap, ...]:
    """Those of the notes that are gaps."""
    return tuple(note for note in notes if isinstance(note, Gap))
