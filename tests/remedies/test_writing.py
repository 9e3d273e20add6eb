"""A remedy as files: the form of tuned to the byte, other values, and what lies beside."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.remedies.writing import Sources, refuse_unwritable, repaired_values, write_repaired

STRENGTHS = {"a.weight": 0.25, "b.weight": 0.0, "b.count": 0.25}


def tensors(shift: float) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "b.weight": torch.randn(4, 3, generator=generator) + shift,
        "a.weight": (torch.randn(3, 5, generator=generator) + shift).bfloat16(),
        "b.bias": torch.randn(4, generator=generator) + shift,
        "b.count": torch.tensor(int(10 + shift)),
        "empty": torch.zeros(0, 3),
    }


def written(base: Path, tuned: Path, target: Path, *, folder: Path | None = None, **strengths: float) -> None:
    with open_checkpoint(base) as ours, open_checkpoint(tuned) as theirs:
        names = {name: name for name in theirs.tensors}
        sources = Sources(base=ours, tuned=theirs, base_names=names, slots=names)
        one = Remedy(name="one", family="rollback", strengths=strengths or STRENGTHS)
        refuse_unwritable(sources)
        write_repaired(theirs, target, repaired_values(sources, one), folder=folder)


def expected() -> dict[str, torch.Tensor]:
    base, tuned = tensors(0), tensors(1)
    mixture = 0.75 * base["a.weight"].double() + 0.25 * tuned["a.weight"].double()
    return tuned | {"a.weight": mixture.bfloat16(), "b.weight": base["b.weight"]}


def same(found: dict[str, Any], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].dtype is wanted[name].dtype and torch.equal(found[name], wanted[name]) for name in wanted
    )


def test_a_safetensors_file_keeps_its_header_to_the_byte(tmp_path: Path) -> None:
    base, tuned, out = (tmp_path / f"{name}.safetensors" for name in ("base", "tuned", "out"))
    save_file(tensors(0), base)
    save_file(tensors(1), tuned, metadata={"format": "pt", "note": "mine"})
    written(base, tuned, out)
    assert same(load_file(out), expected())
    length = int.from_bytes(tuned.read_bytes()[:8], "little") + 8
    assert out.read_bytes()[:length] == tuned.read_bytes()[:length]


def test_strength_one_everywhere_is_tuned_byte_for_byte(tmp_path: Path) -> None:
    base, tuned, out = (tmp_path / f"{name}.safetensors" for name in ("base", "tuned", "out"))
    save_file(tensors(0), base)
    save_file(tensors(1), tuned)
    written(base, tuned, out, **{"a.weight": 1.0})
    assert out.read_bytes() == tuned.read_bytes()


def test_a_torch_file_keeps_what_lies_around_the_weights_and_what_is_tied(tmp_path: Path) -> None:
    base, tuned, out = (tmp_path / f"{name}.pt" for name in ("base", "tuned", "out"))
    states = [tensors(shift) for shift in (0, 1)]
    for state in states:
        state["a.twin"] = state["a.weight"]
    torch.save({"state_dict": states[0], "epoch": 3}, base)
    torch.save({"state_dict": states[1], "epoch": 7}, tuned)
    strengths = STRENGTHS | {"a.twin": 0.25}
    written(base, tuned, out, **strengths)
    found = torch.load(out, weights_only=True)
    assert found["epoch"] == 7
    state = found["state_dict"]
    assert state["a.twin"].data_ptr() == state["a.weight"].data_ptr()
    assert same(state, expected() | {"a.twin": expected()["a.weight"]})


def sharded(folder: Path, shift: float) -> Path:
    folder.mkdir()
    found = tensors(shift)
    weight_map = {}
    for number, names in enumerate((["b.weight", "empty"], ["a.weight", "b.bias", "b.count"]), start=1):
        shard = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: found[name] for name in names}, folder / shard, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, shard)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_are_cut_as_tuneds_are_and_what_lies_beside_comes_along(tmp_path: Path) -> None:
    base, tuned, out = sharded(tmp_path / "base", 0), sharded(tmp_path / "tuned", 1), tmp_path / "out"
    (tuned / "1_Pooling").mkdir()
    for name in ("config.json", "1_Pooling/config.json", "tokenizer.json", "README.md"):
        (tuned / name).write_text(name)
    # The state of a training, other weights, and earlier steps are not what the repaired weights are.
    for name in ("optimizer.pt", "trainer_state.json", "rng_state.pth", "pytorch_model.bin"):
        (tuned / name).write_text("x")
    (tuned / "checkpoint-5").mkdir()
    (tuned / "checkpoint-5" / "config.json").write_text("x")
    written(base, tuned, out, folder=tuned)
    shards = sorted(out.glob("*.safetensors"))
    assert [set(load_file(shard)) for shard in shards] == [
        set(load_file(tuned / shard.name)) for shard in shards
    ]
    assert same(load_file(shards[0]) | load_file(shards[1]), expected())
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.json")) == [
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    assert (out / "README.md").read_text() == "README.md"
    assert not (out / "checkpoint-5").exists()
    assert not list(out.glob("*.p*"))


def test_a_link_beside_the_weights_becomes_the_file_it_stands_for(tmp_path: Path) -> None:
    base, tuned, out = sharded(tmp_path / "base", 0), sharded(tmp_path / "tuned", 1), tmp_path / "out"
    (tmp_path / "blob").write_text("{}")
    (tuned / "config.json").symlink_to(tmp_path / "blob")
    written(base, tuned, out, folder=tuned)
    assert not (out / "config.json").is_symlink()
    assert (out / "config.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"a.qzeros": torch.zeros(2, 2, dtype=torch.int32)}, r"\(GPTQ or AWQ\).*"),
        ({"packed": torch.zeros(2, 2, dtype=torch.int8)}, ""),
        ({"eight": torch.zeros(2, 2).to(torch.float8_e4m3fn)}, ""),
    ],
)
def test_quantised_weights_are_refused_by_name(tmp_path: Path, odd: dict[str, Any], said: str) -> None:
    base, tuned = tmp_path / "base.safetensors", tmp_path / "tuned.safetensors"
    save_file(tensors(0), base)
    save_file(tensors(1) | odd, tuned)
    with pytest.raises(MismatchError, match=f"tuned holds quantised weights.*{said}cannot be mixed") as told:
        written(base, tuned, tmp_path / "out.safetensors")
    assert next(iter(odd)) in str(told.value)
    assert not (tmp_path / "out.safetensors").exists()
