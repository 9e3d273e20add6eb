"""What the gate's rules cost in wrong answers, by exact enumeration over every table (b, c)."""

import math

import numpy as np
import pytest
from tests.reference import statistics as reference

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.paired import score_variance

Z = z_quantile(0.95, 1)
variance = np.vectorize(score_variance, otypes=[float])


def chance(n, rate_forgotten, rate_gained, verdict):
    """Probability that `verdict(b, c)` holds; scores come from the package, probabilities from scipy.stats."""
    b, c, p = reference.probabilities(n, rate_forgotten, rate_gained)
    grid_b, grid_c = np.meshgrid(b, c, indexing="ij")
    return float(p[verdict(grid_b.astype(float), grid_c.astype(float))].sum())


def score(b, c, n, drop):
    excess = b - c - n * drop
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(excess == 0, 0.0, excess / np.sqrt(n * variance(b, c, n, drop)))


def fails(n, limit, *, proven=False):
    return lambda b, c: ((b - c) / n > limit) & (score(b, c, n, limit if proven else 0.0) > Z)


def passes(n, limit):
    return lambda b, c: score(b, c, n, limit) < -Z


@pytest.mark.parametrize("churn", [0.04, 0.10])
@pytest.mark.parametrize("n", [200, 500, 1000, 2000, 5000])
@pytest.mark.parametrize("limit", [0.0, 0.02])
def test_nothing_changed_fails_one_time_in_twenty_at_most(n, churn, limit):
    assert chance(n, churn / 2, churn / 2, fails(n, limit)) <= 0.052


@pytest.mark.parametrize("churn", [0.04, 0.10])
@pytest.mark.parametrize("n", [200, 500, 1000, 2000, 5000])
def test_a_drop_at_the_limit_passes_one_time_in_twenty_at_most(n, churn):
    margin = 0.02
    assert chance(n, (churn + margin) / 2, (churn - margin) / 2, passes(n, margin)) <= 0.052


def test_a_loss_of_four_points_is_found_in_200_paired_examples():
    found = chance(200, 0.04, 0.0, fails(200, 0.02))
    assert found == pytest.approx(0.90, abs=0.03)


def test_the_unpaired_test_would_miss_it():
    def unpaired(b, c):
        base, tuned = 0.9, 0.9 - (b - c) / 200
        pooled = (base + tuned) / 2
        return (base - tuned) / np.sqrt(2 * pooled * (1 - pooled) / 200) > Z

    assert chance(200, 0.04, 0.0, unpaired) <= 0.2


def test_what_likely_and_proven_cost():
    """A true drop of 1.5 points under a limit of 2 at n = 800; and the four-point loss of 200 examples."""
    for churn in (0.04, 0.10):
        rates = ((churn + 0.015) / 2, (churn - 0.015) / 2)
        assert 0.20 <= chance(800, *rates, fails(800, 0.02)) <= 0.32
        assert chance(800, *rates, fails(800, 0.02, proven=True)) <= 0.025
    assert chance(200, 0.04, 0.0, fails(200, 0.02, proven=True)) == pytest.approx(0.55, abs=0.03)


def test_the_enumeration_itself_adds_up():
    assert chance(200, 0.03, 0.02, lambda b, c: np.ones_like(b, bool)) == pytest.approx(1, abs=1e-9)
    assert math.isclose(chance(50, 0.5, 0.0, lambda b, c: b == 25), math.comb(50, 25) / 2**50, rel_tol=1e-9)
