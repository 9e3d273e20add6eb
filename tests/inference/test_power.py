import math

import numpy as np
import pytest
from tests.reference import statistics as reference

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.paired import tango
from forgetaudit.inference.power import chance_of_passing, examples_to_pass, further_examples, smallest_margin

Z = z_quantile(0.95, 1)


def decided(forgotten, gained, n, limit, *, proven):
    """The gate's own words, on expected counts."""
    interval = tango(forgotten, gained, n, confidence=0.95, sides=1)
    fails = interval.estimate > limit and interval.low > (limit if proven else 0)
    return interval.high < limit or fails


@pytest.mark.parametrize("proven", [False, True])
@pytest.mark.parametrize("flips", [(0, 0), (3, 1), (10, 12), (16, 4), (18, 1), (25, 6), (40, 39), (2, 0)])
def test_further_examples_is_where_the_gate_first_decides(flips, proven):
    n, limit = 300, 0.02
    more = further_examples(*flips, n, limit=limit, confidence=0.95, proven=proven)

    def gate(total):
        return decided(*(flip * total / n for flip in flips), total, limit, proven=proven)

    slow = next((total - n for total in range(n, 40 * n) if gate(total)), None)
    assert more is not None
    assert more == slow if slow is not None else more >= 39 * n


def test_no_number_of_examples_decides_a_drop_that_lies_on_the_limit():
    assert further_examples(16, 0, 800, limit=0.02, confidence=0.95, proven=False) is None
    assert further_examples(0, 0, 0, limit=0.02, confidence=0.95, proven=False) is None
    assert further_examples(20_001, 0, 10**6, limit=0.02, confidence=0.95, proven=True) is None
    assert further_examples(20_100, 0, 10**6, limit=0.02, confidence=0.95, proven=True) > 10**6


def test_a_decided_gate_needs_no_more_but_may_need_the_minimum():
    assert further_examples(0, 0, 133, limit=0.02, confidence=0.95, proven=False) == 0
    assert further_examples(0, 0, 132, limit=0.02, confidence=0.95, proven=False) == 1
    assert further_examples(0, 0, 133, limit=0.02, confidence=0.95, proven=False, min_samples=200) == 67
    assert further_examples(30, 0, 133, limit=0.02, confidence=0.95, proven=False, min_samples=200) == 0


@pytest.mark.parametrize(
    ("n", "flip_rate", "margin"), [(133, 0.0, 0.02), (300, 0.04, 0.02), (600, 0.1, 0.03)]
)
def test_the_chance_of_passing_is_the_sum_over_all_tables(n, flip_rate, margin):
    passes = reference.rejection_tables(n, margin, Z) < -Z
    b, c, p = reference.probabilities(n, flip_rate / 2, flip_rate / 2, keep=1e-14)
    slow = p[passes[np.ix_(b, c)]].sum()
    assert chance_of_passing(n, flip_rate, margin, confidence=0.95) == pytest.approx(slow, abs=1e-10)


def test_two_points_without_any_flips_need_133_examples():
    assert examples_to_pass(0.0, 0.02, confidence=0.95, power=0.8) == 133


@pytest.mark.parametrize(
    ("flip_rate", "margin"), [(0.001, 0.02), (0.05, 0.02), (0.1, 0.02), (0.04, 0.01), (1.0, 0.1)]
)
def test_the_examples_asked_for_are_enough_and_no_fewer_than_the_approximation(flip_rate, margin):
    n = examples_to_pass(flip_rate, margin, confidence=0.95, power=0.8)
    assert chance_of_passing(n, flip_rate, margin, confidence=0.95) >= 0.8
    assert n >= max(6.18 * flip_rate / margin**2, Z * Z * (1 - margin) / margin)
    assert n <= 1.1 * max(6.2 * flip_rate / margin**2, Z * Z * (1 - margin) / margin) + 10


@pytest.mark.parametrize(
    ("flip_rate", "n"), [(0.0, 133), (0.05, 810), (0.1, 50), (1.0, 3), (0.0, 1), (0.3, 10_000)]
)
def test_the_smallest_margin_is_one_that_can_be_passed(flip_rate, n):
    margin = smallest_margin(flip_rate, n, confidence=0.95, power=0.8)
    assert chance_of_passing(n, flip_rate, margin, confidence=0.95) >= 0.8
    assert margin >= max(2.48 * math.sqrt(flip_rate / n), Z * Z / (n + Z * Z)) or margin > 0.99


def test_examples_and_margin_undo_each_other():
    n = examples_to_pass(0.06, 0.02, confidence=0.95, power=0.8)
    assert smallest_margin(0.06, n, confidence=0.95, power=0.8) == pytest.approx(0.02, rel=0.01)


def test_impossible_questions_are_refused():
    with pytest.raises(ValueError, match="must be fractions, the margin above 0"):
        examples_to_pass(0.05, 0, confidence=0.95, power=0.8)
    with pytest.raises(ValueError, match="say nothing"):
        smallest_margin(0.05, 0, confidence=0.95, power=0.8)
