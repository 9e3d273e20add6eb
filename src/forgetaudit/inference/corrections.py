"""p-values adjusted for having looked many times; the order of the input is kept."""

from collections.abc import Sequence

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: calling those below alpha has at most chance alpha of one false call among them.

    Holm, Scandinavian Journal of Statistics 6 (1979) 65. Valid under any dependence.
    """
    order = _ascending(p_values)
    adjusted = [0.0] * len(order)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: of those called below alpha, at most the share alpha is false on average.

    Benjamini and Hochberg, JRSS B 57 (1995) 289. Valid for independent or positively dependent tests.
    """
    order = _ascending(p_values)
    adjusted = [0.0] * len(order)
    running = 1.0
    for rank in range(len(order), 0, -1):
        index = order[rank - 1]
        running = min(running, p_values[index] * len(order) / rank)
        adjusted[index] = running
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    for p in p_values:
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value lies between 0 and 1, not {p}")
    return sorted(range(len(p_values)), key=p_values.__getitem__)
