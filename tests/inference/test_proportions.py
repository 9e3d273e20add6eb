import pytest
from statsmodels.stats.proportion import proportion_confint
from tests.reference import statistics as reference

from forgetaudit.inference.proportions import clopper_pearson, lower_limit, upper_limit

SHARES = [(0, 1), (1, 1), (0, 50), (3, 50), (50, 50), (700, 797), (5, 10**6)]


@pytest.mark.parametrize(("k", "n"), SHARES)
def test_limits_are_the_exact_binomial_ones(k, n):
    low, high = reference.clopper_pearson(k, n, 0.95)
    assert (lower_limit(k, n, 0.95), upper_limit(k, n, 0.95)) == pytest.approx((low, high), rel=1e-10)


@pytest.mark.parametrize(("k", "n"), SHARES)
def test_the_two_sided_interval_agrees_with_statsmodels(k, n):
    interval = clopper_pearson(k, n, confidence=0.95, sides=2)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(k, n, method="beta"), rel=1e-9)
    assert interval.estimate == k / n
    assert interval.method == "clopper-pearson"


def test_one_sided_limits_are_the_nearer_ones():
    one, two = (clopper_pearson(30, 200, confidence=0.95, sides=sides) for sides in (1, 2))
    assert two.low < one.low < one.estimate < one.high < two.high


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 5), (0, 0)])
def test_what_is_not_a_share_is_refused(k, n):
    with pytest.raises(ValueError, match=f"{k} of {n} is not a share"):
        clopper_pearson(k, n, confidence=0.95, sides=2)
