"""Shapley values, slow and obvious: every order of the players, one after the other."""

from collections.abc import Callable
from itertools import permutations


def shapley(n_players: int, value: Callable[[frozenset[int]], float]) -> list[float]:
    totals, orders = [0.0] * n_players, list(permutations(range(n_players)))
    for order in orders:
        before: frozenset[int] = frozenset()
        for player in order:
            totals[player] += value(before | {player}) - value(before)
            before |= {player}
    return [total / len(orders) for total in totals]
