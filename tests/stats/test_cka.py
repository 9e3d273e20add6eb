import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import features as reference

from forgetaudit.stats.cka import Cka, biased_cka, linear_cka
from forgetaudit.stats.moments import PairMoments
from forgetaudit.values import NotMeasured


def fed(base, tuned, size=64):
    moments = PairMoments(base.shape[1], tuned.shape[1])
    for start in range(0, len(base), size):
        moments.update(base[start : start + size], tuned[start : start + size])
    return moments


def cka(base, tuned, size=64):
    result = linear_cka(fed(base, tuned, size))
    assert isinstance(result, Cka), result
    return result.estimate


def reason(base, tuned):
    result = linear_cka(fed(base, tuned))
    assert isinstance(result, NotMeasured), result
    return result.reason


def related(n=600, d_base=32, d_tuned=32, noise=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(n, d_base, generator=generator, dtype=torch.float64) * torch.logspace(0, -1, d_base)
    mixing = torch.randn(d_base, d_tuned, generator=generator, dtype=torch.float64) / math.sqrt(d_base)
    return base, base @ mixing + noise * torch.randn(n, d_tuned, generator=generator, dtype=torch.float64)


def rotation(d, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q


@pytest.mark.parametrize(
    ("n", "d_base", "d_tuned"), [(50, 7, 11), (700, 64, 32), (40, 100, 130), (5, 3, 4), (300, 1, 2)]
)
@pytest.mark.parametrize("offset", [0, 3, 1000])
def test_cka_equals_the_gram_form_of_song_et_al(n, d_base, d_tuned, offset):
    base, tuned = related(n, d_base, d_tuned)
    base, tuned = base + offset, tuned - offset
    assert cka(base, tuned) == pytest.approx(reference.debiased_cka(base, tuned), abs=1e-10)


@pytest.mark.parametrize("ratio", [0, 10, 1000])
def test_float32_features_lose_nothing_to_a_large_mean(ratio):
    base, tuned = related(1000, 256, 256, noise=0.3)
    spread = base.square().sum(dim=1).mean().sqrt()
    base = (base + ratio * spread / 16).float()
    tuned = (tuned - ratio * spread / 16).float()
    assert cka(base, tuned) == pytest.approx(reference.debiased_cka(base, tuned), abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_are_taken_at_their_exact_values(dtype):
    base, tuned = (features.to(dtype) for features in related())
    assert cka(base, tuned) == pytest.approx(reference.debiased_cka(base.double(), tuned.double()), abs=1e-10)


def test_an_outlier_a_thousand_times_larger_costs_no_digits():
    base, tuned = related()
    base[77] *= 1000
    assert cka(base.float(), tuned.float()) == pytest.approx(
        reference.debiased_cka(base.float(), tuned.float()), abs=1e-7
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([1e-4, 1.0, 1e4]), st.floats(-100, 100))
def test_cka_ignores_rotation_translation_and_scale(seed, scale, shift):
    base, tuned = related(200, 12, 12, seed=seed)
    moved = scale * (tuned @ rotation(12, seed) + shift)
    assert cka(base, moved) == pytest.approx(cka(base, tuned), abs=1e-9)
    assert cka(base, scale * (base @ rotation(12, seed) + shift)) == pytest.approx(1, abs=1e-9)


def test_cka_notices_a_stretch():
    base, _ = related()
    stretched = base.clone()
    stretched[:, 3] *= 200
    assert cka(base, stretched) < 0.4


def test_exchanging_base_and_tuned_changes_nothing():
    base, tuned = related(d_tuned=20)
    assert cka(base, tuned) == pytest.approx(cka(tuned, base), abs=1e-12)


def test_unrelated_features_are_at_zero_whatever_n_and_d_where_the_biased_form_is_not():
    values, biased = [], []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        base, tuned = torch.randn(2, 32, 96, generator=generator)
        values.append(cka(base, tuned))
        biased.append(biased_cka(fed(base, tuned).read()))
    assert abs(sum(values) / 40) < 0.02
    assert min(values) < 0
    assert sum(biased) / 40 == pytest.approx(96 / (96 + 32), abs=0.03)


def test_cka_does_not_depend_on_n_where_the_biased_form_does():
    base, tuned = related(2000, 256, 256, noise=0.5)
    few, many = fed(base[:250], tuned[:250]), fed(base, tuned)
    assert cka(base[:250], tuned[:250]) == pytest.approx(cka(base, tuned), abs=0.02)
    assert biased_cka(few.read()) > biased_cka(many.read()) + 0.1
    assert biased_cka(few.read()) == pytest.approx(reference.biased_cka(base[:250], tuned[:250]), abs=1e-10)


def test_shuffled_rows_are_no_longer_alike():
    base, _ = related(1000)
    assert abs(cka(base, base[torch.randperm(1000, generator=torch.Generator().manual_seed(0))])) < 0.05


def test_the_sums_do_not_depend_on_the_batch_size_in_a_single_bit():
    base, tuned = related(1300)
    base, tuned = base.float(), tuned.float().T.contiguous().T
    values = {cka(base, tuned, size) for size in (1, 63, 512, 1300)}
    assert len(values) == 1


def test_shards_with_pivots_far_apart_merge_exactly():
    base, tuned = related(900)
    base[:300] += 500
    tuned[300:600] -= 300
    merged = fed(base[:300], tuned[:300])
    merged.merge(fed(base[300:600], tuned[300:600]))
    merged.merge(fed(base[600:], tuned[600:]))
    result = linear_cka(merged)
    assert isinstance(result, Cka)
    assert result.estimate == pytest.approx(reference.debiased_cka(base, tuned), abs=1e-10)


def test_identical_features_are_exactly_alike_by_proof():
    base, _ = related(700)
    result = linear_cka(fed(base, base.clone()))
    assert result == Cka(estimate=1.0, kind="exact", method="identical", n=700, d_base=32, d_tuned=32)
    assert isinstance(result, Cka)
    assert result.angle_degrees == 0


def test_identical_features_are_alike_also_where_cka_itself_is_undefined():
    for features in (torch.ones(9, 4), torch.rand(2, 4)):
        result = linear_cka(fed(features, features))
        assert isinstance(result, Cka)
        assert (result.estimate, result.kind) == (1.0, "exact")


def test_one_bit_of_one_row_ends_the_proof():
    base, _ = related(700)
    tuned = base.clone()
    tuned[650, 3] = torch.nextafter(tuned[650, 3], torch.tensor(math.inf, dtype=torch.float64))
    result = linear_cka(fed(base, tuned))
    assert isinstance(result, Cka)
    assert result.kind == "diagnostic"
    assert result.method == "debiased-linear"
    assert result.estimate == pytest.approx(1, abs=1e-12)


def test_minus_zero_is_not_zero_bit_for_bit():
    zeros = torch.zeros(8, 3)
    assert fed(zeros, zeros).read().rows.n_identical == 8
    assert fed(zeros, -zeros).read().rows.n_identical == 0


def test_partly_identical_rows_give_the_same_number_as_any_others():
    base, tuned = related(1200)
    tuned[200:900] = base[200:900]
    moments = fed(base, tuned)
    assert moments.read().rows.n_identical == 700
    assert cka(base, tuned) == pytest.approx(reference.debiased_cka(base, tuned), abs=1e-10)


def test_features_that_do_not_vary_are_not_measured():
    base, tuned = related()
    constant = torch.full((600, 5), 1000.1)
    assert reason(constant, tuned) == "the features of base do not vary"
    assert reason(base, constant) == "the features of tuned do not vary"
    assert reason(base, torch.zeros(600, 5)) == "the features of tuned do not vary"


def test_one_row_alone_that_varies_is_not_measured():
    _, tuned = related()
    base = torch.zeros(600, 5)
    base[9] = 7
    assert reason(base, tuned) == "one example outweighs all others in the features of base"


def test_three_examples_are_too_few():
    base, tuned = related(3)
    assert reason(base, tuned) == "CKA needs 4 examples, and there are 3"
    assert linear_cka(PairMoments(4)) == NotMeasured("no examples")


def test_a_nan_is_counted_and_named_never_summed():
    base, tuned = related()
    tuned[5, 0], tuned[6, 1], base[6, 0] = math.nan, math.inf, math.nan
    assert (
        reason(base, tuned) == "features are NaN or infinite for 2 of 600 examples (1 in base and 2 in tuned)"
    )
    assert fed(base, tuned).read().cross.product.isfinite().all()
    tuned[5], tuned[6], base[6] = 0, 0, 0
    assert math.isfinite(cka(base, tuned))


def test_features_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"features \(4, 3\) and \(4, 2\) are not \(\(4, 3\), \(4, 3\)\)"):
        PairMoments(3).update(torch.ones(4, 3), torch.ones(4, 2))
    with pytest.raises(ValueError, match="widths 4, 4 are not 3, 3"):
        PairMoments(3).merge(PairMoments(4))


def test_autocast_and_reduced_float32_precision_do_not_reach_the_sums():
    base, tuned = (features.float() for features in related())
    former = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            careless = cka(base, tuned)
    finally:
        torch.set_float32_matmul_precision(former)
    assert careless == cka(base, tuned)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_the_sums_live_where_the_features_do(device):
    base, tuned = (features.float() for features in related(1300))
    moments = fed(base.to(device), tuned.to(device))
    result = linear_cka(moments)
    assert isinstance(result, Cka)
    assert moments.read().base.product.device.type == device
    assert result.estimate == pytest.approx(cka(base, tuned), abs=1e-12)
