import math

import pytest
import torch
from tests.reference import features as reference

from forgetaudit.stats.diagnostics import FeatureDiagnostics, diagnostics
from forgetaudit.stats.moments import PairMoments
from forgetaudit.values import NotMeasured


def fed(base, tuned, size=64):
    moments = PairMoments(base.shape[1], tuned.shape[1])
    for start in range(0, len(base), size):
        moments.update(base[start : start + size], tuned[start : start + size])
    return moments


def related(n=600, d_base=32, d_tuned=32, noise=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(n, d_base, generator=generator, dtype=torch.float64) * torch.logspace(0, -1, d_base)
    mixing = torch.randn(d_base, d_tuned, generator=generator, dtype=torch.float64) / math.sqrt(d_base)
    return base, base @ mixing + noise * torch.randn(n, d_tuned, generator=generator, dtype=torch.float64)


def rotation(d, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q


def test_diagnostics_equal_their_definitions():
    base, tuned = related(700, 24, 24)
    base[11] *= 25
    result = diagnostics(fed(base, tuned + 3))
    assert isinstance(result, FeatureDiagnostics)
    expected = {
        "biased_cka": reference.biased_cka(base, tuned),
        "effective_rank_base": reference.effective_rank(base),
        "effective_rank_tuned": reference.effective_rank(tuned),
        "top_direction_base": reference.top_direction(base),
        "top_direction_tuned": reference.top_direction(tuned),
        "procrustes": reference.procrustes(base, tuned),
        "linear_r2": reference.adjusted_r2(base, tuned),
        "mean_shift": reference.mean_shift(base, tuned + 3),
    }
    for name, value in expected.items():
        assert getattr(result, name) == pytest.approx(value, rel=1e-9), name
    assert result.largest_row_base == pytest.approx(reference.largest_row(base), rel=0.02)
    assert reference.largest_row(tuned) <= result.largest_row_tuned < 0.03


def test_the_linear_map_finds_nothing_in_noise_and_all_behind_an_invertible_map():
    base, _ = related(200, 64, 64)
    noise = torch.randn(200, 64, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    unrelated, mapped = (
        diagnostics(fed(base, noise)),
        diagnostics(fed(base, base @ (rotation(64) * torch.logspace(0, 2, 64)))),
    )
    assert isinstance(unrelated, FeatureDiagnostics)
    assert isinstance(mapped, FeatureDiagnostics)
    assert unrelated.linear_r2 == pytest.approx(0, abs=0.05)
    assert mapped.linear_r2 == pytest.approx(1, abs=1e-9)


def test_what_a_linear_map_cannot_say_is_not_measured():
    base, tuned = related(30, 40, 50)
    result = diagnostics(fed(base, tuned))
    assert isinstance(result, FeatureDiagnostics)
    assert result.linear_r2 == NotMeasured("a linear map from 29 directions fits any 30 examples")
    assert result.mean_shift == NotMeasured("base has 40 features and tuned 50")


def test_diagnostics_of_dead_features_are_not_measured():
    base, _ = related()
    assert diagnostics(fed(base, torch.zeros(600, 4))) == NotMeasured("the features of tuned do not vary")
    assert diagnostics(PairMoments(3)) == NotMeasured("no examples")
    assert diagnostics(fed(torch.ones(5, 2), torch.ones(5, 2))) == NotMeasured(
        "the features of base do not vary"
    )
