"""Ridge from sums is ridge from rows: any weighting of data sets, any penalty, the one of least error on folds left out."""

import numpy as np
import pytest
import torch
from tests.reference import remedies as reference

from forgetaudit.stats.ridge import FOLDS, PENALTIES, RidgeSums, fit_ridge


def rows(n: int, seed: int, *, noise: float = 0.5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features with a mean and correlations, answers that a linear map gives, and folds."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(6, 6))
    features = rng.normal(size=(n, 6)) @ mixing + 40
    weight = np.random.default_rng(1).normal(size=(6, 3))
    answers = features @ weight - 7 + noise * rng.normal(size=(n, 3))
    return torch.from_numpy(features), torch.from_numpy(answers), torch.arange(n) % FOLDS


def sums(features: torch.Tensor, answers: torch.Tensor, folds: torch.Tensor) -> RidgeSums:
    found = RidgeSums(features.shape[1], answers.shape[1])
    for start in range(0, len(features), 64):
        here = slice(start, start + 64)
        found.update(features[here], answers[here], folds[here])
    return found


def test_the_fit_is_that_of_stacked_rows_at_its_penalty() -> None:
    one, other = rows(300, 2), rows(90, 3)
    fit = fit_ridge([(1.0, sums(*one).read()), (3.0, sums(*other).read())])
    assert fit is not None
    weight, bias = reference.ridge(
        [one[0].numpy(), other[0].numpy()], [one[1].numpy(), other[1].numpy()], [1.0, 3.0], fit.penalty
    )
    np.testing.assert_allclose(fit.weight.numpy(), weight, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.bias.numpy(), bias, rtol=1e-6, atol=1e-6)


def test_the_penalty_is_the_one_with_the_least_error_on_folds_left_out() -> None:
    features, answers, folds = rows(60, 4, noise=40.0)
    fit = fit_ridge([(1.0, sums(features, answers, folds).read())])
    assert fit is not None
    errors = {}
    for penalty in PENALTIES:
        squares = []
        for fold in range(FOLDS):
            kept, left = folds != fold, folds == fold
            weight, bias = reference.ridge([features[kept].numpy()], [answers[kept].numpy()], [1.0], penalty)
            guessed = features[left].numpy() @ weight.T + bias
            squares.append(((answers[left].numpy() - guessed) ** 2).sum(axis=1).mean())
        errors[penalty] = np.mean(squares)
    assert fit.penalty == min(errors, key=errors.get)
    assert fit.error == pytest.approx(errors[fit.penalty], rel=1e-6)


def test_a_map_that_is_there_is_found_and_one_that_is_not_is_not_made_up() -> None:
    features, answers, folds = rows(400, 5, noise=0.0)
    fit = fit_ridge([(1.0, sums(features, answers, folds).read())])
    assert fit is not None
    torch.testing.assert_close(features @ fit.weight.T + fit.bias, answers, rtol=1e-3, atol=1e-2)
    noise = torch.from_numpy(np.random.default_rng(6).normal(size=(40, 3)))
    none = fit_ridge([(1.0, sums(features[:40], noise, folds[:40]).read())])
    assert none is not None
    assert none.penalty >= 1
    assert float(none.weight.norm()) < 0.1 * float(fit.weight.norm())


def test_without_a_bias_nothing_is_shifted() -> None:
    features, answers, folds = rows(300, 7)
    fit = fit_ridge([(1.0, sums(features, answers, folds).read())], with_bias=False)
    assert fit is not None
    assert fit.bias.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("spoil", ["few", "constant", "nan"])
def test_where_there_is_nothing_to_fit_there_is_no_fit(spoil: str) -> None:
    features, answers, folds = rows(100, 8)
    if spoil == "few":
        features, answers, folds = (part[:3] for part in (features, answers, folds))
    elif spoil == "constant":
        features = torch.ones_like(features)
    else:
        features[50, 2] = torch.nan
    assert fit_ridge([(1.0, sums(features, answers, folds).read())]) is None


def test_two_data_sets_that_ask_for_opposites_meet_by_their_weights() -> None:
    features, _, folds = rows(500, 9)
    ones = torch.ones(500, 1, dtype=torch.float64)
    up, down = (sums(features, sign * ones, folds).read() for sign in (1, -1))
    for weight in (0.25, 0.5, 0.9):
        fit = fit_ridge([(weight, up), (1 - weight, down)])
        assert fit is not None
        predicted = features @ fit.weight.T + fit.bias
        assert float(predicted.mean()) == pytest.approx(2 * weight - 1, abs=1e-6)
