"""Limits of means without a bound: against bets placed one by one, and against repeated draws of skewed differences."""

import math

import numpy as np
import pytest
from tests.reference.statistics import log_capital_of_bets

from forgetaudit.inference import means
from forgetaudit.inference.means import bounded_reach, largest_assumed

DRAWS = 400


def reach_of(values, *, largest, confidence=0.95):
    error = values.std(ddof=1) / math.sqrt(len(values))
    return bounded_reach(len(values), values.mean(), error, largest=largest, confidence=confidence)


def rare_large(rng, n):
    """One rise in five hundred is of 20 nats: usually none is seen in 200 questions."""
    return np.where(rng.random(n) < 0.002, 20.0, rng.normal(0, 0.1, n)) - 0.04


SHAPES = {
    "normal": lambda rng, n: rng.normal(0, 0.5, n),
    "log-normal": lambda rng, n: rng.lognormal(0, 1, n) - math.exp(0.5),
    "log-normal, longer": lambda rng, n: rng.lognormal(0, 2, n) / math.exp(2) - 1,
    "t3": lambda rng, n: rng.standard_t(3, n),
    "exponential": lambda rng, n: rng.exponential(1, n) - 1,
    "rare large": rare_large,
}


def test_the_limit_is_one_that_the_bets_placed_one_by_one_refuse_too():
    rng = np.random.default_rng(0)
    for n in (30, 300):
        values = rng.exponential(0.3, n) - 0.1
        reach = reach_of(values, largest=20.0)
        exact = log_capital_of_bets(values, values.mean() + reach, 20.0, means._BETS)
        assert exact >= -math.log(0.05)
        # And it is not far beyond what they refuse.
        assert log_capital_of_bets(values, values.mean() + 0.6 * reach, 20.0, means._BETS) < -math.log(0.05)


def test_where_nothing_scatters_the_limit_falls_with_the_number_of_questions():
    few, many = (bounded_reach(n, 0.0, 0.0, largest=20.0, confidence=0.95) for n in (200, 20_000))
    assert few > 60 / 200 > 100 * many / 2
    assert math.isinf(bounded_reach(200, 0.0, 0.1, largest=math.inf, confidence=0.95))
    assert math.isinf(bounded_reach(1, 0.0, 0.1, largest=20.0, confidence=0.95))
    assert math.isinf(bounded_reach(3, 0.0, 0.1, largest=20.0, confidence=0.95))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [200, 1000])
def test_a_rise_on_the_limit_passes_in_at_most_six_percent_whatever_its_shape(shape, n):
    rng = np.random.default_rng([n, len(shape)])
    values = SHAPES[shape](rng, (DRAWS, n)) if shape != "rare large" else rare_large(rng, (DRAWS, n))
    n_passed = sum(one.mean() + reach_of(one, largest=largest_assumed(one.max())) < 0 for one in values)
    assert n_passed / DRAWS <= 0.06


def test_students_t_passes_a_long_tail_far_more_often():
    """And so the limit above is needed."""
    rng = np.random.default_rng(5)
    values = SHAPES["log-normal, longer"](rng, (DRAWS, 200))
    upper = values.mean(axis=1) + 1.653 * values.std(axis=1, ddof=1) / math.sqrt(200)
    assert (upper < 0).mean() > 0.15
