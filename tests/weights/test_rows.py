"""Embeddings of tokens that tuned has with more rows, or fewer: what both have is compared, the rest counts nowhere."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.reference import weights as reference

from forgetaudit.checkpoints.align import align
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.weights.changes import Change, TensorChange
from forgetaudit.weights.distance import measure_weights
from forgetaudit.weights.groups import total
from forgetaudit.weights.pair_sums import CHUNK_ELEMENTS

EMBEDDING, BODY = "embed.weight", "body.weight"


def measured(
    folder: Path, base: torch.Tensor, tuned: torch.Tensor, *by_rows: str, body: torch.Tensor | None = None
) -> tuple[TensorChange, ...]:
    body = torch.ones(20, 20) if body is None else body
    save_file({EMBEDDING: base, BODY: torch.ones(20, 20)}, folder / "base.safetensors")
    save_file({EMBEDDING: tuned, BODY: body}, folder / "tuned.safetensors")
    with (
        open_checkpoint(folder / "base.safetensors") as one,
        open_checkpoint(folder / "tuned.safetensors") as two,
    ):
        return measure_weights(one, two, align(one, two), by_rows=by_rows).tensors


def embeddings(n_base: int, n_tuned: int, width: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(n_base, width, generator=generator)
    more = torch.randn(n_tuned, width, generator=generator)
    n_shared = min(n_base, n_tuned)
    more[:n_shared] = base[:n_shared] + 0.1 * more[:n_shared]
    return base, more


@pytest.mark.parametrize(("n_base", "n_tuned"), [(50, 53), (50, 41), (CHUNK_ELEMENTS // 7 + 9, 20_000)])
def test_the_shared_rows_are_measured_as_the_reference_measures_them(
    n_base: int, n_tuned: int, tmp_path: Path
) -> None:
    base, tuned = embeddings(n_base, n_tuned)
    row = next(row for row in measured(tmp_path, base, tuned, EMBEDDING) if row.name == EMBEDDING)
    n_shared = min(n_base, n_tuned)
    assert (row.change, row.n_shared_rows) == (Change.RESHAPED, n_shared)
    assert row.sums is not None
    assert row.sums.n_elements == 7 * n_shared
    expected = reference.distance(base[:n_shared].double(), tuned[:n_shared].double())
    assert row.sums.distance == pytest.approx(expected, rel=1e-5)
    assert not row.is_unchanged


def test_new_rows_count_in_no_distance_however_large(tmp_path: Path) -> None:
    base, tuned = embeddings(50, 53)
    tuned[50:] = 1e6
    with_rows = measured(tmp_path, base, tuned, EMBEDDING)
    cut = measured(tmp_path, base, tuned[:50].contiguous(), EMBEDDING)
    sums = [{row.name: row.sums for row in rows} for rows in (with_rows, cut)]
    assert sums[0] == sums[1]


def test_the_total_is_that_of_the_shared_rows(tmp_path: Path) -> None:
    base, tuned = embeddings(50, 53)
    body = torch.full((20, 20), 1.5)
    save_file({EMBEDDING: base, BODY: torch.ones(20, 20)}, tmp_path / "a.safetensors")
    save_file({EMBEDDING: tuned, BODY: body}, tmp_path / "b.safetensors")
    with (
        open_checkpoint(tmp_path / "a.safetensors") as one,
        open_checkpoint(tmp_path / "b.safetensors") as two,
    ):
        found = total(measure_weights(one, two, align(one, two), by_rows=[EMBEDDING]))
    apart = (tuned[:50] - base).double().square().sum() + 400 * 0.25
    assert found.distance == pytest.approx(apart.sqrt().item(), rel=1e-5)


def test_rows_that_nothing_says_are_tokens_are_not_compared(tmp_path: Path) -> None:
    """A head of other classes has other rows, too, and row 0 is then another class."""
    base, tuned = embeddings(50, 53)
    row = next(row for row in measured(tmp_path, base, tuned) if row.name == EMBEDDING)
    assert (row.change, row.sums, row.n_shared_rows) == (Change.RESHAPED, None, None)
    assert row.reason == "the shapes differ"


def test_another_width_is_not_compared_even_if_rows_are_tokens(tmp_path: Path) -> None:
    row = next(
        row
        for row in measured(tmp_path, torch.ones(50, 7), torch.ones(53, 8), EMBEDDING)
        if row.name == EMBEDDING
    )
    assert row.sums is None
