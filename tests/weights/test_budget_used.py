"""How much of the bound was used: exact, weight by weight, and no honest run is accused, however it rounds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from forgetaudit.budget.bounds import TravelBound, adam_factors, travel
from forgetaudit.checkpoints.align import align
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.weights.budget_used import (
    BudgetUsed,
    Rounding,
    coordinate_share,
    fewer_bits,
    norm_share,
    rounding,
)
from forgetaudit.weights.distance import measure_weights

RATES = [1e-3] * 400


def used(
    tmp_path: Path,
    base: torch.Tensor,
    tuned: torch.Tensor,
    bound: TravelBound,
    declared: str | None = None,
    n_steps: int = 400,
) -> BudgetUsed:
    for name, tensor in (("base", base), ("tuned", tuned)):
        save_file({"w": tensor.contiguous()}, tmp_path / f"{name}.safetensors")
    with (
        open_checkpoint(tmp_path / "base.safetensors") as a,
        open_checkpoint(tmp_path / "tuned.safetensors") as b,
    ):
        (row,) = measure_weights(a, b, align(a, b)).tensors
        return coordinate_share(row, a, b, bound, rounding(row, declared, n_steps))


def pure(dtype: torch.dtype, start: torch.Tensor, *, one_way: bool) -> torch.Tensor:
    """Trained with weights and averages of `dtype`, as a model cast before training is."""
    draw = torch.Generator().manual_seed(5)
    weights = torch.nn.Parameter(start.to(dtype))
    optimizer = torch.optim.AdamW([weights], lr=1e-3, weight_decay=0.01, foreach=False)
    first = torch.randn(start.shape, generator=draw)
    for _ in RATES:
        noise = torch.randn(start.shape, generator=draw)
        weights.grad = (first + (0.0 if one_way else 2.0) * noise).to(dtype)
        optimizer.step()
    return weights.detach()


def test_the_share_is_the_largest_of_any_weight_by_its_own_bound(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base, delta = 3 * torch.randn(70, 50), 0.1 * torch.randn(70, 50)
    bound = TravelBound(reach=0.3, decay=0.2)
    found = used(tmp_path, base, base + delta, bound)
    tuned = (base + delta).double()
    expected = ((tuned - base.double()).abs() / (0.3 + 0.2 * base.double().abs())).max()
    assert found.share == pytest.approx(float(expected), rel=1e-12)


def test_without_decay_one_number_a_tensor_is_enough(tmp_path: Path) -> None:
    base = torch.zeros(4)
    found = used(tmp_path, base, torch.tensor([0.0, 0.1, -0.25, 0.0]), TravelBound(reach=0.5, decay=0.0))
    assert found == BudgetUsed(share=0.5, refuted=False)
    assert used(tmp_path, base, base, TravelBound(reach=0.0, decay=0.0)) == BudgetUsed(
        share=0.0, refuted=False
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("one_way", [True, False])
def test_an_honest_run_is_never_accused_whatever_it_is_kept_in(
    dtype: torch.dtype, one_way: bool, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    start = torch.randn(40, 30).to(dtype)
    bound = travel(RATES, adam_factors(0.9, 0.999), 0.01)
    for declared in (None, str(dtype).removeprefix("torch.")):
        assert not used(tmp_path, start, pure(dtype, start, one_way=one_way), bound, declared).refuted


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_casting_to_save_is_no_travel(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(2)
    base = torch.randn(300)
    assert not used(tmp_path, base, base.to(dtype), TravelBound(reach=1e-9, decay=0.0), "float32", 1).refuted


def test_going_half_a_percent_too_far_in_float32_is_refuted(tmp_path: Path) -> None:
    base = torch.full((8,), 0.5)
    bound = travel(RATES, adam_factors(0.9, 0.999))
    assert not used(tmp_path, base, base + bound.reach, bound).refuted
    found = used(tmp_path, base, base + 1.005 * bound.reach, bound)
    assert found.refuted
    assert found.share == pytest.approx(1.005, rel=1e-4)


def test_in_bfloat16_only_what_no_rounding_explains_is_refuted(tmp_path: Path) -> None:
    base = torch.full((8,), 0.5, dtype=torch.bfloat16)
    bound = TravelBound(reach=0.01, decay=0.0)
    doubled, far = base + 0.02, base + 4
    assert used(tmp_path, base, doubled, bound).share > 1
    assert not used(tmp_path, base, doubled, bound).refuted
    assert used(tmp_path, base, doubled, bound, "float32", 10).refuted
    assert used(tmp_path, base, far, bound, None, 10).refuted


def test_a_norm_beyond_its_bound_is_refuted() -> None:
    rounded = Rounding(written="float32", saved="float32", n_steps=10)
    assert norm_share(0.5, 1.0, 1.0, rounded, 10) == BudgetUsed(share=0.5, refuted=False)
    assert norm_share(1.01, 1.0, 1.0, rounded, 10).refuted
    assert norm_share(0.0, 1.0, 0.0, rounded, 10) == BudgetUsed(share=0.0, refuted=False)


@pytest.mark.parametrize(("dtype", "name"), [(torch.bfloat16, "bfloat16"), (torch.float16, "float16")])
def test_16_bit_training_that_was_saved_as_float32_is_seen_from_the_values(
    dtype: torch.dtype, name: str, tmp_path: Path
) -> None:
    torch.manual_seed(4)
    start = torch.randn(40, 30).to(dtype)
    bound = travel(RATES, adam_factors(0.9, 0.999), 0.01)
    tuned = pure(dtype, start, one_way=True).float()
    assert not used(tmp_path, start.float(), tuned, bound).refuted
    with (
        open_checkpoint(tmp_path / "base.safetensors") as a,
        open_checkpoint(tmp_path / "tuned.safetensors") as b,
    ):
        (row,) = measure_weights(a, b, align(a, b)).tensors
        assert fewer_bits(row, b) == name
    save_file({"w": tuned + 1e-6 * torch.randn_like(tuned)}, tmp_path / "other.safetensors")
    with open_checkpoint(tmp_path / "other.safetensors") as b:
        assert fewer_bits(row, b) is None


def test_each_step_rounds_what_the_steps_before_have_rounded() -> None:
    """A weight that every step rounds up by half an ulp grows like (1 + u)ᵀ, and the slack covers it."""
    rounded = Rounding(written="bfloat16", saved="float32", n_steps=400)
    grown = (1 + 2.0**-8) ** 400 - 1
    assert float(rounded.slack(np.asarray(1.0), np.asarray(0.0))) >= grown
