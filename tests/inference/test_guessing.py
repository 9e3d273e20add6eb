"""Guessing and many classes, against played-out draws."""

import numpy as np
import pytest

from forgetaudit.inference.guessing import correct_for_guessing, worst_by_chance


def test_two_random_classifiers_of_two_classes_forgot_nothing() -> None:
    found = correct_for_guessing(forgotten=250, gained=250, n_right_base=500, n=1000, guess=0.5)
    assert (found.net_drop, found.forgotten_low, found.forgotten_high) == (0, 0, 0.5)


def test_the_net_drop_grows_by_k_over_k_minus_1() -> None:
    found = correct_for_guessing(forgotten=30, gained=10, n_right_base=80, n=100, guess=0.25)
    assert found.net_drop == pytest.approx(0.2 * 4 / 3)


def test_without_guessing_nothing_is_corrected() -> None:
    found = correct_for_guessing(forgotten=30, gained=10, n_right_base=80, n=100, guess=0)
    assert (found.net_drop, found.forgotten_low, found.forgotten_high) == (0.2, 0.3, 0.3)


def test_what_was_truly_forgotten_lies_in_the_range_when_guesses_are_fresh() -> None:
    """Known by base .7, of which tuned forgot .1 of all; the rest guessed among four, anew by each."""
    rng, n = np.random.default_rng(0), 200_000
    knew = rng.random(n) < 0.7
    knows = knew & ~(rng.random(n) < 0.1 / 0.7)
    base, tuned = (known | (rng.random(n) < 0.25) for known in (knew, knows))
    found = correct_for_guessing(
        int((base & ~tuned).sum()), int((~base & tuned).sum()), int(base.sum()), n, guess=0.25
    )
    assert found.net_drop == pytest.approx(0.1, abs=0.005)
    # A quarter of the 0.1 forgotten is guessed right by luck, and corrected for.
    assert found.forgotten_low == pytest.approx(0.1, abs=0.005)
    assert found.forgotten_high > 0.1


def test_no_less_is_forgotten_than_the_net_drop() -> None:
    found = correct_for_guessing(forgotten=30, gained=0, n_right_base=80, n=100, guess=0.25)
    assert found.forgotten_low == pytest.approx(found.net_drop) == pytest.approx(0.4)


def test_the_worst_of_a_thousand_classes_falls_by_13_points_though_nothing_changed() -> None:
    """1,000 classes of 50 examples with 8 % churn."""
    assert worst_by_chance([50] * 1000, 0.08) == pytest.approx(0.135, abs=0.001)


@pytest.mark.parametrize("sizes", [[40] * 12, [10, 30, 300, 301], [7]])
def test_the_worst_by_chance_is_what_draws_give_on_average(sizes: list[int]) -> None:
    rng, worst = np.random.default_rng(1), []
    for _ in range(4000):
        flips = [rng.binomial(size, 0.15) for size in sizes]
        losses = [rng.binomial(flipped, 0.5) for flipped in flips]
        worst.append(max((2 * lost - f) / size for lost, f, size in zip(losses, flips, sizes, strict=True)))
    assert worst_by_chance(sizes, 0.15) == pytest.approx(np.mean(worst), abs=0.005)


def test_without_flips_no_class_falls() -> None:
    assert worst_by_chance([50, 60], 0.0) == pytest.approx(0, abs=1e-3)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="is no table"):
        correct_for_guessing(5, 0, 3, 10, 0.5)
    with pytest.raises(ValueError, match="say nothing"):
        worst_by_chance([], 0.1)
