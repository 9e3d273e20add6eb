import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from tests.reference import statistics as reference

from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.means import mean_difference
from forgetaudit.inference.paired import mcnemar, score_variance, tango
from forgetaudit.values import Interval, NotMeasured


def limits(forgotten, gained, n, sides=2, confidence=0.95):
    interval = tango(forgotten, gained, n, confidence=confidence, sides=sides)
    return interval.low, interval.high


def test_tango_gives_the_published_limits():
    assert [f"{x:.4f}" for x in limits(6, 16, 161)] == ["-0.1240", "-0.0054"]
    assert [f"{x:.4f}" for x in limits(1, 7, 21)] == ["-0.5172", "-0.0260"]


def test_tango_gives_the_limits_of_the_first_screen():
    interval = tango(97, 7, 797, confidence=0.95, sides=2)
    assert interval.method == "tango"
    assert (round(interval.estimate, 3), round(interval.low, 4), round(interval.high, 4)) == (
        0.113,
        0.0904,
        0.1383,
    )
    assert [round(x, 3) for x in limits(97, 7, 797, sides=1)] == [0.094, 0.134]


@pytest.mark.parametrize(("n", "upper"), [(50, 0.0513), (268, 0.00999)])
def test_no_flips_at_all_proves_no_more_than_n_allows(n, upper):
    z = z_quantile(0.95, 1)
    assert limits(0, 0, n, sides=1) == pytest.approx((-z * z / (n + z * z), z * z / (n + z * z)), abs=1e-15)
    assert limits(0, 0, n, sides=1)[1] == pytest.approx(upper, abs=5e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_tango_agrees_with_a_slow_search_over_the_likelihood(table):
    n, forgotten, gained = table[0], table[1], min(table[2], table[0] - table[1])
    z = z_quantile(0.95, 2)
    assert limits(forgotten, gained, n) == pytest.approx(
        reference.tango_limits(forgotten, gained, n, z), abs=2e-7
    )


@pytest.mark.parametrize(
    "table", [(1, 0, 1), (0, 1, 1), (0, 0, 1), (5, 0, 5), (0, 5, 5), (3, 2, 5), (2, 2, 4)]
)
def test_tango_stays_between_minus_one_and_one_on_the_edge(table):
    interval = tango(*table, confidence=0.95, sides=2)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    assert math.isfinite(interval.low + interval.high)
    assert (interval.high == 1) == (table[0] == table[2])


def test_exchanging_base_and_tuned_mirrors_the_limits():
    low, high = limits(31, 12, 500)
    assert limits(12, 31, 500) == (-high, -low)


def test_the_score_falls_as_the_drop_grows():
    for forgotten, gained, n in [(6, 16, 161), (0, 3, 40), (9, 0, 9), (200, 190, 1000), (1, 0, 2)]:
        drops = np.linspace(-0.999, 0.999, 401)
        scores = [
            (forgotten - gained - n * d) / math.sqrt(n * score_variance(forgotten, gained, n, d))
            for d in drops
            if score_variance(forgotten, gained, n, d) > 0
        ]
        assert all(after < before for before, after in itertools.pairwise(scores))


def test_tango_holds_for_a_billion_examples():
    low, high = limits(10**6, 10**6, 10**9)
    assert (low, high) == pytest.approx((-z_quantile(0.95, 2) * math.sqrt(2e6) / 1e9, -low), rel=1e-5)


@pytest.mark.parametrize("table", [(1, 1, 1), (-1, 0, 5), (0, 0, 0)])
def test_tango_refuses_what_is_not_a_table(table):
    with pytest.raises(ValueError, match="is not a table"):
        tango(*table, confidence=0.95, sides=2)


def test_a_confidence_must_be_a_confidence():
    for confidence in (95, 1.0, 0.05):
        with pytest.raises(ValueError, match="confidence must lie between"):
            tango(1, 1, 10, confidence=confidence, sides=1)


def test_mcnemar_gives_the_published_p_values():
    assert (f"{mcnemar(6, 16).exact:.6f}", f"{mcnemar(6, 16).mid_p:.6f}") == ("0.052479", "0.034690")
    assert (f"{mcnemar(1, 7).exact:.4f}", f"{mcnemar(1, 7).mid_p:.4f}") == ("0.0703", "0.0391")


@pytest.mark.parametrize("flips", [(0, 0), (1, 0), (3, 3), (97, 7), (0, 60), (250, 300), (1200, 900)])
def test_mcnemar_agrees_with_whole_numbers_and_with_statsmodels(flips):
    result = mcnemar(*flips)
    assert (result.exact, result.mid_p) == pytest.approx(reference.mcnemar(*flips), rel=1e-11)
    theirs = statsmodels_mcnemar([[5, flips[0]], [flips[1], 5]], exact=True).pvalue
    assert result.exact == pytest.approx(float(theirs), rel=1e-6)


def test_mcnemar_holds_for_millions_of_flips():
    result = mcnemar(10**7, 10**7 + 10_000)
    normal = 2 * scipy_stats.norm.sf(10_000 / math.sqrt(2e7 + 10_000))
    assert 0 < result.mid_p < result.exact
    assert result.mid_p == pytest.approx(normal, rel=1e-3)


def test_no_flips_are_no_evidence():
    assert mcnemar(0, 0).exact == mcnemar(0, 0).mid_p == mcnemar(4, 4).mid_p == 1


def test_mean_difference_is_the_textbook_interval():
    differences = np.random.default_rng(0).normal(0.3, 2, size=500)
    mean, m2 = differences.mean(), ((differences - differences.mean()) ** 2).sum()
    interval = mean_difference(500, mean, m2, confidence=0.95, sides=2)
    half = 1.964729 * differences.std(ddof=1) / math.sqrt(500)
    assert isinstance(interval, Interval)
    assert (interval.low, interval.high) == pytest.approx((mean - half, mean + half), abs=1e-7)


def test_a_mean_of_one_has_no_interval():
    assert mean_difference(1, 0.5, 0.0, confidence=0.95, sides=2) == NotMeasured(
        "a paired interval needs 2 examples, and there are 1"
    )
    assert isinstance(mean_difference(9, math.inf, 0.0, confidence=0.95, sides=2), NotMeasured)


def test_inference_imports_neither_torch_nor_scipy():
    modules = "paired power proportions corrections chance label_map"
    code = "import sys\n" + "".join(f"import forgetaudit.inference.{name}\n" for name in modules.split())
    code += "print([m for m in ('torch', 'numpy', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
