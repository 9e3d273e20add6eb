"""How often each verdict comes out, against sums over all tables by scipy.stats."""

import pytest
from tests.inference.test_error_rates import chance, fails, passes

from forgetaudit.inference.verdicts import verdict_chances


@pytest.mark.parametrize(
    ("n", "churn", "drop", "limit"),
    [
        (50, 0.1, 0.0, 0.02),
        (200, 0.04, 0.04, 0.02),
        (200, 0.04, -0.04, 0.02),
        (200, 0.0, 0.0, 0.02),
        (500, 0.04, 0.0, 0.0),
        (500, 0.6, 0.1, 0.05),
        (800, 0.1, 0.015, 0.02),
    ],
)
def test_the_chances_are_the_sums_over_all_tables(n, churn, drop, limit):
    rates = ((churn + drop) / 2, (churn - drop) / 2)
    found = verdict_chances(n, forgotten=rates[0], gained=rates[1], limit=limit, confidence=0.95)
    slow = (
        chance(n, *rates, passes(n, limit)),
        chance(n, *rates, fails(n, limit)),
        chance(n, *rates, fails(n, limit, proven=True)),
    )
    assert (found.passes, found.fails_likely, found.fails_proven) == pytest.approx(slow, abs=1e-8)


def test_rates_that_are_none_are_refused():
    with pytest.raises(ValueError, match="are none"):
        verdict_chances(100, forgotten=0.7, gained=0.7, limit=0.02, confidence=0.95)
