"""Which tensor of one side is which of the other: by name and shape, and by no guess that is not told."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from forgetaudit.checkpoints.checkpoint import Checkpoint, Shape
from forgetaudit.checkpoints.names import canonical, removed_segments, respelled
from forgetaudit.checkpoints.prefixes import Prefixes, find_prefixes
from forgetaudit.checkpoints.versions import check_versions

__all__ = ["NameAlignment", "align", "align_names"]

# Every round explains one pair of prefixes; a network of two renamed towers needs two.
_MAX_ROUNDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAlignment:
    """Which names belong together, all in the order of the left side.

    `pairs` agree in shape and `reshaped` do not; both are (left, right). `steps` tells in plain words every change
    of names that was needed. No name stands in more than one place.
    """

    pairs: tuple[tuple[str, str], ...]
    reshaped: tuple[tuple[str, str], ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    steps: tuple[str, ...]


def align(base: Checkpoint, tuned: Checkpoint) -> NameAlignment:
    """Match the tensors of two checkpoints. Raises MismatchError where they are not versions of one network.

    Tensors in one of them only are otherwise fine: a replaced head, an adapter, a tied copy that one file leaves out.
    """
    found = align_names(
        {name: info.shape for name, info in base.tensors.items()},
        {name: info.shape for name, info in tuned.tensors.items()},
    )
    check_versions(found.pairs, found.reshaped, found.only_left, found.only_right)
    return found


def align_names(
    left: Mapping[str, Shape], right: Mapping[str, Shape], *, sides: tuple[str, str] = ("base", "tuned")
) -> NameAlignment:
    """Match names of equal shape; `sides` are the words for left and right in the steps.

    First equal names, then names equal without wrapper segments (`module.`, `_orig_mod.`, `model.`, …), then names
    equal but for a prefix that occurs in the data and explains enough tensors. Nothing is removed that does not make
    more names match, and names that would become equal to each other are left as they are.
    """
    work = _Matching(left, right, sides)
    work.match_equal()
    work.match_without_wrappers()
    accepted = [Prefixes(left="", right="")]
    for _ in range(_MAX_ROUNDS):
        prefixes = work.match_prefixes()
        if prefixes is None:
            break
        accepted.append(prefixes)
    work.find_reshaped(accepted)
    return work.result()


class _Matching:
    """What is matched so far, and what is still open on both sides."""

    def __init__(self, left: Mapping[str, Shape], right: Mapping[str, Shape], sides: tuple[str, str]) -> None:
        self._left, self._right = left, right
        self._sides = sides
        self._open_left, self._open_right = dict(left), dict(right)
        self._pairs: dict[str, str] = {}
        self._reshaped: dict[str, str] = {}
        self._steps: list[str] = []

    def match_equal(self) -> None:
        for name, shape in self._left.items():
            if self._right.get(name) == shape:
                self._take(self._pairs, name, name)

    def match_without_wrappers(self) -> None:
        left, right = self._keys()
        matches = [
            (name, right[key])
            for key, name in left.items()
            if key in right and self._left[name] == self._right[right[key]]
        ]
        for name, other in matches:
            self._take(self._pairs, name, other)
        self._tell_changes(matches)
        self._tell_collisions(left, right)

    def match_prefixes(self) -> Prefixes | None:
        left, right = self._keys()
        found = find_prefixes(
            {key: self._left[name] for key, name in left.items()},
            {key: self._right[name] for key, name in right.items()},
            n_smaller_side=min(len(self._left), len(self._right)),
            sides=self._sides,
        )
        if found.prefixes is None:
            self._steps += [] if found.refused is None else [found.refused]
            return None
        matches = [(left[key], right[other]) for key, other in found.matches]
        for name, other in matches:
            self._take(self._pairs, name, other)
        self._tell_changes(matches)
        self._steps.append(found.prefixes.told(len(found.matches), self._sides))
        return found.prefixes

    def find_reshaped(self, accepted: list[Prefixes]) -> None:
        for name in list(self._open_left):
            if name in self._open_right:
                self._take(self._reshaped, name, name)
        left, right = self._keys()
        for prefixes in accepted:
            for key, name in left.items():
                other = right.get(prefixes.right + key.removeprefix(prefixes.left))
                if key.startswith(prefixes.left) and name in self._open_left and other in self._open_right:
                    self._take(self._reshaped, name, other)

    def result(self) -> NameAlignment:
        return NameAlignment(
            pairs=tuple((name, self._pairs[name]) for name in self._left if name in self._pairs),
            reshaped=tuple((name, self._reshaped[name]) for name in self._left if name in self._reshaped),
            only_left=tuple(self._open_left),
            only_right=tuple(self._open_right),
            steps=tuple(self._steps),
        )

    def _take(self, into: dict[str, str], left: str, right: str) -> None:
        into[left] = right
        del self._open_left[left]
        del self._open_right[right]

    def _keys(self) -> tuple[dict[str, str], dict[str, str]]:
        return _by_canonical(self._open_left), _by_canonical(self._open_right)

    def _tell_changes(self, matches: list[tuple[str, str]]) -> None:
        changes = Counter(change for name, other in matches for change in _changes(name, other, self._sides))
        for (what, side), n_names in changes.items():
            self._steps.append(f"{what} {n_names} {'name' if n_names == 1 else 'names'} of {side}")

    def _tell_collisions(self, left: dict[str, str], right: dict[str, str]) -> None:
        for side, names, kept in (
            (self._sides[0], self._open_left, left),
            (self._sides[1], self._open_right, right),
        ):
            collided = [name for name in names if canonical(name) not in kept]
            if collided:
                self._steps.append(
                    f"left {len(collided)} names of {side} as they are: without wrappers, such as in"
                    f" `{collided[0]}`, some would become equal"
                )


def _by_canonical(names: Mapping[str, Shape]) -> dict[str, str]:
    """Canonical name -> name, for the names that have theirs to themselves; the others stand under their own name."""
    n_named = Counter(canonical(name) for name in names)
    return {canonical(name) if n_named[canonical(name)] == 1 else name: name for name in names}


def _changes(left: str, right: str, sides: tuple[str, str]) -> list[tuple[str, str]]:
    told = []
    for name, other, side in ((left, right, sides[0]), (right, left, sides[1])):
        removed = removed_segments(name, other)
        if removed:
            told.append((f"removed `{'.'.join(removed)}.` from", side))
        if respelled(name) != name and respelled(other) == other:
            told.append((f"read the old spelling `{name.rpartition('.')[2]}` in", side))
    return told
