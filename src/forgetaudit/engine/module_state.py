"""All that hangs on the modules of a model, taken and put back: tensors, attributes, flags, random state.

And the globals of the files that define its modules, where these are the user's own: a cache that one variant fills is
none of another's.
"""

import random
import sys
import sysconfig
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Contents", "ModuleState", "RandomState", "Snapshot"]

_CONTAINERS = (dict, OrderedDict, list, set, deque)
_MOST_ENTRIES = 1_000
_MOST_CHANGES = 1_000
_PLAIN = (bool, int, float, str, bytes, torch.Size, torch.dtype, torch.device)
# What is installed keeps no state of a run in its globals; to take them all would cost more than the network.
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_HOOKS = frozenset(name for name in vars(nn.Module()) if "hook" in name)


Contents = tuple[tuple[Any, Any], ...]
"""Containers, each with what was in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One moment of a model: by module, its attributes and the plain containers among them with their contents.

    `marks` has the identity of every entry: equal marks, equal belongings.
    """

    modules: tuple[Contents, ...]
    marks: tuple[int, ...]


class ModuleState:
    """Takes and puts back what hangs on the modules of `model`, by identity; values are not copied.

    Containers are restored in place, one level deep; those of more than 1,000 entries are left alone.
    """

    def __init__(self, model: nn.Module) -> None:
        self.paths = tuple(path for path, _ in model.named_modules())
        namespaces = tuple(_own_namespaces(model))
        # Globals are of no module; what changes there changes for the whole model.
        self._places = (*self.paths, *("" for _ in namespaces))
        self._owners = (*(vars(module) for module in model.modules()), *namespaces)
        self._caches = tuple(value for space in namespaces for value in space.values() if _is_cache(value))
        self._hooks = tuple(
            owner[name] for owner in self._owners for name in _HOOKS if type(owner.get(name)) in _CONTAINERS
        )
        self._now: Snapshot | None = None
        self._changes: dict[tuple[Snapshot, Snapshot], list[tuple[Any, Any]]] = {}

    def take(self, like: Snapshot | None = None) -> Snapshot:
        """What hangs there now: `like` itself where that is the same."""
        if like is None or self._marks(like) != like.marks:
            modules = tuple(tuple(_contents(owner)) for owner in self._owners)
            like = Snapshot(modules, tuple(chain.from_iterable(map(_ids, chain.from_iterable(modules)))))
        self._now = like
        return like

    def put(self, held: Snapshot) -> None:
        """Make it what it was when `held` was taken."""
        before, self._now = self._now, None
        for cached in self._caches:
            cached.cache_clear()
        for container, entries in self._between(before, held):
            _restore(container, entries)
        self._now = held

    def globals_in(self, held: Snapshot) -> Contents:
        """Those of a moment."""
        return tuple(chain.from_iterable(held.modules[len(self.paths) :]))

    def take_globals(self) -> Contents:
        """Those that there are now."""
        return tuple(chain.from_iterable(map(_contents, self._owners[len(self.paths) :])))

    def put_globals(self, taken: Contents) -> None:
        """Make the globals what they were when `taken` was."""
        for cached in self._caches:
            cached.cache_clear()
        for container, entries in taken:
            _restore(container, entries)

    def take_hooks(self) -> dict[int, Any]:
        """The hooks that hang there now, by the identity of their dict; they are no part of `take`."""
        return {id(hooks): hooks.copy() for hooks in self._hooks if hooks}

    def put_hooks(self, taken: dict[int, Any]) -> None:
        """Make the hooks what they were when `taken` was."""
        for hooks in self._hooks if taken or any(self._hooks) else ():
            _restore(hooks, taken.get(id(hooks), {}))

    def release(self) -> None:
        """From here on, anything may change: what hangs there is no longer known."""
        self._now = None

    def _marks(self, like: Snapshot) -> tuple[int, ...]:
        return tuple(
            chain.from_iterable(_ids((None, container)) for container, _ in chain.from_iterable(like.modules))
        )

    def _between(self, before: Snapshot | None, held: Snapshot) -> Sequence[tuple[Any, Any]]:
        """What must be put back for `held`, with what is known of the difference."""
        if before is held:
            return []
        if before is None:
            return list(chain.from_iterable(held.modules))
        if (before, held) not in self._changes:
            known = {id(container): entries for container, entries in chain.from_iterable(before.modules)}
            if len(self._changes) >= _MOST_CHANGES:
                self._changes.clear()
            self._changes[before, held] = [
                (container, entries)
                for container, entries in chain.from_iterable(held.modules)
                if id(container) not in known or not _same_entries(known[id(container)], entries)
            ]
        return self._changes[before, held]

    def moved(self, before: Snapshot, after: Snapshot) -> list[str]:
        """The paths of the modules of which anything changed hands between two moments."""
        if before is after:
            return []
        return [
            path
            for path, was, now in zip(self._places, before.modules, after.modules, strict=True)
            if not (len(was) == len(now) and all(map(_equal_entries, was, now)))
        ]

    def plain_tensors(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """(path, attributes, key) of every tensor that is a plain attribute of a module."""
        for path, owner in zip(self.paths, self._owners, strict=False):
            yield from ((path, owner, key) for key, value in owner.items() if isinstance(value, Tensor))


def _own_namespaces(model: nn.Module) -> Iterator[dict[str, Any]]:
    """The globals of the files of the user's own that define the model's modules."""
    for name in dict.fromkeys(type(module).__module__ for module in model.modules()):
        found = sys.modules.get(name)
        path = getattr(found, "__file__", None)
        if found is not None and path is not None and not path.startswith(_INSTALLED):
            yield vars(found)


def _is_cache(value: Any) -> bool:
    return callable(getattr(value, "cache_clear", None)) and callable(getattr(value, "cache_info", None))


def _contents(owner: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    yield owner, owner.copy()
    for name, value in owner.items():
        if type(value) in _CONTAINERS and name not in _HOOKS and len(value) <= _MOST_ENTRIES:
            yield value, value.copy()


def _ids(container: tuple[Any, Any]) -> Iterator[int]:
    _, entries = container
    return map(id, entries.values() if isinstance(entries, dict) else entries)


def _restore(container: Any, entries: Any) -> None:
    if not _same_entries(container, entries):
        container.clear()
        _fill(container, entries)


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


@dataclass(frozen=True, slots=True, eq=False)
class RandomState:
    """The state of every random number generator that a module may draw from."""

    python: Any
    numpy: Any
    cpu: Tensor
    cuda: tuple[Tensor, ...]

    @classmethod
    def take(cls, like: "RandomState | None" = None) -> "RandomState":
        """The state now, `like` itself where that is the same. CUDA's only where it is in use."""
        # NumPy loads its generators when they are first asked for: that somebody did is no draw.
        now = cls(
            random.getstate(),
            np.random.get_state(),  # the global generator is what modules draw from
            torch.get_rng_state(),
            tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else (),  # type: ignore[no-untyped-call]
        )
        return like if like is not None and now.same_as(like) else now

    @classmethod
    def other(cls, seed: int) -> "RandomState":
        """Fresh generators for `seed`; those in use are left as they are."""
        now = cls.take()
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            return cls.take()
        finally:
            now.put()

    def put(self) -> None:
        """Make it the state again."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))

    def same_as(self, other: "RandomState") -> bool:
        """Whether nothing was drawn in between."""
        return (
            self.python == other.python
            and _numpy_key(self.numpy) == _numpy_key(other.numpy)
            and torch.equal(self.cpu, other.cpu)
            # A device in use since then has none to compare with.
            and all(map(torch.equal, self.cuda, other.cuda))
        )


def _numpy_key(state: Any) -> Any:
    return state[0], state[1].tobytes(), *state[2:]
