"""Limits that hold at every moment: against the game played out, and against repeated runs that look all the time."""

import numpy as np
import pytest

from forgetaudit.inference.paired import tango
from forgetaudit.inference.sequential import sequential_limits


def capital(flips, m):
    """Played out example by example: the mean, over 21 bets, of what a gambler then holds who bets on a drop below m."""
    holdings = []
    for step in range(21):
        held, bet = 1.0, 0.999 * 2 ** (-step / 2) / (1 - m)
        for flip in flips:
            held *= 1 - bet * (flip - m)
        holdings.append(held)
    return sum(holdings) / len(holdings)


def draw(rng, drop, churn, n):
    return rng.choice([1, -1, 0], n, p=[(churn + drop) / 2, (churn - drop) / 2, 1 - churn])


def limits(flips, sides=1):
    forgotten, gained = int((flips == 1).sum()), int((flips == -1).sum())
    return sequential_limits(forgotten, gained, len(flips), confidence=0.95, sides=sides)


@pytest.mark.parametrize("seed", range(5))
def test_the_upper_limit_is_where_the_gamblers_capital_reaches_twenty(seed: int) -> None:
    flips = draw(np.random.default_rng(seed), 0.05, 0.2, 150)
    high = limits(flips).high
    assert capital(flips, high) == pytest.approx(20, rel=1e-4)
    assert capital(flips, high - 0.01) < 20 < capital(flips, high + 0.01)


def test_the_lower_limit_is_the_mirrored_upper_one() -> None:
    flips = draw(np.random.default_rng(9), 0.05, 0.2, 150)
    assert limits(flips).low == -limits(-flips).high


def test_two_sided_limits_are_one_sided_ones_of_half_the_error() -> None:
    both = sequential_limits(20, 5, 300, confidence=0.95, sides=2)
    each = sequential_limits(20, 5, 300, confidence=0.975, sides=1)
    assert (both.low, both.high) == (each.low, each.high)


def test_looking_after_every_batch_is_wrong_in_fewer_than_one_run_of_twenty() -> None:
    """Tango's limits, looked at as often, are wrong far more often: they hold at one n, chosen beforehand."""
    rng, wrong, wrong_of_tango = np.random.default_rng(4), 0, 0
    for _ in range(200):
        flips = draw(rng, 0.03, 0.1, 2000)
        ever = ever_of_tango = False
        for n in range(50, 2001, 150):
            seen = flips[:n]
            ever |= limits(seen).high < 0.03
            at_once = tango(int((seen == 1).sum()), int((seen == -1).sum()), n, confidence=0.95, sides=1)
            ever_of_tango |= at_once.high < 0.03
        wrong, wrong_of_tango = wrong + ever, wrong_of_tango + ever_of_tango
    assert wrong <= 10
    assert wrong_of_tango > 20


def test_a_loss_of_ten_points_is_known_after_a_few_hundred_examples() -> None:
    rng, needed = np.random.default_rng(5), []
    for _ in range(40):
        flips = draw(rng, 0.1, 0.2, 4000)
        needed.append(next(n for n in range(16, 4001, 16) if limits(flips[:n]).low > 0))
    assert np.median(needed) < 300


def test_without_flips_the_limit_shrinks_with_n_and_never_reaches_0() -> None:
    found = [sequential_limits(0, 0, n, confidence=0.95, sides=1).high for n in (20, 200, 2000, 200_000)]
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] < 1e-4


def test_limits_stay_in_their_range_and_bad_counts_are_refused() -> None:
    assert sequential_limits(3, 0, 3, confidence=0.95, sides=1).high == 1
    assert sequential_limits(0, 1, 1, confidence=0.95, sides=1).low == -1
    with pytest.raises(ValueError, match="is not a table"):
        sequential_limits(3, 3, 5, confidence=0.95, sides=1)
    with pytest.raises(ValueError, match="confidence must lie"):
        sequential_limits(1, 1, 5, confidence=0.4, sides=1)
