"""Tensors under other names are recognised by what is in them, and none is guessed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from forgetaudit.checkpoints.align import NameAlignment
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError
from forgetaudit.weights.align_by_content import align_by_content

VIT = Path(__file__).parents[1] / "fixtures" / "vit"


def aligned(base: Path, tuned: Path) -> NameAlignment:
    with open_checkpoint(base) as one, open_checkpoint(tuned) as two:
        return align_by_content(one, two)


def saved(folder: Path, name: str, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


def test_a_real_network_s_two_spellings_are_one(tmp_path: Path) -> None:
    """In memory, transformers 5 has other names than on disk; the right pairs are those of equal bytes."""
    found = aligned(VIT / "base", VIT / "tuned-state.pt")
    on_disk = load_file(VIT / "tuned" / "model.safetensors")
    in_memory = torch.load(VIT / "tuned-state.pt", weights_only=True)
    assert len(found.pairs) == len(on_disk)
    assert all(torch.equal(on_disk[one], in_memory[two]) for one, two in found.pairs)
    assert any("renamed" in step for step in found.steps)


@pytest.fixture
def network() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {f"layers.{n}.{part}": torch.randn(20, 20) for n in range(6) for part in ("q", "k", "v")}


def test_shuffled_and_renamed_tensors_find_their_own(
    tmp_path: Path, network: dict[str, torch.Tensor]
) -> None:
    renamed = {f"x{number}": name for number, name in enumerate(sorted(network, reverse=True))}
    tuned = {new: network[old] + 0.1 * torch.randn(20, 20) for new, old in renamed.items()}
    found = aligned(saved(tmp_path, "base", network), saved(tmp_path, "tuned", tuned))
    assert dict(found.pairs) == {old: new for new, old in renamed.items()}


def test_equal_names_are_never_overruled(tmp_path: Path, network: dict[str, torch.Tensor]) -> None:
    swapped = network | {"layers.0.q": network["layers.0.k"], "layers.0.k": network["layers.0.q"]}
    found = aligned(saved(tmp_path, "base", network), saved(tmp_path, "tuned", swapped))
    assert dict(found.pairs) == {name: name for name in network}


def test_two_of_the_same_content_are_not_told_apart(tmp_path: Path, network: dict[str, torch.Tensor]) -> None:
    base = network | {"norm.a": torch.ones(20), "norm.b": torch.ones(20)}
    tuned = network | {"other.a": torch.ones(20), "other.b": torch.ones(20)}
    found = aligned(saved(tmp_path, "base", base), saved(tmp_path, "tuned", tuned))
    assert set(found.only_left) == {"norm.a", "norm.b"}


def test_unrelated_networks_of_one_shape_are_refused(
    tmp_path: Path, network: dict[str, torch.Tensor]
) -> None:
    other = {f"y{number}": torch.randn(20, 20) for number in range(len(network))}
    with pytest.raises(MismatchError, match="not versions of one network"):
        aligned(saved(tmp_path, "base", network), saved(tmp_path, "tuned", other))
