"""What the bytes prove to be frozen, and where something moved that was to stay."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from forgetaudit.errors import UsageError, listing
from forgetaudit.policy import covers
from forgetaudit.weights.changes import Role, TensorChange, WeightChanges
from forgetaudit.weights.groups import Group

__all__ = ["FrozenCheck", "check_frozen", "frozen_layers", "moved_buffers", "untouched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenCheck:
    """The tensors that patterns declare frozen, and those of them that moved (or are gone, or are new)."""

    declared: tuple[TensorChange, ...]
    moved: tuple[TensorChange, ...]


def untouched(changes: WeightChanges) -> bool:
    """True where tuned is base in every tensor, up to casts and names. Perhaps the wrong file was passed."""
    return bool(changes.tensors) and all(row.is_unchanged for row in changes.tensors)


def frozen_layers(groups: Sequence[Group]) -> tuple[str, ...]:
    """The names of the groups in which no tensor moved, parameters and buffers alike."""
    return tuple(group.name for group in groups if group.is_frozen)


def moved_buffers(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups whose parameters are all unchanged and whose buffers are not.

    BatchNorm updates its running statistics in every forward pass of training mode, also when its weights are
    frozen: the featurizer then changes although "frozen".
    """
    return tuple(group for group in groups if _only_buffers_moved(group))


def check_frozen(changes: WeightChanges, patterns: Collection[str]) -> FrozenCheck:
    """Check shell patterns (`stem.*`) against the tensors' names, buffers included.

    A pattern also means everything inside a module of that name. Raises UsageError for a pattern that matches nothing,
    with the nearest names.
    """
    declared: dict[str, TensorChange] = {}
    for pattern in patterns:
        matched = [row for row in changes.tensors if covers(pattern, row.name)]
        if not matched:
            raise _matches_nothing(pattern, [row.name for row in changes.tensors])
        declared |= {row.name: row for row in matched}
    rows = tuple(row for row in changes.tensors if declared.get(row.name) is row)
    return FrozenCheck(declared=rows, moved=tuple(row for row in rows if not row.is_unchanged))


def _only_buffers_moved(group: Group) -> bool:
    parameters = [row for row in group.tensors if row.role is Role.PARAMETER]
    buffers = [row for row in group.tensors if row.role is not Role.PARAMETER]
    return (
        bool(parameters)
        and all(row.is_unchanged for row in parameters)
        and not all(row.is_unchanged for row in buffers)
    )


def _matches_nothing(pattern: str, names: Sequence[str]) -> UsageError:
    modules = {".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2)}
    near = difflib.get_close_matches(pattern.removesuffix(".*"), sorted(modules), n=3, cutoff=0.5)
    hint = f"nearest: {', '.join(near)}" if near else "name a tensor, a module, or a pattern such as 'stem.*'"
    return UsageError(
        f"the pattern {pattern!r} matches none of {len(names)} tensors",
        details=[listing("tensors", list(names), shown=3)],
        hint=hint,
    )
