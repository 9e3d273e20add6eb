"""Spoiled logs: refused in words or reported, whatever numbers, keys and bytes are in them. `make fuzz` tries 100,000."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.logs.hostile import Hostile

BOUNDED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


@BOUNDED
@given(seed=st.integers(0, 2**32))
def test_spoiled_logs_of_answers_are_refused_in_words_or_reported(hostile: Hostile, seed: int) -> None:
    hostile.answers(random.Random(seed))


@BOUNDED
@given(seed=st.integers(0, 2**32))
def test_spoiled_training_logs_are_refused_in_words_or_reported(hostile: Hostile, seed: int) -> None:
    hostile.training(random.Random(seed))


@BOUNDED
@given(seed=st.integers(0, 2**32))
def test_spoiled_states_of_optimizers_are_refused_in_words_or_reported(hostile: Hostile, seed: int) -> None:
    hostile.optimizer(random.Random(seed))
