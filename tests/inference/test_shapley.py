"""Shapley values: exact over all coalitions, sampled over orders, with limits for examples and orders."""

import math
import random

import numpy as np
import pytest
from tests.reference import shapley as reference

from forgetaudit.inference.shapley import (
    ShapleyDesign,
    Share,
    bernstein_reach,
    exact_design,
    sampled_design,
    share_of,
)
from forgetaudit.values import Interval, NotMeasured


def game(n: int, seed: int) -> dict[int, float]:
    chance = random.Random(seed)
    return {mask: chance.random() if mask else 0.0 for mask in range(1 << n)}


def values(design: ShapleyDesign, worth: dict[int, float]) -> list[float]:
    return [
        sum(weight * worth[mask] for draw in design.draws for mask, weight in draw[player].items())
        / len(design.draws)
        for player in range(design.n_players)
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_exact_values_are_those_over_every_order(n: int) -> None:
    worth = game(n, n)
    expected = reference.shapley(n, lambda players: worth[sum(1 << player for player in players)])
    assert values(exact_design(n), worth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [2, 7, 14])
def test_values_add_up_to_the_whole_in_every_draw(n: int) -> None:
    for design in (sampled_design(n, 5, 0), *([exact_design(n)] if n < 10 else [])):
        chance, worth = random.Random(1), dict[int, float]()
        for mask in sorted(design.coalitions):
            worth[mask] = chance.random()
        for draw in design.draws:
            total = sum(weight * worth[mask] for player in draw for mask, weight in player.items())
            assert total == pytest.approx(worth[(1 << n) - 1] - worth[0], abs=1e-12)


def test_where_effects_add_up_every_draw_is_right() -> None:
    alone = [0.1, 0.0, 0.3, -0.2, 0.05, 0.0, 0.4]
    design = sampled_design(7, 4, 3)
    worth = {mask: sum(x for at, x in enumerate(alone) if mask >> at & 1) for mask in design.coalitions}
    assert values(design, worth) == pytest.approx(alone, abs=1e-12)


def test_orders_are_the_seeds_and_come_with_their_reverse() -> None:
    assert sampled_design(9, 3, 5) == sampled_design(9, 3, 5)
    assert sampled_design(9, 3, 5) != sampled_design(9, 3, 6)
    (draw,) = sampled_design(9, 1, 5).draws
    # The first of an order is the last of its reverse: alone, and on top of all others.
    assert any(set(player) == {0, 1 << at, 511, 511 ^ 1 << at} for at, player in enumerate(draw))


def limits(*draws: float, examples: float = 0.0, exact: bool = False) -> Interval:
    found = share_of(Share(draws=draws, variance_of_examples=examples), exact=exact, confidence=0.95)
    assert isinstance(found, Interval)
    return found


def test_all_orders_leave_only_the_examples_open() -> None:
    found = limits(0.3, examples=0.01**2, exact=True)
    assert (found.low, found.high) == pytest.approx((0.3 - 0.0196, 0.3 + 0.0196), abs=1e-5)


def test_a_part_that_no_example_touched_keeps_the_limits_of_none_in_n() -> None:
    found = share_of(Share(draws=(0.0,), variance_of_examples=0.0, examples=200), exact=True, confidence=0.95)
    assert isinstance(found, Interval)
    assert (found.low, found.high) == (
        pytest.approx(-(1.96**2) / 200, rel=1e-3),
        pytest.approx(1.96**2 / 200, rel=1e-3),
    )


def test_away_from_zero_the_limit_is_wilsons_for_rare_examples() -> None:
    """3 of 10,000 lost, none gained: (3 + z²/2 + z·√(3 + z²/4))/n."""
    for sign in (1, -1):
        found = share_of(
            Share(draws=(sign * 3e-4,), variance_of_examples=3e-8, examples=1e4), exact=True, confidence=0.95
        )
        assert isinstance(found, Interval)
        far = max(abs(found.low), abs(found.high))
        assert far == pytest.approx((3 + 1.96**2 / 2 + 1.96 * math.sqrt(3 + 1.96**2 / 4)) / 1e4, rel=1e-3)
        assert min(sign * found.low, sign * found.high) == pytest.approx((3 - 1.96**2) / 1e4, rel=1e-3)


def test_a_few_draws_give_no_limits_however_well_they_agree() -> None:
    for draws in ((0.1, 0.2), (0.3, 0.3, 0.3, 0.3)):
        found = share_of(Share(draws=draws, variance_of_examples=0.0), exact=False, confidence=0.95, span=2.0)
        assert isinstance(found, NotMeasured)
        assert f"{len(draws)} draws" in found.reason


def test_the_reach_of_draws_is_that_of_maurer_and_pontil() -> None:
    draws = [0.1, 0.3] * 100
    variance = sum((x - 0.2) ** 2 for x in draws) / 199
    slow = math.sqrt(2 * variance * math.log(80) / 200) + 7 * 2 * math.log(80) / (3 * 199)
    assert bernstein_reach(draws, span=2.0, confidence=0.95) == pytest.approx(slow, rel=1e-12)
    assert bernstein_reach(draws, span=math.inf, confidence=0.95) == math.inf


def test_sampled_limits_cover_the_exact_values_of_twelve_parts_that_interact() -> None:
    rng = np.random.default_rng(3)
    alone = rng.normal(0.02, 0.02, 12)
    pairs = np.triu(rng.normal(0, 0.02, (12, 12)), 1)
    exact = alone + (pairs + pairs.T).sum(axis=1) / 2
    covered = 0
    for _ in range(100):
        orders = rng.permuted(np.tile(np.arange(12), (400, 1)), axis=1)
        place = np.argsort(orders, axis=1)
        # Part i adds its own effect, and that with every part before it.
        before = place[:, None, :] < place[:, :, None]
        draws = alone + (before * (pairs + pairs.T)).sum(axis=2)
        for player in range(12):
            reach = bernstein_reach(draws[:, player].tolist(), span=2.0, confidence=0.95)
            covered += abs(draws[:, player].mean() - exact[player]) <= reach
    assert covered >= 0.95 * 1200


def test_no_players_are_refused() -> None:
    with pytest.raises(ValueError, match="no players"):
        exact_design(0)
    with pytest.raises(ValueError, match="say nothing"):
        sampled_design(3, 0, 0)
