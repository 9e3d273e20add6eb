"""Which steps of a run the tensors of a checkpoint come from: all of one step, or some of one and some of another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forgetaudit.checkpoints.checkpoint import Checkpoint

__all__ = ["StepOrigins", "equal_tensors", "find_origins"]

_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOrigins:
    """How many tensors each step explains, by its name, in the order given; tensors equal in all steps tell nothing.

    `is_step` is the step whose every tensor this is. `mixed` are steps that, each, explain tensors that the others
    do not, where no single step explains all.
    """

    n_equal: Mapping[str, int]
    n_telling: int
    n_unexplained: int
    is_step: str | None
    mixed: tuple[str, ...]


def find_origins(names: Iterable[str], equal: Mapping[str, frozenset[str]]) -> StepOrigins:
    """`equal`: for each step the names of the tensors of which it holds the very bytes."""
    steps = list(equal)
    names = set(names)
    everywhere = frozenset.intersection(*equal.values()) if equal else frozenset()
    telling = names - everywhere
    explained = {step: frozenset(telling & equal[step]) for step in steps}
    whole = [step for step in steps if telling and explained[step] == telling]
    unexplained = telling - frozenset().union(*explained.values())
    return StepOrigins(
        n_equal={step: len(explained[step]) for step in steps},
        n_telling=len(telling),
        n_unexplained=len(unexplained),
        is_step=whole[0] if whole else None,
        mixed=() if whole else _cover(steps, explained),
    )


def _cover(steps: Sequence[str], explained: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The fewest steps, taken greedily, that explain what steps can; none where a single one does."""
    rest = frozenset().union(*explained.values())
    taken: list[str] = []
    while rest:
        best = max(steps, key=lambda step: len(explained[step] & rest))
        taken.append(best)
        rest -= explained[best]
    return tuple(step for step in steps if step in taken) if len(taken) > 1 else ()


def equal_tensors(one: Checkpoint, other: Checkpoint) -> frozenset[str]:
    """The names under which both hold the same type, shape and bytes. Reading a tensor ends at its first difference."""
    return frozenset(
        name
        for name, info in one.tensors.items()
        if name in other.tensors and info == other.tensors[name] and _equal_bytes(one, other, name)
    )


def _equal_bytes(one: Checkpoint, other: Checkpoint, name: str) -> bool:
    ours, theirs = np.empty(_BLOCK_BYTES, dtype=np.uint8), np.empty(_BLOCK_BYTES, dtype=np.uint8)
    n_bytes = one.tensors[name].n_bytes
    for start in range(0, n_bytes, _BLOCK_BYTES):
        n_here = min(_BLOCK_BYTES, n_bytes - start)
        one.read(name, start, ours[:n_here].data)
        other.read(name, start, theirs[:n_here].data)
        if not np.array_equal(ours[:n_here], theirs[:n_here]):
            return False
    return True
