"""Intervals over questions that come in groups, against a slow reference and against repeated draws."""

import math

import numpy as np
import pytest
from scipy import stats

from forgetaudit.inference.clusters import (
    FEWEST_TOUCHED,
    design_effect,
    effective_share,
    grouped_mean,
    grouped_tango,
)
from forgetaudit.inference.paired import mean_difference, tango
from forgetaudit.values import Interval, NotMeasured


def sums(values, groups):
    """Slow and obvious: mean, scatter and touched groups."""
    mean, scatter, touched = values.mean(), 0.0, 0
    for group in np.unique(groups):
        mine = values[groups == group]
        scatter += (mine.sum() - mean * len(mine)) ** 2
        touched += bool(mine.any())
    return float(mean), float(scatter), touched


def limits_of_flips(flips, groups, *, sides=2):
    n, n_groups = len(flips), len(np.unique(groups))
    forgotten, gained = int((flips == 1).sum()), int((flips == -1).sum())
    drop, scatter, touched = sums(flips.astype(float), groups)
    effect = design_effect((forgotten + gained) / n - drop**2, scatter, n, n_groups, n_touched=touched)
    return grouped_tango(forgotten, gained, n, effect=effect, n_groups=n_groups, confidence=0.95, sides=sides)


def documents(rng, n_documents=40, true_drop=0.03):
    """Flips in documents that differ in length and in how much they lost; the drop of the population is `true_drop`."""
    lengths = rng.integers(20, 300, n_documents)
    lost = rng.beta(2, 2 / (true_drop + 0.02) - 2, n_documents)
    flips = [
        rng.choice([1, -1, 0], length, p=[share, 0.02, 0.98 - share])
        for length, share in zip(lengths, lost, strict=True)
    ]
    return np.concatenate(flips), np.repeat(np.arange(n_documents), lengths)


def test_groups_of_one_question_give_the_plain_paired_interval_but_for_students_t():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1, 50)
    mean, scatter, _ = sums(values, np.arange(50))
    plain = mean_difference(50, mean, scatter, confidence=0.95, sides=2)
    grouped = grouped_mean(mean, scatter, 50, 50, confidence=0.95, sides=2)
    assert isinstance(plain, Interval)
    assert isinstance(grouped, Interval)
    ratio = (grouped.high - mean) / (plain.high - mean)
    assert ratio == pytest.approx(stats.t.ppf(0.975, 49) / stats.norm.ppf(0.975))


def test_the_standard_error_is_that_of_statsmodels_clustered_regression_up_to_its_small_sample_factor():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    groups = rng.integers(0, 25, 400)
    values = rng.normal(0, 1, 400) + rng.normal(0, 1, 25)[groups]
    mean, scatter, _ = sums(values, groups)
    found = grouped_mean(mean, scatter, 400, 25, confidence=0.95, sides=2)
    assert isinstance(found, Interval)
    fit = sm.OLS(values, np.ones(400)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True, "df_correction": True}
    )
    # Its factor is G/(G − 1)·(n − 1)/(n − k), which is G/(G − 1) for a mean alone.
    assert (found.high - mean) / stats.t.ppf(0.975, 24) == pytest.approx(float(fit.bse[0]), rel=1e-9)


def test_one_group_measures_nothing_and_proves_nothing():
    assert isinstance(grouped_mean(0.1, 0.0, 500, 1, confidence=0.95, sides=2), NotMeasured)
    found = grouped_tango(3, 0, 500, effect=500, n_groups=1, confidence=0.95, sides=1)
    assert (found.low, found.high) == (-1, 1)


def test_independent_questions_have_no_design_effect():
    rng = np.random.default_rng(2)
    flips = rng.choice([1, -1, 0], 4000, p=[0.05, 0.03, 0.92])
    groups = np.repeat(np.arange(100), 40)
    drop, scatter, touched = sums(flips.astype(float), groups)
    alone = float((flips != 0).mean()) - drop**2
    assert design_effect(alone, scatter, 4000, 100, n_touched=touched) < 1.4


def test_questions_that_always_agree_within_a_group_count_as_one():
    rng = np.random.default_rng(3)
    of_group = rng.choice([1, -1, 0], 200, p=[0.2, 0.1, 0.7])
    flips, groups = np.repeat(of_group, 25), np.repeat(np.arange(200), 25)
    drop, scatter, touched = sums(flips.astype(float), groups)
    effect = design_effect(float((flips != 0).mean()) - drop**2, scatter, 5000, 200, n_touched=touched)
    assert effect == pytest.approx(25 * 200 / 199, rel=1e-9)
    wide = limits_of_flips(flips, groups)
    of_groups = tango(int((of_group == 1).sum()), int((of_group == -1).sum()), 200, confidence=0.95, sides=2)
    assert wide.high - wide.low == pytest.approx(of_groups.high - of_groups.low, rel=0.02)


def test_without_flips_the_limit_is_that_of_as_many_examples_as_there_are_groups():
    found = limits_of_flips(np.zeros(5000, dtype=int), np.repeat(np.arange(50), 100), sides=1)
    assert found.low < 0 < found.high
    z = stats.norm.ppf(0.95)
    n = 50 * (z / stats.t.ppf(0.95, 49)) ** 2
    assert found.high == pytest.approx(z * z / (n + z * z), rel=1e-6)


def test_a_few_touched_groups_do_not_make_a_drop_look_sure():
    """Nine flips, each in a document of its own, look as if they were independent; nobody can know from nine."""
    flips, groups = np.zeros(20_000, dtype=int), np.repeat(np.arange(20), 1000)
    flips[np.arange(FEWEST_TOUCHED - 1) * 1000] = 1
    assert limits_of_flips(flips, groups, sides=1).high > 0.1


def test_the_effective_share_is_smaller_for_few_groups_and_large_effects():
    many = effective_share(4.0, 1000, confidence=0.95, sides=1)
    assert many == pytest.approx(0.25, rel=0.01)
    assert effective_share(4.0, 5, confidence=0.95, sides=1) < 0.8 * many
    assert effective_share(1.0, 1, confidence=0.95, sides=1) == 0


def test_grouped_limits_cover_where_plain_ones_do_not():
    """600 draws of 40 documents: each two-sided 95 % interval should hold the drop of the population in about 95 %."""
    rng = np.random.default_rng(4)
    # With documents of any length alike, the expected drop is the mean loss less the gains.
    population = float(np.mean([documents(rng, 400)[0].mean() for _ in range(60)]))
    n_grouped = n_plain = 0
    for _ in range(600):
        flips, groups = documents(rng)
        forgotten, gained = int((flips == 1).sum()), int((flips == -1).sum())
        plain = tango(forgotten, gained, len(flips), confidence=0.95, sides=2)
        grouped = limits_of_flips(flips, groups)
        n_plain += plain.low <= population <= plain.high
        n_grouped += grouped.low <= population <= grouped.high
    assert 0.925 <= n_grouped / 600 <= 0.985
    assert n_plain / 600 < 0.8


def test_too_large_values_are_not_measured():
    assert isinstance(grouped_mean(math.inf, 1.0, 10, 5, confidence=0.95, sides=2), NotMeasured)
