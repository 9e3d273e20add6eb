import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forgetaudit.weights.sums import Sums, add_up

COUNTS = st.integers(0, 100)
SQUARES = st.floats(0, 1e6)
PARTS = st.lists(
    st.builds(
        Sums,
        n_elements=COUNTS,
        n_changed=COUNTS,
        base_square=SQUARES,
        delta_square=SQUARES,
        max_abs_delta=SQUARES,
    ),
    max_size=6,
)


# Drawing is slow on a busy machine, which says nothing of the sums.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PARTS, PARTS)
def test_adding_in_parts_or_at_once_is_the_same(some, others):
    at_once, in_parts = add_up([*some, *others]), add_up([add_up(some), add_up(others)])
    assert at_once.n_elements == in_parts.n_elements
    assert at_once.max_abs_delta == in_parts.max_abs_delta
    assert at_once.delta_square == pytest.approx(in_parts.delta_square)
    assert at_once.base_square == pytest.approx(in_parts.base_square)


def test_a_total_distance_is_the_root_of_the_sum_of_squares():
    assert add_up([Sums(delta_square=9.0), Sums(delta_square=16.0)]).distance == 5.0


def test_nothing_adds_up_to_nothing():
    assert add_up([]) == Sums()
