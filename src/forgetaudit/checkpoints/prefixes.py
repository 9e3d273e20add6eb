"""Prefixes that make the names of two sides agree: taken from the names themselves, believed only on evidence."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from forgetaudit.checkpoints.checkpoint import Shape
from forgetaudit.checkpoints.names import differs_in_numbers_only, splits

__all__ = ["PrefixMatch", "Prefixes", "find_prefixes"]

_MIN_TENSORS = 8
# A suffix with more places than this ("weight" in a deep network) says nothing of where it belongs.
_MAX_PLACES = 256

Matches = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Prefixes:
    """`left` + x on one side is `right` + x on the other. Each ends with a dot, or is empty."""

    left: str
    right: str

    def told(self, n_names: int, sides: tuple[str, str]) -> str:
        """The step in plain words."""
        names = "name" if n_names == 1 else "names"
        if not self.left:
            return f"removed `{self.right}` from {n_names} {names} of {sides[1]}"
        if not self.right:
            return f"removed `{self.left}` from {n_names} {names} of {sides[0]}"
        return f"read `{self.left}` of {sides[0]} as `{self.right}` of {sides[1]} in {n_names} {names}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixMatch:
    """The best prefixes with the names they match, or None; `refused` tells of the best that lacked evidence."""

    prefixes: Prefixes | None
    matches: Matches = ()
    refused: str | None = None


def find_prefixes(
    left: Mapping[str, Shape], right: Mapping[str, Shape], *, n_smaller_side: int, sides: tuple[str, str]
) -> PrefixMatch:
    """The prefixes that match most elements in names and shapes, where the evidence is enough.

    Enough is 8 tensors, or half of the smaller side (more than half where both sides have a prefix): two tensors of
    equal name and shape, such as the weight and bias of two square layers, are no evidence in a deep network.
    """
    candidates = _candidates(left, right)
    ranked = sorted(candidates, key=lambda prefixes: _rank(prefixes, candidates[prefixes], left))
    for prefixes in ranked:
        matches = candidates[prefixes]
        if not _is_enough(prefixes, len(matches), n_smaller_side):
            continue
        if _is_ambiguous(prefixes, candidates, left):
            return PrefixMatch(prefixes=None, refused=_undecided(prefixes, len(matches), sides))
        return PrefixMatch(prefixes=prefixes, matches=matches)
    return PrefixMatch(prefixes=None, refused=_weak(ranked, candidates, sides))


def _candidates(left: Mapping[str, Shape], right: Mapping[str, Shape]) -> dict[Prefixes, Matches]:
    places: dict[tuple[str, Shape], list[tuple[str, str]]] = defaultdict(list)
    for name, shape in left.items():
        for prefix, suffix in splits(name):
            places[suffix, shape].append((prefix, name))
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for other, shape in right.items():
        for prefix, suffix in splits(other):
            here = places.get((suffix, shape), [])
            for left_prefix, name in here if len(here) <= _MAX_PLACES else []:
                found[left_prefix, prefix].append((name, other))
    return {
        Prefixes(left=one, right=two): tuple(matches)
        for (one, two), matches in found.items()
        if one != two and not differs_in_numbers_only(one, two)
    }


def _rank(
    prefixes: Prefixes, matches: Matches, shapes: Mapping[str, Shape]
) -> tuple[int, int, int, Prefixes]:
    """Most elements first, then most tensors, then the shortest prefixes, then the alphabet."""
    n_elements = _n_elements(matches, shapes)
    return -n_elements, -len(matches), prefixes.left.count(".") + prefixes.right.count("."), prefixes


def _n_elements(matches: Matches, shapes: Mapping[str, Shape]) -> int:
    return sum(math.prod(shapes[name]) for name, _ in matches)


def _is_enough(prefixes: Prefixes, n_tensors: int, n_smaller_side: int) -> bool:
    if n_tensors >= _MIN_TENSORS or n_tensors == n_smaller_side:
        return True
    both_sides = bool(prefixes.left and prefixes.right)
    return n_tensors >= 2 and (
        2 * n_tensors > n_smaller_side if both_sides else 2 * n_tensors >= n_smaller_side
    )


def _is_ambiguous(
    best: Prefixes, candidates: Mapping[Prefixes, Matches], shapes: Mapping[str, Shape]
) -> bool:
    """True where other prefixes match as much and give one of the names another partner."""
    mine = candidates[best]
    partner, back = dict(mine), {other: name for name, other in mine}
    for prefixes, matches in candidates.items():
        if prefixes == best or len(matches) != len(mine):
            continue
        contradicts = any(
            partner.get(name, other) != other or back.get(other, name) != name for name, other in matches
        )
        if contradicts and _n_elements(matches, shapes) == _n_elements(mine, shapes):
            return True
    return False


def _undecided(prefixes: Prefixes, n_names: int, sides: tuple[str, str]) -> str:
    left, right = (f"`{prefix}*` of {side}" for prefix, side in zip(_both(prefixes), sides, strict=True))
    return (
        f"left apart: {left} and {right} agree in {n_names} names, and another choice of prefixes in as many"
    )


def _both(prefixes: Prefixes) -> tuple[str, str]:
    return prefixes.left, prefixes.right


def _weak(
    ranked: list[Prefixes], candidates: Mapping[Prefixes, Matches], sides: tuple[str, str]
) -> str | None:
    if not ranked:
        return None
    name, other = candidates[ranked[0]][0]
    n_tensors = len(candidates[ranked[0]])
    return (
        f"left apart: `{name}` of {sides[0]} and `{other}` of {sides[1]} agree in ending and shape, but only"
        f" {n_tensors} {'tensor does' if n_tensors == 1 else 'tensors do'} so"
    )
