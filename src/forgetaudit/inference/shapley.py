"""Shapley values: how a total is shared among players whose effects do not add up.

A coalition is a whole number whose bit i says that player i is in it; v(coalition) is the game's value, v(0) = 0 by
subtraction. The value of player i is the mean over all orders of players of v(before and i) − v(before)
(Shapley 1953); over sampled orders it is estimated without bias (Castro et al. 2009, Computers & OR 36, 1726). An
order and its reverse make one draw, whose mean varies less (Mitchell et al. 2022, JMLR 23(43)).
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.values import Interval, NotMeasured

__all__ = ["ShapleyDesign", "Share", "bernstein_reach", "exact_design", "sampled_design", "share_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapleyDesign:
    """Which coalitions are to be evaluated. `draws[d][i]` are the weights of v in draw d of player i's value.

    In every draw the values of all players add up to v(all) − v(0), up to rounding.
    """

    n_players: int
    exact: bool
    draws: tuple[tuple[Mapping[int, float], ...], ...]

    @property
    def coalitions(self) -> frozenset[int]:
        """All that a draw needs, none and all among them."""
        return frozenset(mask for draw in self.draws for weights in draw for mask in weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What is known of one player: by draw its value, and the variance that examples leave in the mean of draws.

    `examples` is how many independent ones there are; infinite where nothing is assumed of those that were not seen.
    """

    draws: tuple[float, ...]
    variance_of_examples: float
    examples: float = math.inf


def exact_design(n_players: int) -> ShapleyDesign:
    """All 2^n coalitions, in one draw. ValueError for no players."""
    _check(n_players)
    n_orders = math.factorial(n_players)
    draw = []
    for player in range(n_players):
        weights: dict[int, float] = {}
        for mask in range(1 << n_players):
            if mask >> player & 1:
                continue
            size = mask.bit_count()
            weight = math.factorial(size) * math.factorial(n_players - size - 1) / n_orders
            weights[mask | 1 << player] = weight
            weights[mask] = -weight
        draw.append(weights)
    return ShapleyDesign(n_players=n_players, exact=True, draws=(tuple(draw),))


def sampled_design(n_players: int, n_draws: int, seed: int) -> ShapleyDesign:
    """`n_draws` random orders, each with its reverse. ValueError for no players or no draws."""
    _check(n_players)
    if n_draws < 1:
        raise ValueError(f"{n_draws} draws say nothing")
    chance = random.Random(seed)  # noqa: S311
    draws = []
    for _ in range(n_draws):
        order = list(range(n_players))
        chance.shuffle(order)
        draws.append(_draw(order))
    return ShapleyDesign(n_players=n_players, exact=False, draws=tuple(draws))


def share_of(
    share: Share, *, exact: bool, confidence: float, span: float = math.inf
) -> Interval | NotMeasured:
    """The mean of the draws with two-sided limits: examples and draws each add what they leave open.

    All orders leave only the examples open (`_reaches`). Sampled orders add the reach of an empirical Bernstein bound
    (Maurer and Pontil 2009, theorem 4, two-sided), for `span` the range that a draw is known to lie in; each part is
    given half of the error, and their reaches are added. Draws that happen to agree prove nothing: without a span, or
    where the bound is as wide as the span allows, there is a share and no limits.
    """
    mean = math.fsum(share.draws) / len(share.draws)
    if not (math.isfinite(mean) and math.isfinite(share.variance_of_examples)):
        return NotMeasured("the values are too large to be added up")
    each = confidence if exact else (1 + confidence) / 2
    down, up = _reaches(share, mean, z_quantile(each, 2))
    if not exact:
        of_orders = bernstein_reach(share.draws, span=span, confidence=each)
        down, up = down + of_orders, up + of_orders
        if not max(down, up) < span / 2:
            return NotMeasured(f"no limits: {len(share.draws)} draws of orders say too little")
    return Interval(
        estimate=mean,
        low=mean - down,
        high=mean + up,
        confidence=confidence,
        sides=2,
        method="shapley-exact" if exact else "shapley-sampled",
    )


def _reaches(share: Share, mean: float, z: float) -> tuple[float, float]:
    """How far below and above `mean` the examples leave the value open, each of them adding −1 to 1.

    Where a player touches few examples, those seen scatter too little, and not at all where none was touched. A value
    that is δ further from 0 needs examples that raise the variance by δ/n, so that δ² = z²(variance + δ/n), which is
    Wilson's and Tango's limit for rare ones. Towards 0 nothing has to be added, and δ is no less than z²/n.
    """
    plain, least = z * math.sqrt(share.variance_of_examples), z * z / share.examples
    further, nearer = least / 2 + math.hypot(least / 2, plain), max(plain, least)
    if mean == 0:
        return further, further
    return (nearer, further) if mean > 0 else (further, nearer)


def bernstein_reach(draws: Sequence[float], *, span: float, confidence: float) -> float:
    """√(2V·ln(4/α)/m) + 7·span·ln(4/α)/(3(m − 1)) for m independent draws of sample variance V; infinite for one."""
    m = len(draws)
    if m < 2 or not math.isfinite(span):
        return math.inf
    mean, log = math.fsum(draws) / m, math.log(4 / (1 - confidence))
    variance = math.fsum((draw - mean) ** 2 for draw in draws) / (m - 1)
    return math.sqrt(2 * variance * log / m) + 7 * span * log / (3 * (m - 1))


def _draw(order: list[int]) -> tuple[Mapping[int, float], ...]:
    """Half of what each player adds in the order, and half of what it adds in the reverse."""
    weights: list[dict[int, float]] = [{} for _ in order]
    for way in (order, order[::-1]):
        mask = 0
        for player in way:
            after, mine = mask | 1 << player, weights[player]
            mine[after] = mine.get(after, 0.0) + 0.5
            mine[mask] = mine.get(mask, 0.0) - 0.5
            mask = after
    return tuple(weights)


def _check(n_players: int) -> None:
    if n_players < 1:
        raise ValueError("there are no players to share among")
