"""Marks in real and made weights: decay's fossil, mixed steps, spectra. And where they are not, none is seen."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.fixtures.training import Recipe

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.values import NotMeasured
from forgetaudit.weights.decay_only_rows import DecayOnlyRows, find_decay_only_rows, sum_of_rates
from forgetaudit.weights.spectrum import leading_factors, spectrum_of
from forgetaudit.weights.step_origins import equal_tensors, find_origins

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"


def fossil_in(tmp_path: Path, base: torch.Tensor, tuned: torch.Tensor) -> DecayOnlyRows | NotMeasured:
    for name, value in (("base", base), ("tuned", tuned)):
        save_file({"embed.weight": value.contiguous()}, tmp_path / f"{name}.safetensors")
    with (
        open_checkpoint(tmp_path / "base.safetensors") as one,
        open_checkpoint(tmp_path / "tuned.safetensors") as two,
    ):
        return find_decay_only_rows(one, two, "embed.weight", "embed.weight")


def trained_embedding(n_steps: int, decay: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """An embedding trained by AdamW on half of its tokens: before, after, and Σ of the rates."""
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(100, 16)
    before = embedding.weight.detach().clone()
    optimizer = torch.optim.AdamW(embedding.parameters(), lr=1e-3, weight_decay=decay)
    rates = [1e-3 * (1 + math.cos(math.pi * step / n_steps)) for step in range(n_steps)]
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        embedding(torch.randint(0, 50, (8,))).square().sum().backward()
        optimizer.step()
    return before, embedding.weight.detach().clone(), math.fsum(rates)


def test_the_sum_of_rates_is_read_off_rows_that_no_gradient_reached(tmp_path: Path) -> None:
    before, after, rates = trained_embedding(n_steps=60, decay=0.1)
    found = fossil_in(tmp_path, before, after)
    assert isinstance(found, DecayOnlyRows)
    assert (found.n_rows, found.n_rows_in_all) == (50, 100)
    assert sum_of_rates(found, 0.1) == pytest.approx(rates, rel=1e-3)


def test_without_weight_decay_there_is_no_fossil(tmp_path: Path) -> None:
    before, after, _ = trained_embedding(n_steps=60, decay=0.0)
    assert isinstance(fossil_in(tmp_path, before, after), NotMeasured)


def test_noise_and_rows_of_different_factors_are_no_fossil(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = torch.randn(64, 16)
    assert isinstance(fossil_in(tmp_path, base, base + 1e-3 * torch.randn(64, 16)), NotMeasured)
    factors = torch.linspace(0.9, 0.99, 64)[:, None]
    assert fossil_in(tmp_path, base, base * factors) == NotMeasured("rows were shrunk by different factors")


@pytest.mark.parametrize(
    ("family", "tensor", "recipe"),
    [
        ("llama", "model.embed_tokens.weight", Recipe(learning_rate=1e-3, steps=150, seed=26)),
        ("bert", "bert.embeddings.word_embeddings.weight", Recipe(learning_rate=1.5e-3, steps=250, seed=11)),
    ],
)
def test_a_real_run_s_rates_add_up_to_what_its_fossil_says(family: str, tensor: str, recipe: Recipe) -> None:
    with (
        open_checkpoint(FIXTURES / family / "base") as base,
        open_checkpoint(FIXTURES / family / "tuned") as tuned,
    ):
        found = find_decay_only_rows(base, tuned, tensor, tensor)
    rates = math.fsum(recipe.rate(step) for step in range(1, recipe.steps + 1))
    assert isinstance(found, DecayOnlyRows)
    assert sum_of_rates(found, recipe.weight_decay) == pytest.approx(rates, rel=1e-3)


def steps_of(tensors: dict[str, torch.Tensor], tmp_path: Path) -> dict[str, frozenset[str]]:
    save_file(tensors, tmp_path / "model.safetensors")
    found = {}
    with open_checkpoint(tmp_path / "model.safetensors") as model:
        for step in (20, 40, 60):
            with open_checkpoint(ROOT / "sample_data" / "run" / f"checkpoint-{step}") as other:
                found[f"checkpoint-{step}"] = equal_tensors(model, other)
    return found


def step(n: int) -> dict[str, torch.Tensor]:
    return load_file(ROOT / "sample_data" / "run" / f"checkpoint-{n}" / "model.safetensors")


def test_a_step_is_known_as_itself(tmp_path: Path) -> None:
    found = find_origins(step(40), steps_of(step(40), tmp_path))
    assert (found.is_step, found.mixed, found.n_unexplained) == ("checkpoint-40", (), 0)


def test_tensors_of_two_steps_in_one_file_are_seen(tmp_path: Path) -> None:
    early, late = step(20), step(60)
    both = {name: (early if name.startswith(("stem", "block1")) else late)[name] for name in early}
    found = find_origins(both, steps_of(both, tmp_path))
    assert found.is_step is None
    assert found.mixed == ("checkpoint-20", "checkpoint-60")
    assert sum(found.n_equal[name] for name in found.mixed) == found.n_telling
    assert found.n_unexplained == 0


def test_a_checkpoint_of_another_step_is_no_mixture(tmp_path: Path) -> None:
    found = find_origins(step(80), steps_of(step(80), tmp_path))
    assert (found.is_step, found.mixed) == (None, ())
    assert found.n_unexplained == found.n_telling > 0


def matrix(n_rows: int, n_columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


def test_ranks_of_a_change_of_equal_directions_are_their_number() -> None:
    q, _ = np.linalg.qr(matrix(60, 5, 0))
    p, _ = np.linalg.qr(matrix(40, 5, 1))
    found = spectrum_of("x", matrix(60, 40, 2), q @ p.T)
    assert found.stable_rank == pytest.approx(5)
    assert found.effective_rank == pytest.approx(5)
    assert found.error == 0


def test_a_change_within_base_s_directions_has_its_energy_there_and_no_intruders() -> None:
    base = matrix(60, 40, 0)
    u, s, vt = np.linalg.svd(base, full_matrices=False)
    found = spectrum_of("x", base, 0.3 * (u[:, :5] * s[:5]) @ vt[:5])
    assert found.base_energy == pytest.approx(1)
    assert (found.n_intruders, found.n_undecided) == (0, 0)


@pytest.mark.parametrize("exact_side", [1024, 100], ids=["exact", "randomised"])
def test_a_strong_new_direction_is_an_intruder(exact_side: int) -> None:
    base = matrix(300, 250, 0)
    u, _, vt = np.linalg.svd(base, full_matrices=False)
    # Spread evenly over all of base's directions, so near none of them.
    left, right = u.sum(axis=1) / math.sqrt(250), vt.sum(axis=0) / math.sqrt(250)
    found = spectrum_of("x", base, 200.0 * np.outer(left, right), exact_side=exact_side)
    assert found.n_intruders + found.n_undecided == 1
    assert found.stable_rank == pytest.approx(1, rel=1e-6)
    assert found.n_intruders == (1 if exact_side == 1024 else 0)


def test_the_randomised_decomposition_finds_the_leading_directions_within_its_error() -> None:
    decaying = (matrix(300, 200, 0) * 0.97 ** np.arange(200)) @ np.linalg.qr(matrix(200, 200, 1))[0]
    exact = np.linalg.svd(decaying, compute_uv=False)
    found = leading_factors(decaying, 40, exact_side=0)
    assert found.values[:10] == pytest.approx(exact[:10], rel=1e-3)
    norm = np.linalg.norm(decaying)
    assert 0 < found.error < 0.3
    assert np.all(exact[:40] ** 2 <= found.values**2 + (found.error * norm) ** 2 + 1e-9)
    assert np.all(found.values <= exact[:40] + 1e-9)
