"""Intervals over questions that come in groups, against a slow reference and against repeated draws."""

import math

import numpy as np
import pytest
from scipy import stats
from tests.reference.statistics import degrees_of_sizes, left_out_variance

from forgetaudit.inference.clusters import (
    FEWEST_TOUCHED,
    Clustering,
    clustering_of,
    design_effect,
    effective_share,
    grouped_mean,
    grouped_tango,
    variance_of_mean,
)
from forgetaudit.inference.means import mean_difference
from forgetaudit.inference.paired import tango
from forgetaudit.values import Interval, NotMeasured


def sums(values, groups):
    """Mean, variance of the mean, effective number of touched groups, and what the sizes say; `groups` from 0 up."""
    sizes = np.bincount(groups).astype(float)
    mine = np.bincount(groups, weights=values)
    touched = sizes[mine != 0]
    effective = touched.sum() ** 2 / np.square(touched).sum() if len(touched) else 0.0
    return float(values.mean()), variance_of_mean(mine, sizes), float(effective), clustering_of(sizes)


def effect_of(flips, groups):
    drop, variance, touched, found = sums(flips.astype(float), groups)
    alone = float((flips != 0).mean()) - drop**2
    return design_effect(alone, variance, len(flips), found, touched=touched), found


def limits_of_flips(flips, groups, *, sides=2):
    effect, found = effect_of(flips, groups)
    return grouped_tango(
        int((flips == 1).sum()),
        int((flips == -1).sum()),
        len(flips),
        effect=effect,
        degrees=found.degrees,
        confidence=0.95,
        sides=sides,
    )


def documents(rng, n_documents=40, true_drop=0.03):
    """Flips in documents that differ in length and in how much they lost; the drop of the population is `true_drop`."""
    lengths = rng.integers(20, 300, n_documents)
    lost = rng.beta(2, 2 / (true_drop + 0.02) - 2, n_documents)
    flips = [
        rng.choice([1, -1, 0], length, p=[share, 0.02, 0.98 - share])
        for length, share in zip(lengths, lost, strict=True)
    ]
    return np.concatenate(flips), np.repeat(np.arange(n_documents), lengths)


def test_groups_of_one_question_give_the_plain_paired_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1, 50)
    mean, variance, _, found = sums(values, np.arange(50))
    plain = mean_difference(50, mean, float(np.square(values - mean).sum()), confidence=0.95, sides=2)
    grouped = grouped_mean(mean, variance, found, confidence=0.95, sides=2)
    assert isinstance(plain, Interval)
    assert isinstance(grouped, Interval)
    assert (grouped.low, grouped.high) == pytest.approx((plain.low, plain.high), rel=1e-12)


def test_the_variance_is_that_of_leaving_out_one_group_after_the_other():
    rng = np.random.default_rng(1)
    sizes = np.maximum(1, np.round(rng.lognormal(2, 1, 25))).astype(int)
    groups = np.repeat(np.arange(25), sizes)
    values = rng.normal(0, 1, len(groups)) + rng.normal(0, 1, 25)[groups]
    _, variance, _, _ = sums(values, groups)
    assert variance == pytest.approx(left_out_variance(values.tolist(), groups.tolist()), rel=1e-9)


def test_for_equal_groups_the_standard_error_is_that_of_statsmodels_clustered_regression():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(25), 16)
    values = rng.normal(0, 1, 400) + rng.normal(0, 1, 25)[groups]
    _, variance, _, _ = sums(values, groups)
    fit = sm.OLS(values, np.ones(400)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True, "df_correction": True}
    )
    assert math.sqrt(variance) == pytest.approx(float(fit.bse[0]), rel=1e-9)


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [100, 1, 1, 1, 1], [5, 8, 13, 21, 34, 55], [2, 1]])
def test_degrees_of_freedom_are_those_of_the_matrix_written_out(sizes):
    found = clustering_of(sizes)
    assert found.degrees == pytest.approx(degrees_of_sizes(sizes), rel=1e-9)
    assert found.effective == pytest.approx(sum(sizes) ** 2 / sum(size**2 for size in sizes))


def test_equal_groups_keep_g_minus_one_and_one_large_group_leaves_next_to_none():
    assert clustering_of([7] * 20).degrees == pytest.approx(19)
    half = clustering_of([30] * 40 + [1200])
    assert half.effective < 4
    assert half.degrees < 1.2


def test_one_group_of_half_the_rows_makes_no_loss_sure():
    """The first group lost four of ten answers, the others none: with G − 1 degrees of freedom that is a proof."""
    flips, groups = np.zeros(2400, dtype=int), np.repeat(np.arange(41), [1200] + [30] * 40)
    flips[:480] = 1
    assert limits_of_flips(flips, groups, sides=1).low < 0


def test_one_group_measures_nothing_and_proves_nothing():
    assert isinstance(grouped_mean(0.1, 0.0, clustering_of([500]), confidence=0.95, sides=2), NotMeasured)
    found = grouped_tango(3, 0, 500, effect=500, degrees=0.0, confidence=0.95, sides=1)
    assert (found.low, found.high) == (-1, 1)


def test_independent_questions_have_no_design_effect():
    rng = np.random.default_rng(2)
    flips = rng.choice([1, -1, 0], 4000, p=[0.05, 0.03, 0.92])
    groups = np.repeat(np.arange(100), 40)
    assert effect_of(flips, groups)[0] < 1.4


def test_questions_that_always_agree_within_a_group_count_as_one():
    rng = np.random.default_rng(3)
    of_group = rng.choice([1, -1, 0], 200, p=[0.2, 0.1, 0.7])
    flips, groups = np.repeat(of_group, 25), np.repeat(np.arange(200), 25)
    assert effect_of(flips, groups)[0] == pytest.approx(25 * 200 / 199, rel=1e-9)
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
    many = effective_share(4.0, 999, confidence=0.95, sides=1)
    assert many == pytest.approx(0.25, rel=0.01)
    assert effective_share(4.0, 4, confidence=0.95, sides=1) < 0.8 * many
    assert effective_share(1.0, 0, confidence=0.95, sides=1) == 0


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
    assert isinstance(
        grouped_mean(math.inf, 1.0, clustering_of([2] * 5), confidence=0.95, sides=2), NotMeasured
    )


def test_groups_without_questions_are_refused():
    with pytest.raises(ValueError, match="at least one question"):
        clustering_of([3, 0])


def test_a_clustering_of_one_group_has_no_degrees_of_freedom():
    assert clustering_of([9]) == Clustering(n_groups=1, effective=1.0, degrees=0.0)
    assert variance_of_mean(np.array([3.0]), np.array([9.0])) == math.inf
