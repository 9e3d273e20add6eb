import math

import pytest
import torch

from forgetaudit.inference.means import mean_difference
from forgetaudit.stats.paired import PairedDifference, PairedMeans
from forgetaudit.values import Interval, NotMeasured


def test_one_nan_or_infinity_on_either_side_is_counted_and_stays_out_of_the_sums():
    difference = PairedDifference()
    difference.update(torch.tensor([1.0, math.nan, 3.0, 4.0]), torch.tensor([2.0, 2.0, math.inf, 7.0]))
    assert difference.read() == PairedMeans(
        n=2,
        base=2.5,
        tuned=4.5,
        increase=2.0,
        m2=2.0,
        least=1.0,
        most=3.0,
        n_nonfinite_base=1,
        n_nonfinite_tuned=1,
    )


def test_nothing_finite_is_not_measured():
    difference = PairedDifference()
    assert difference.read() == NotMeasured("no examples")
    difference.update(torch.tensor([math.nan]), torch.tensor([1.0]))
    assert difference.read() == NotMeasured("no example has a finite value in both base and tuned")


def test_identical_numbers_differ_by_exactly_nothing():
    numbers = torch.rand(999, dtype=torch.float64)
    difference = PairedDifference()
    for batch in numbers.split(10):
        difference.update(batch, batch)
    means = difference.read()
    assert isinstance(means, PairedMeans)
    assert (means.increase, means.m2) == (0.0, 0.0)
    assert means.base == means.tuned


def test_a_small_spread_survives_a_large_mean():
    generator = torch.Generator().manual_seed(0)
    base = torch.rand(5000, generator=generator, dtype=torch.float64) + 1e8
    tuned = base + 1e7 + torch.randn(5000, generator=generator, dtype=torch.float64)
    difference = PairedDifference()
    for rows in range(0, 5000, 64):
        difference.update(base[rows : rows + 64], tuned[rows : rows + 64])
    means = difference.read()
    assert isinstance(means, PairedMeans)
    assert means.m2 == pytest.approx(float((tuned - base).var()) * 4999, rel=1e-9)
    interval = mean_difference(means.n, means.increase, means.m2, confidence=0.95, sides=2)
    assert isinstance(interval, Interval)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / math.sqrt(5000), rel=0.05)


def test_numbers_of_other_examples_are_refused():
    with pytest.raises(ValueError, match="not of the same examples"):
        PairedDifference().update(torch.ones(3), torch.ones(2))
