"""Tell whether the labels of the data mean what base's classes mean.

A wrong map (class folders sorted as strings, an offset by one, two names exchanged) reads 4 % where the truth is
91 %, and would make any tuned model look as good as base.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from forgetaudit.inference.binomial import at_most

__all__ = ["WrongLabelMap", "find_wrong_label_map"]

Counts = Sequence[Sequence[int]]

# An honest base can confuse two classes; it cannot be right three times as often under the wrong names.
_GAIN, _RATIO, _ALPHA = 0.25, 3.0, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLabelMap:
    """Other names explain base far better, on examples that had no part in finding them.

    `moved` pairs each label of the data with the class that base answers for it. The counts are over the `n`
    examples of those labels in the held-out half; `p_value` is one-sided, paired, and corrected for the number
    of groups looked at.
    """

    moved: tuple[tuple[int, int], ...]
    n: int
    n_right_as_read: int
    n_right_as_moved: int
    p_value: float


def find_wrong_label_map(found_on: Counts, tested_on: Counts) -> WrongLabelMap | None:
    """Find the best label map on one half of the examples and test it on the other; None where the labels fit.

    Both are (k, k) counts, rows the label in the data, columns base's prediction. The best map is an assignment
    (Kuhn 1955). It breaks into cycles of exchanged names; all of them together, else each alone, must be right on
    a quarter more of its held-out examples, three times as many as read, and significantly (exact McNemar).
    O(k³) where some label's commonest prediction is another class, else O(k²).
    """
    k = len(found_on)
    if len(tested_on) != k or any(len(row) != k for half in (found_on, tested_on) for row in half):
        raise ValueError("both halves must be counted over the same k x k labels and classes")
    if all(row[label] == max(row) for label, row in enumerate(found_on)):
        return None
    cycles = list(_cycles(_best_map(found_on)))
    together = _test([pair for cycle in cycles for pair in cycle], tested_on, n_tests=1)
    if together is not None:
        return together
    return _join(filter(None, (_test(cycle, tested_on, n_tests=len(cycles)) for cycle in cycles)))


def _best_map(counts: Counts) -> list[int]:
    from scipy.optimize import linear_sum_assignment

    k = len(counts)
    # Scaled, so that one more on the diagonal decides between equals only: nothing is moved without evidence.
    reward = [
        [(k + 1) * n + (label == predicted) for predicted, n in enumerate(row)]
        for label, row in enumerate(counts)
    ]
    _, columns = linear_sum_assignment(reward, maximize=True)
    return [int(column) for column in columns]


def _cycles(mapping: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
    """The groups of names exchanged among themselves, as (label, class) pairs."""
    seen: set[int] = set()
    for start, target in enumerate(mapping):
        if start == target or start in seen:
            continue
        cycle, label = [], start
        while label not in seen:
            seen.add(label)
            cycle.append((label, mapping[label]))
            label = mapping[label]
        yield cycle


def _test(pairs: Sequence[tuple[int, int]], counts: Counts, *, n_tests: int) -> WrongLabelMap | None:
    n = sum(sum(counts[label]) for label, _ in pairs)
    as_read = sum(counts[label][label] for label, _ in pairs)
    as_moved = sum(counts[label][predicted] for label, predicted in pairs)
    p_value = min(1.0, n_tests * at_most(as_read, as_read + as_moved, 0.5))
    if as_moved - as_read < _GAIN * n or as_moved < _RATIO * as_read or p_value >= _ALPHA:
        return None
    return WrongLabelMap(
        moved=tuple(sorted(pairs)), n=n, n_right_as_read=as_read, n_right_as_moved=as_moved, p_value=p_value
    )


def _join(parts: Iterable[WrongLabelMap]) -> WrongLabelMap | None:
    """Independent groups of exchanged names as one finding."""
    found = list(parts)
    if not found:
        return None
    return WrongLabelMap(
        moved=tuple(sorted(pair for part in found for pair in part.moved)),
        n=sum(part.n for part in found),
        n_right_as_read=sum(part.n_right_as_read for part in found),
        n_right_as_moved=sum(part.n_right_as_moved for part in found),
        p_value=max(part.p_value for part in found),
    )
