"""Limits of the drop over fixed strata, beside a slow reference and in simulated samples."""

import numpy as np
import pytest
from tests.reference import statistics as reference

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.intervals import drop_interval
from forgetaudit.inference.paired import tango
from forgetaudit.inference.strata import stratified_tango

THREE = ((12, 1, 40), (3, 5, 150), (0, 0, 60))


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("strata", [THREE, ((10, 0, 10), (0, 0, 190)), ((1, 0, 1), (0, 1, 1), (0, 0, 300))])
def test_limits_are_those_of_the_reference(strata, sides):
    found = stratified_tango(strata, confidence=0.95, sides=sides)
    low, high = reference.stratified_limits(strata, z_quantile(0.95, sides))
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_one_stratum_is_no_stratum():
    found, plain = (
        stratified_tango(((7, 2, 300),), confidence=0.95, sides=2),
        tango(7, 2, 300, confidence=0.95, sides=2),
    )
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_a_drop_that_one_stratum_explains_is_surer_than_one_without_strata():
    found = stratified_tango(((40, 0, 40), (0, 0, 360)), confidence=0.95, sides=2)
    plain = tango(40, 0, 400, confidence=0.95, sides=2)
    assert found.high - found.low < 0.8 * (plain.high - plain.low)


def test_without_the_counts_of_strata_the_limits_are_those_of_all_examples():
    counts = {"effect": None, "degrees": None, "confidence": 0.95, "sides": 1}
    whole = drop_interval(15, 6, 250, method="stratified-tango", **counts)
    each = drop_interval(15, 6, 250, method="stratified-tango", strata=THREE, **counts)
    assert whole.low <= each.low
    assert each.high <= whole.high


@pytest.mark.parametrize(("n_strata", "rate"), [(3, 0.05), (3, 0.12), (8, 0.02), (8, 0.08), (20, 0.05)])
def test_limits_hold_as_often_as_they_say(n_strata, rate):
    draw = np.random.default_rng(n_strata)
    sizes = draw.integers(30, 30 + 4 * 1200 // (2 * n_strata), n_strata)
    forgotten = np.clip(draw.gamma(1, rate, n_strata), 0, 0.6)
    gained = np.full(n_strata, rate / 2)
    true = float((sizes * (forgotten - gained)).sum() / sizes.sum())
    held = over = under = 0
    for _ in range(400):
        counts = [
            draw.multinomial(n, [f, g, 1 - f - g]) for n, f, g in zip(sizes, forgotten, gained, strict=True)
        ]
        strata = tuple((int(b), int(c), int(b + c + rest)) for b, c, rest in counts)
        both, one = (stratified_tango(strata, confidence=0.95, sides=sides) for sides in (2, 1))
        held += both.low <= true <= both.high
        over += one.low > true
        under += one.high < true
    # Of 400 samples a rate of 5 % scatters by 1.1 points.
    assert held / 400 >= 0.93
    assert max(over, under) / 400 <= 0.07
