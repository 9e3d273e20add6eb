"""Tensors that two files name differently, recognised by shape and content where no name tells which is which."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.align import NameAlignment, align_names
from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, Checkpoint, Shape
from forgetaudit.checkpoints.versions import check_versions
from forgetaudit.weights.decode import FLOATING, decode

__all__ = ["align_by_content"]

# What is looked at of each tensor, from its start. Chance cosines of so many elements are below 0.1.
_ELEMENTS = 4096
_FEWEST = 16
# ‖a − b‖²/(‖a‖‖b‖) of a pair; 2 for unrelated ones. And how much nearer than the next best it must be, on both sides.
_NEAR, _CLEARLY = 0.6, 0.5

Numbers = NDArray[np.float64]


def align_by_content(base: Checkpoint, tuned: Checkpoint) -> NameAlignment:
    """By names as far as they go; then tensors of one shape that are each other's nearest by far.

    MismatchError where base and tuned are not versions of one network even so. Reads a few kilobytes of each tensor
    that has no name in common.
    """
    found = align_names(
        {name: info.shape for name, info in base.tensors.items()},
        {name: info.shape for name, info in tuned.tensors.items()},
    )
    matched = _matches(base, found.only_left, tuned, found.only_right)
    if matched:
        names = {**dict(found.pairs), **matched}
        found = replace(
            found,
            pairs=tuple((name, names[name]) for name in base.tensors if name in names),
            only_left=tuple(name for name in found.only_left if name not in matched),
            only_right=tuple(name for name in found.only_right if name not in set(matched.values())),
            steps=(
                *found.steps,
                f"renamed {len(matched)} names: of one shape, and nearest to each other by content",
            ),
        )
    check_versions(found.pairs, found.reshaped, found.only_left, found.only_right)
    return found


def _matches(
    base: Checkpoint, ours: Iterable[str], tuned: Checkpoint, theirs: Iterable[str]
) -> dict[str, str]:
    left, right = _by_shape(base, ours), _by_shape(tuned, theirs)
    matched: dict[str, str] = {}
    for shape in left.keys() & right.keys():
        ones, others = dict(left[shape]), dict(right[shape])
        # What is taken stands in nobody's way any more.
        while found := _nearest(ones, others) if ones and others else {}:
            matched |= found
            ones = {name: values for name, values in ones.items() if name not in found}
            others = {name: values for name, values in others.items() if name not in found.values()}
    return matched


def _by_shape(checkpoint: Checkpoint, names: Iterable[str]) -> Mapping[Shape, dict[str, Numbers]]:
    groups: dict[Shape, dict[str, Numbers]] = defaultdict(dict)
    for name in names:
        info = checkpoint.tensors[name]
        if info.dtype in FLOATING and info.n_elements >= _FEWEST:
            groups[info.shape][name] = _start(checkpoint, name)
    return groups


def _start(checkpoint: Checkpoint, name: str) -> Numbers:
    info = checkpoint.tensors[name]
    n_elements = min(info.n_elements, _ELEMENTS)
    raw = np.empty(n_elements * DTYPE_BITS[info.dtype] // 8, dtype=np.uint8)
    checkpoint.read(name, 0, raw.data)
    with np.errstate(all="ignore"):
        values = decode(raw, info.dtype, np.empty(n_elements, dtype=np.float32)).astype(np.float64)
    return np.nan_to_num(values, posinf=0.0, neginf=0.0)


def _nearest(left: Mapping[str, Numbers], right: Mapping[str, Numbers]) -> dict[str, str]:
    """Pairs that are each other's nearest, and clearly nearer than either is to anything else."""
    distances = np.array([[_distance(a, b) for b in right.values()] for a in left.values()])
    ours, theirs = list(left), list(right)
    found = {}
    for row, name in enumerate(ours):
        column = int(np.argmin(distances[row]))
        best = distances[row, column]
        others = np.concatenate([np.delete(distances[row], column), np.delete(distances[:, column], row)])
        if best < _NEAR and bool(np.all(best < _CLEARLY * others)):
            found[name] = theirs[column]
    return found


def _distance(a: Numbers, b: Numbers) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.sum((a - b) ** 2)) / norms if norms > 0 else np.inf
