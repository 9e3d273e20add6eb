"""Repeated draws: how often the gate errs on groups of unequal size and on losses with long tails. Seeded, and small.

`benchmarks/` has the same at full size: these are the worst cases of it.
"""

import numpy as np
import pytest
from benchmarks import simulate_groups, simulate_log_loss, simulate_shares

RUNS = 200
# Six percent, and three standard errors of 200 draws.
MOST = 0.06 + 3 * (0.06 * 0.94 / RUNS) ** 0.5


@pytest.mark.parametrize("sizes", simulate_groups.SIZES)
@pytest.mark.parametrize("n_groups", [8, 20, 100])
def test_groups_of_any_size_err_in_at_most_six_percent(sizes, n_groups):
    for truth in ((0.05, 0.3, 0.1), (0.3, 0.05, 0.04), (1.0, 0.3, 0.1)):
        fails, passes = simulate_groups.error_rates(sizes, n_groups, truth, RUNS, seed=3)
        assert max(fails, passes) <= MOST


@pytest.mark.parametrize("shape", ["log-normal, sigma 2", "t3", "exponential", "0.2 % of 20 nats"])
def test_log_losses_of_any_shape_err_in_at_most_six_percent(shape):
    rates = simulate_log_loss.error_rates(
        simulate_log_loss.SHAPES[shape], 500, RUNS, np.random.default_rng([7, len(shape)])
    )
    assert max(rates[which] for which in ("fail", "pass", "fail below", "pass below")) <= MOST


@pytest.mark.parametrize("shape", simulate_log_loss.GROUPED)
def test_log_losses_of_documents_err_in_at_most_six_percent(shape):
    rng = np.random.default_rng([8, len(shape)])
    rates = simulate_log_loss.error_rates(simulate_log_loss.SHAPES[shape], 60, RUNS, rng, grouped=True)
    assert max(rates[which] for which in ("fail", "pass", "fail below", "pass below")) <= MOST


@pytest.mark.parametrize("rows", simulate_log_loss.ROWS)
@pytest.mark.parametrize("shape", simulate_log_loss.RARE)
def test_rare_gains_that_groups_of_few_questions_did_not_hold_fail_nothing(shape, rows):
    """Two questions to a group: over half of such runs failed while a group was held to what others had gained."""
    rng = np.random.default_rng([9, len(shape), rows])
    rates = simulate_log_loss.error_rates(simulate_log_loss.SHAPES[shape], 100, RUNS, rng, rows=rows)
    assert max(rates[which] for which in ("fail", "pass", "fail below", "pass below")) <= MOST


@pytest.mark.parametrize(
    "setting", [(6, 60, 0, 0.3), (6, 60, 0, 0.03), (6, 300, 0, 0.005), (12, 60, 4, 0.3), (12, 60, 40, 0.3)]
)
def test_limits_of_shares_miss_in_at_most_six_percent_and_no_part_is_wrongly_sure(setting):
    """Twenty percent missed where a part touched so few examples that a sample had none."""
    n_parts, _, pairs, _ = setting
    runs = 20 if n_parts == 12 else 60
    limits, missed, wrong = simulate_shares.error_rates(*setting, runs, seed=3)
    assert (limits > 0) is (pairs != 4), "limits from 8 orders would be a guess"
    assert missed <= 0.06
    assert wrong <= 0.06
