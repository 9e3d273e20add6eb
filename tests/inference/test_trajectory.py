"""Accuracies over time: measures by their authors' formulas, a power law with its uncertainty, a Pareto front."""

import math
from typing import Any

import numpy as np
import pytest
from tests.reference import trajectory as reference

from forgetaudit.inference.trajectory import PowerLaw, continual_learning, fit_power_law, pareto_front
from forgetaudit.values import NotMeasured

GOLDEN = [[0.9, 0.1, 0.1], [0.92, 0.9, 0.1], [0.94, 0.85, 0.9]]


def measures(matrix: list[list[float]], learned: list[int]) -> tuple[float, float, float, float]:
    found = continual_learning(matrix, learned)
    assert not isinstance(found, NotMeasured)
    return found.backward_transfer, found.average_forgetting, found.avalanche, found.mammoth


def test_the_golden_matrix_gives_four_different_numbers() -> None:
    assert measures(GOLDEN, [0, 1, 2]) == pytest.approx((-0.005, 0.015, 0.005, 0.025), abs=1e-12)


def test_the_formulas_are_those_of_the_reference_on_random_matrices() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 3, 5, 8):
        matrix = rng.random((size, size)).tolist()
        expected = [
            f(matrix)
            for f in (reference.backward_transfer, reference.chaudhry, reference.avalanche, reference.mammoth)
        ]
        assert measures(matrix, list(range(size))) == pytest.approx(expected, abs=1e-12)


def test_tasks_that_base_knew_are_measured_from_base() -> None:
    found = continual_learning([[0.9, 0.8], [0.5, 0.9], [0.6, 0.7]], [0, 0])
    assert not isinstance(found, NotMeasured)
    assert (found.n_tasks, found.avalanche) == (2, pytest.approx(0.2))


def test_a_task_of_the_last_stage_cannot_be_forgotten_yet() -> None:
    assert isinstance(continual_learning([[0.1], [0.9]], [1]), NotMeasured)


def test_tasks_without_a_stage_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        continual_learning(GOLDEN, [0, 1])


STEPS = [20, 40, 80, 160, 320]


def law(drops: list[float], errors: list[float], **more: Any) -> PowerLaw:
    found = fit_power_law(STEPS, drops, errors, at=640, confidence=0.95, **more)
    assert isinstance(found, PowerLaw), found
    return found


def test_a_power_law_is_found_again() -> None:
    found = law([0.01 * step**0.5 for step in STEPS], [0.001] * 5)
    assert found.scale == pytest.approx(0.01, rel=1e-6)
    assert found.exponent.estimate == pytest.approx(0.5, abs=1e-6)
    assert found.forecast.estimate == pytest.approx(0.01 * 640**0.5, rel=1e-6)
    assert found.misfit == pytest.approx(0, abs=1e-9)


def test_estimates_and_limits_are_those_of_scipy() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(1)
    errors = [0.004, 0.005, 0.006, 0.006, 0.008]
    drops = [0.01 * s**0.5 + e * z / 2 for s, e, z in zip(STEPS, errors, rng.standard_normal(5), strict=True)]
    found = law(drops, errors)
    scale, exponent, covariance = reference.power_law(STEPS, drops, errors)
    assert found.misfit < 1
    assert found.exponent.estimate == pytest.approx(exponent, rel=1e-5)
    reach = t.ppf(0.975, 3) * math.sqrt(covariance[1, 1])
    assert found.exponent.high - found.exponent.low == pytest.approx(2 * reach, rel=1e-4)
    gradient = np.array([2**exponent, scale * 2**exponent * math.log(2)])
    reach = t.ppf(0.975, 3) * math.sqrt(gradient @ covariance @ gradient)
    assert found.forecast.high - found.forecast.low == pytest.approx(2 * reach, rel=1e-4)


def test_points_off_the_law_widen_its_limits() -> None:
    good, bad = [0.01 * step**0.5 for step in STEPS], [0.05, 0.2, 0.05, 0.2, 0.1]
    one, two = law(good, [0.005] * 5), law(bad, [0.005] * 5)
    assert two.misfit > 100
    assert two.exponent.high - two.exponent.low > 5 * (one.exponent.high - one.exponent.low)


def test_limits_cover_the_exponent_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(60):
        noisy = [0.01 * step**0.5 + 0.006 * rng.standard_normal() for step in STEPS]
        found = law(noisy, [0.006] * 5)
        covered += found.exponent.low <= 0.5 <= found.exponent.high
    assert covered >= 54


@pytest.mark.parametrize(
    ("steps", "drops", "errors", "reason"),
    [
        ([1, 2, 3], [0.1] * 3, [0.01] * 3, "needs 4 checkpoints"),
        ([1, 2, 3, 4], [-0.1, -0.2, 0.0, -0.1], [0.01] * 4, "did not fall"),
        ([0, 2, 3, 4], [0.1] * 4, [0.01] * 4, "steps from 1 on"),
        ([1, 2, 3, 4], [0.1] * 4, [0.01, 0, 0.01, 0.01], "with an error"),
    ],
)
def test_where_nothing_can_be_fitted_the_reason_is_said(
    steps: list[int], drops: list[float], errors: list[float], reason: str
) -> None:
    found = fit_power_law(steps, drops, errors, at=10, confidence=0.95)
    assert isinstance(found, NotMeasured)
    assert reason in found.reason


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    assert pareto_front([(0.9, 0.1), (0.8, 0.5), (0.7, 0.5), (0.1, 0.9)]) == (True, True, False, True)


def test_equal_points_are_on_the_front_together() -> None:
    assert pareto_front([(0.5, 0.5), (0.5, 0.5)]) == (True, True)
