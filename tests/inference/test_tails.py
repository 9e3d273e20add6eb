"""Binomial tails without the inverse, one-sided tests, and how many further examples would decide a share."""

import math

import pytest
from scipy import stats
from tests.reference import statistics as reference

from forgetaudit.inference.binomial import at_most, tail_beyond, upper_tail
from forgetaudit.inference.paired import no_drop, score
from forgetaudit.inference.proportions import further_for_share, lower_limit, upper_limit


@pytest.mark.parametrize(("k", "n"), [(0, 1), (3, 10), (40, 300), (1400, 2900), (5, 5), (1500, 3200)])
def test_half_and_half_is_the_same_from_whole_numbers_and_from_scipy(k, n):
    assert at_most(k, n, 0.5) == pytest.approx(stats.binom.cdf(k, n, 0.5), rel=1e-10)
    assert upper_tail(k, n) == pytest.approx(stats.binom.sf(k - 1, n, 0.5), rel=1e-10)


def test_an_upper_tail_of_counts_that_are_not_whole_lies_between_its_neighbours():
    assert upper_tail(8, 10.5) > upper_tail(8.5, 10.5) > upper_tail(9, 10.5)


def test_no_drop_is_mcnemars_exact_test_one_sided():
    assert no_drop(7, 1) == pytest.approx(reference.mcnemar(7, 1)[0] / 2)
    assert no_drop(0, 5) == 1.0
    assert no_drop(5, 0) == pytest.approx(1 / 32)


def test_no_drop_calls_a_drop_no_oftener_than_it_says():
    for flips in (5, 17, 60):
        called = sum(math.comb(flips, b) for b in range(flips + 1) if no_drop(b, flips - b) < 0.05)
        assert called / 2**flips <= 0.05


def test_the_score_is_tangos():
    assert score(12, 3, 200, 0.02) == pytest.approx(reference.tango_score(12, 3, 200, 0.02), rel=1e-6)
    assert score(4, 0, 200, 0.02) == 0


@pytest.mark.parametrize(("k", "n"), [(1, 50), (3, 797), (49, 50), (238, 797), (5, 10**6)])
def test_the_limits_leave_the_tail_that_they_promise(k, n):
    assert tail_beyond(k, n, upper_limit(k, n, 0.95)) == pytest.approx(0.05, rel=1e-6)
    assert tail_beyond(k, n, lower_limit(k, n, 0.95)) == pytest.approx(0.05, rel=1e-6)


def test_a_tail_needs_a_share_between_none_and_all():
    with pytest.raises(ValueError, match="has no tail"):
        tail_beyond(1, 10, 1.0)


@pytest.mark.parametrize(("k", "proven"), [(4, False), (9, True), (14, True), (0, False)])
def test_the_further_examples_of_a_share_are_where_it_is_decided(k, proven):
    def decided(total):
        at = k / 200 * total
        if k / 200 < 0.05:
            return upper_limit(at, total, 0.95) < 0.05
        return lower_limit(at, total, 0.95) > 0.05

    more = further_for_share(k, 200, limit=0.05, confidence=0.95, proven=proven)
    assert decided(200 + more)
    assert more == 0 or not decided(200 + more - 2)


def test_a_share_on_its_limit_is_decided_by_no_number_of_examples():
    assert further_for_share(10, 200, limit=0.05, confidence=0.95, proven=True) is None
    assert further_for_share(0, 0.4, limit=0.05, confidence=0.95, proven=True) is None
    assert further_for_share(0, 100, limit=0.05, confidence=0.95, proven=False, min_samples=300) == 200
