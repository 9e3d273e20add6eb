"""A repair's mixture against mergekit's `linear`, tensor by tensor, both run on the same two checkpoints.

    pip install --no-deps --target DIRECTORY mergekit immutables
    PYTHONPATH=DIRECTORY python benchmarks/check_mergekit.py

Base and tuned are the llama of the test fixtures. mergekit merges them in full, by its own configuration into its own
files; ours is what `forgetaudit repair` would write. mergekit adds up in float32, ours is rounded once from float64: so
an element differs by no more than float32's rounding of the larger of the two that it is mixed from. Ends with 1 where
one differs by more.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.models.torchvision_repair import import_torchvision
from forgetaudit.remedies.families import mixtures
from forgetaudit.remedies.writing import Sources, repaired_values, write_repaired

PAIR = Path(__file__).parents[1] / "tests" / "fixtures" / "llama"


def main() -> None:
    """A line for each α."""
    import_torchvision()
    worst, n_alphas = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        base, tuned = (_plain(PAIR / name, Path(folder) / name) for name in ("base", "tuned"))
        for remedy in mixtures(_names(tuned)):
            alpha = float(remedy.name.split()[-1])
            ours, theirs = Path(folder) / f"ours-{alpha}", Path(folder) / f"theirs-{alpha}"
            with open_checkpoint(base) as one, open_checkpoint(tuned) as other:
                names = {name: name for name in other.tensors}
                sources = Sources(base=one, tuned=other, base_names=names, slots=names)
                write_repaired(other, ours, repaired_values(sources, remedy), folder=tuned)
            _merge(base, tuned, alpha, theirs)
            n_differing, furthest = _apart(*(_tensors(one) for one in (ours, theirs, base, tuned)))
            n_elements = sum(tensor.numel() for tensor in _tensors(theirs).values())
            print(
                f"α {alpha:g}: {n_differing:,} of {n_elements:,} elements differ, by {furthest:.2f} ulp at most"
            )
            worst, n_alphas = max(worst, furthest), n_alphas + 1
    print(f"{n_alphas} mixtures; at most {worst:.2f} units in the last place apart")
    raise SystemExit(worst > 1)


def _plain(source: Path, target: Path) -> Path:
    """A copy whose weights are float32, so that neither side rounds further."""
    target.mkdir()
    for path in source.iterdir():
        if path.suffix == ".json":
            (target / path.name).write_bytes(path.read_bytes())
    tensors = {name: tensor.float() for name, tensor in load_file(source / "model.safetensors").items()}
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _names(folder: Path) -> list[str]:
    return list(_tensors(folder))


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: one for path in sorted(folder.glob("*.safetensors")) for name, one in load_file(path).items()
    }


def _merge(base: Path, tuned: Path, alpha: float, out: Path) -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.merge import MergeOptions, run_merge

    config = {
        "merge_method": "linear",
        "dtype": "float32",
        "models": [
            {"model": str(base), "parameters": {"weight": 1 - alpha}},
            {"model": str(tuned), "parameters": {"weight": alpha}},
        ],
    }
    run_merge(MergeConfiguration.model_validate(config), str(out), MergeOptions(copy_tokenizer=False))


def _apart(
    ours: dict[str, torch.Tensor],
    theirs: dict[str, torch.Tensor],
    base: dict[str, torch.Tensor],
    tuned: dict[str, torch.Tensor],
) -> tuple[int, float]:
    """How many elements differ, and by how many units in the last place of the larger of base's and tuned's at most.

    mergekit knows no biases of a llama.
    """
    lacking = [name for name in ours.keys() - theirs.keys() if not name.endswith(".bias")]
    if lacking or theirs.keys() - ours.keys():
        raise SystemExit(f"other tensors: {sorted(lacking)}, {sorted(theirs.keys() - ours.keys())}")
    n_differing, furthest = 0, 0.0
    for name, tensor in theirs.items():
        apart = (ours[name].double() - tensor.double()).abs()
        unit = torch.maximum(base[name].abs(), tuned[name].abs()).double() * 2.0**-23
        n_differing += int(apart.count_nonzero())
        furthest = max(furthest, float((apart / unit.clamp(min=1e-45)).max()))
    return n_differing, furthest


if __name__ == "__main__":
    main()
