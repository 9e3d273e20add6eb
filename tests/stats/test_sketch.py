import math

import pytest
import torch
from tests.reference import features as reference

from forgetaudit.stats.cka import Cka, linear_cka, moments_for
from forgetaudit.stats.moments import PairMoments
from forgetaudit.stats.sketch import SketchMoments
from forgetaudit.values import NotMeasured

N, D = 400, 3000


def wide(seed=0, noise=0.5):
    """Features of effective rank about 100, in 3,000 columns with a mean."""
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(N, 200, generator=generator) * torch.logspace(0, -0.5, 200)
    mixing = torch.randn(200, D, generator=generator) / 15
    base = latent @ mixing
    tuned = (latent + noise * torch.randn(N, 200, generator=generator)) @ mixing
    return base + 50, tuned - 20


def sketched(base, tuned, **options):
    moments = SketchMoments(base.shape[1], tuned.shape[1], **options)
    for start in range(0, len(base), 150):
        moments.update(base[start : start + 150], tuned[start : start + 150])
    return linear_cka(moments)


def test_a_sketched_cka_is_right_within_the_error_it_states():
    base, tuned = wide()
    truth = reference.debiased_cka(base, tuned)
    results = [sketched(base, tuned, width=128, seed=seed) for seed in range(12)]
    assert all(
        isinstance(result, Cka) and result.method == "debiased-linear, 4 count sketches" for result in results
    )
    errors = torch.tensor([result.estimate - truth for result in results])
    stated = torch.tensor([result.standard_error for result in results])
    assert abs(errors.mean()) < 0.01
    assert 0.3 < errors.std() / stated.mean() < 2
    assert (errors.abs() < 4 * stated.mean()).all()


def test_wider_sketches_err_less():
    base, tuned = wide()
    narrow, broad = (sketched(base, tuned, width=width) for width in (32, 512))
    assert isinstance(narrow, Cka)
    assert isinstance(broad, Cka)
    assert broad.standard_error < narrow.standard_error / 3
    assert broad.standard_error < 0.01
    assert broad.estimate == pytest.approx(reference.debiased_cka(base, tuned), abs=0.01)


def test_a_rotation_of_wide_features_is_no_drift_where_one_sketch_would_invent_some():
    base, _ = wide()
    result = sketched(
        base, 3 * base[:, torch.randperm(D, generator=torch.Generator().manual_seed(1))], width=256
    )
    assert isinstance(result, Cka)
    assert result.estimate == pytest.approx(1, abs=0.02)


def test_wide_identical_features_are_exactly_alike_by_proof():
    base, _ = wide()
    result = sketched(base, base.clone())
    assert result == Cka(estimate=1.0, kind="exact", method="identical", n=N, d_base=D, d_tuned=D)


def test_a_seed_gives_one_answer_and_another_seed_another():
    base, tuned = wide()
    once, again, other = (sketched(base, tuned, width=64, seed=seed) for seed in (3, 3, 4))
    assert once == again
    assert once != other


def test_wide_features_that_say_nothing_are_not_measured():
    base, tuned = wide()
    assert sketched(torch.zeros(N, D), tuned) == NotMeasured("the features of base do not vary")
    assert sketched(base[:3], tuned[:3]) == NotMeasured("CKA needs 4 examples, and there are 3")
    base[7, 7] = math.nan
    assert sketched(base, tuned) == NotMeasured(
        "features are NaN or infinite for 1 of 400 examples (1 in base)"
    )


def test_sketches_of_another_seed_cannot_be_merged():
    with pytest.raises(ValueError, match=r"sketches .* \(9, 9, 4, 1\) are not \(9, 9, 4, 0\)"):
        SketchMoments(9, width=4).merge(SketchMoments(9, width=4, seed=1))
    with pytest.raises(ValueError, match="features"):
        SketchMoments(9, width=4).update(torch.ones(2, 9), torch.ones(2, 8))


def test_the_width_of_the_features_chooses_the_sums():
    assert isinstance(moments_for(8192, 8192), PairMoments)
    assert isinstance(moments_for(64, 8193), SketchMoments)
