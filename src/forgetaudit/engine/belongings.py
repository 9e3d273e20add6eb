"""All that hangs on the modules of a model, taken and put back: tensors, attributes, flags, random state."""

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Belongings", "Held", "RandomState"]

_CONTAINERS = (dict, OrderedDict, list, set, deque)
_MOST_ENTRIES = 1_000
_PLAIN = (bool, int, float, str, bytes, torch.Size, torch.dtype, torch.device)
_HOOKS = frozenset(name for name in vars(nn.Module()) if "hook" in name)


@dataclass(frozen=True, slots=True)
class Held:
    """One moment of a model: by module, its attributes and the plain containers among them with their contents.

    `marks` has the identity of every entry: equal marks, equal belongings.
    """

    modules: tuple[tuple[tuple[Any, Any], ...], ...]
    marks: tuple[tuple[int, ...], ...]


class Belongings:
    """Takes and puts back what hangs on the modules of `model`, by identity; values are not copied.

    Containers are restored in place, one level deep; those of more than 1,000 entries are left alone.
    """

    def __init__(self, model: nn.Module) -> None:
        self.paths = tuple(path for path, _ in model.named_modules())
        self._owners = tuple(vars(module) for module in model.modules())

    def take(self, *, hooks: bool = False) -> Held:
        """What hangs there now; hooks are many empty dicts that nothing touches while a model runs."""
        modules = tuple(tuple(_contents(owner, hooks)) for owner in self._owners)
        return Held(modules, tuple(tuple(chain.from_iterable(map(_marks, module))) for module in modules))

    def put(self, held: Held) -> None:
        """Make it what it was when `held` was taken."""
        for container, entries in chain.from_iterable(held.modules):
            if not _same_entries(container, entries):
                container.clear()
                _fill(container, entries)

    def moved(self, before: Held, after: Held) -> list[str]:
        """The paths of the modules of which anything changed hands between two moments."""
        if before.marks == after.marks:
            return []
        return [
            path
            for path, marks, was, new_marks, now in zip(
                self.paths, before.marks, before.modules, after.marks, after.modules, strict=True
            )
            if marks != new_marks and not (len(was) == len(now) and all(map(_equal_entries, was, now)))
        ]

    def plain_tensors(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """(path, attributes, key) of every tensor that is a plain attribute of a module."""
        for path, owner in zip(self.paths, self._owners, strict=True):
            yield from ((path, owner, key) for key, value in owner.items() if isinstance(value, Tensor))


def _contents(owner: dict[str, Any], hooks: bool) -> Iterator[tuple[Any, Any]]:
    yield owner, owner.copy()
    for name, value in owner.items():
        if type(value) in _CONTAINERS and len(value) <= _MOST_ENTRIES and (hooks or name not in _HOOKS):
            yield value, value.copy()


def _marks(container: tuple[Any, Any]) -> Iterator[int]:
    _, entries = container
    return map(id, entries.values() if isinstance(entries, dict) else entries)


def _same_entries(left: Any, right: Any) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, dict):
        return all(map(is_, left.values(), right.values())) and all(map(is_, left, right))
    if isinstance(left, set):
        return bool(left == right)
    return all(map(is_, left, right))


def _equal_entries(was: tuple[Any, Any], now: tuple[Any, Any]) -> bool:
    """Whether two contents of one container have the same entries, or equal plain values made anew."""
    (container, left), (same_container, right) = was, now
    if container is not same_container or len(left) != len(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(map(_same_value, left.values(), right.values()))
    return all(map(_same_value, left, right))


def _same_value(left: Any, right: Any) -> bool:
    return left is right or (type(left) is type(right) and isinstance(left, _PLAIN) and left == right)


def _fill(container: Any, entries: Any) -> None:
    if isinstance(container, (dict, set)):
        container.update(entries)
    else:
        container.extend(entries)


@dataclass(frozen=True, slots=True)
class RandomState:
    """The state of every random number generator that a module may draw from."""

    python: Any
    numpy: Any
    cpu: Tensor
    cuda: tuple[Tensor, ...]

    @classmethod
    def take(cls) -> "RandomState":
        """The state now. Numpy's and CUDA's only where they are in use."""
        numpy = sys.modules.get("numpy")
        return cls(
            random.getstate(),
            None if numpy is None else numpy.random.get_state(),
            torch.get_rng_state(),
            tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else (),  # type: ignore[no-untyped-call]
        )

    def put(self) -> None:
        """Make it the state again."""
        random.setstate(self.python)
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))

    def same_as(self, other: "RandomState") -> bool:
        """Whether nothing was drawn in between."""
        return (
            self.python == other.python
            and _numpy_key(self.numpy) == _numpy_key(other.numpy)
            and torch.equal(self.cpu, other.cpu)
            and len(self.cuda) == len(other.cuda)
            and all(map(torch.equal, self.cuda, other.cuda))
        )


def _numpy_key(state: Any) -> Any:
    return None if state is None else (state[0], state[1].tobytes(), *state[2:])
