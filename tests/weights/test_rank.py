"""The rank of what was added to a matrix, above the rounding that saving it added: recovered where it can be, else said."""

import numpy as np
import pytest
import torch

from forgetaudit.weights.rank import ChangeRank, rank_above_rounding, rounding_spread


def merged(
    relative: float, dtype: torch.dtype, seed: int = 0, shape: tuple[int, int] = (256, 256), rank: int = 8
) -> ChangeRank:
    """A rank-8 change of that relative norm, merged into weights of `dtype` and saved in it."""
    torch.manual_seed(seed)
    base = (torch.randn(shape) * 0.02).to(dtype)
    product = torch.randn(shape[0], rank) @ torch.randn(rank, shape[1])
    tuned = (base.float() + product * (relative * base.float().norm() / product.norm())).to(dtype)
    return rank_above_rounding(base.double().numpy(), tuned.double().numpy(), str(dtype)[6:])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("dtype", "relative"),
    [
        *[(torch.float32, relative) for relative in (1e-1, 1e-2, 1e-3, 1e-5)],
        *[(torch.bfloat16, relative) for relative in (1e-1, 1e-2, 3e-3)],
        *[(torch.float16, relative) for relative in (1e-1, 1e-2, 1e-3)],
    ],
)
def test_rank_eight_is_recovered_from_a_merge(dtype: torch.dtype, relative: float, seed: int) -> None:
    found = merged(relative, dtype, seed)
    assert (found.rank, found.at_least, found.is_low) == (8, False, True)


def test_numerical_rank_would_have_said_full() -> None:
    torch.manual_seed(0)
    base = torch.randn(256, 256)
    tuned = base + 1e-3 * torch.randn(256, 8) @ torch.randn(8, 256)
    assert np.linalg.matrix_rank((tuned.double() - base.double()).numpy()) > 200


@pytest.mark.parametrize("shape", [(256, 256), (512, 512)])
@pytest.mark.parametrize("relative", [1e-3, 3e-4, 1e-4])
def test_below_the_rounding_of_bfloat16_it_is_an_honest_at_least(
    relative: float, shape: tuple[int, int]
) -> None:
    found = merged(relative, torch.bfloat16, shape=shape)
    assert found.rank <= 8
    assert found.at_least


@pytest.mark.parametrize(
    ("dtype", "relative"), [(torch.float32, 1e-2), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)]
)
def test_a_change_in_every_direction_is_not_of_low_rank(dtype: torch.dtype, relative: float) -> None:
    torch.manual_seed(0)
    base = torch.randn(256, 256).to(dtype)
    tuned = (base.float() + relative * torch.randn(256, 256)).to(dtype)
    assert not rank_above_rounding(base.double().numpy(), tuned.double().numpy(), str(dtype)[6:]).is_low


def test_a_cast_alone_is_nothing_but_rounding() -> None:
    torch.manual_seed(0)
    base = torch.randn(256, 256)
    found = rank_above_rounding(base.double().numpy(), base.bfloat16().double().numpy(), "bfloat16")
    assert found.rank == 0
    assert not found.is_low


def test_a_few_moved_rows_are_no_low_rank_update() -> None:
    """An embedding of which a few tokens were trained has a difference of low rank for quite another reason."""
    base = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32).astype(np.float64)
    tuned = base.copy()
    tuned[:6] += np.random.default_rng(1).normal(size=(6, 64)).astype(np.float32)
    tuned = tuned.astype(np.float32).astype(np.float64)
    found = rank_above_rounding(base, tuned, "float32")
    assert found.rank == 6
    assert not found.is_low


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_spread_of_rounding_is_what_rounding_shows(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    exact = torch.rand(200_000, dtype=torch.float64) + 1
    rounded = exact.float().to(dtype).double() if dtype != torch.float32 else exact.float().double()
    spread = rounding_spread(exact.numpy(), str(dtype)[6:])
    assert float((rounded - exact).std()) == pytest.approx(float(spread.mean()), rel=0.02)
    assert rounding_spread(np.zeros((1, 1)), "float32") == 0
