import json
import os
import pathlib

import pytest
import torch
from safetensors.torch import save_file
from tests.checkpoints.hand_made import whole

from forgetaudit.checkpoints import sharded
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.sharded import ShardedCheckpoint
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint
from forgetaudit.gaps import gaps_in


def index(folder, weight_map, metadata=None):
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": metadata or {}, "weight_map": weight_map}))
    return path


def three_shards(folder):
    weight_map = {}
    for i in range(3):
        save_file({f"layers.{i}.weight": torch.full((4,), float(i))}, folder / f"shard-{i}.safetensors")
        weight_map[f"layers.{i}.weight"] = f"shard-{i}.safetensors"
    return index(folder, weight_map, {"total_size": 48, "made by": "a test"})


def test_shards_read_as_one_checkpoint(tmp_path):
    path = three_shards(tmp_path)
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.format == "safetensors in 3 shards"
        assert list(checkpoint.tensors) == ["layers.0.weight", "layers.1.weight", "layers.2.weight"]
        assert [file.name for file in checkpoint.files] == [
            path.name,
            *(f"shard-{i}.safetensors" for i in range(3)),
        ]
        assert checkpoint.metadata == {"made by": "a test"}
        assert whole(checkpoint, "layers.2.weight") == torch.full((4,), 2.0).numpy().tobytes()
        assert whole(checkpoint, "layers.0.weight") == torch.full((4,), 0.0).numpy().tobytes()


def n_open_files():
    return sum(1 for _ in pathlib.Path("/proc/self/fd").iterdir())


def test_few_shards_stay_open_and_the_others_are_opened_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sharded, "_MAX_OPEN", 1)
    n_before = n_open_files()
    with ShardedCheckpoint(three_shards(tmp_path)) as checkpoint:
        assert n_open_files() == n_before + 1
        for name in ("layers.1.weight", "layers.0.weight", "layers.2.weight", "layers.1.weight"):
            assert whole(checkpoint, name) == torch.full((4,), float(name[7])).numpy().tobytes()
    assert n_open_files() == n_before


def test_a_shard_that_was_exchanged_meanwhile_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sharded, "_MAX_OPEN", 1)
    with ShardedCheckpoint(three_shards(tmp_path)) as checkpoint:
        save_file({"layers.0.weight": torch.zeros(8)}, tmp_path / "shard-0.safetensors")
        with pytest.raises(
            UnreadableCheckpoint, match=r"shard-0.safetensors changed while it was being read"
        ):
            whole(checkpoint, "layers.0.weight")


def test_torch_shards_read_too(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "pytorch_model-1.bin")
    torch.save({"b": torch.zeros(3)}, tmp_path / "pytorch_model-2.bin")
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}))
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.format == "torch file in 2 shards"
        assert whole(checkpoint, "a") == torch.ones(3).numpy().tobytes()


@pytest.mark.parametrize(
    "shard",
    [
        "../a.safetensors",
        "/a.safetensors",
        "x/a.safetensors",
        "..\\a.safetensors",
        "C:a.safetensors",
        "..",
        "a\0b.safetensors",
        "\\\\host\\share\\a.safetensors",
        "./a.safetensors/",
        "x/../../a.safetensors",
        "~/a.safetensors",
    ],
)
def test_a_shard_outside_the_folder_is_refused_before_any_file_is_touched(tmp_path, shard):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(UnsafeCheckpoint) as refusal:
        ShardedCheckpoint(index(folder, {"a": shard}))
    assert "names a shard outside its folder" in refusal.value.fact
    assert refusal.value.hint


def test_a_shard_that_is_no_weight_file_is_refused(tmp_path):
    with pytest.raises(UnsafeCheckpoint, match=r"names a shard that is no weight file: 'passwords.txt'"):
        ShardedCheckpoint(index(tmp_path, {"a": "passwords.txt"}))


def test_a_shard_that_is_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(UnreadableCheckpoint, match="is a named pipe, not a file"):
        ShardedCheckpoint(index(tmp_path, {"a": "a.safetensors"}))


def test_a_link_to_a_blob_elsewhere_is_followed_as_in_the_hub_cache(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "blobs" / "0f1e")
    (tmp_path / "snapshot" / "a.safetensors").symlink_to("../blobs/0f1e")
    with ShardedCheckpoint(index(tmp_path / "snapshot", {"a": "a.safetensors"})) as checkpoint:
        assert whole(checkpoint, "a") == torch.ones(2).numpy().tobytes()


def test_missing_shards_are_counted_and_named(tmp_path):
    path = three_shards(tmp_path)
    (tmp_path / "shard-1.safetensors").unlink()
    with pytest.raises(UnreadableCheckpoint) as refusal:
        ShardedCheckpoint(path)
    assert "names 3 shards, 1 of which are not there" in refusal.value.fact
    assert refusal.value.details == ("missing (1): shard-1.safetensors",)


def test_a_name_that_its_shard_does_not_hold_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(UnreadableCheckpoint) as refusal:
        ShardedCheckpoint(index(tmp_path, {"a": "a.safetensors", "b": "a.safetensors"}))
    assert "names tensors that are not in a.safetensors" in refusal.value.fact
    assert refusal.value.details == ("missing (1): b",)


def test_a_tensor_the_index_does_not_name_is_left_out_and_said(tmp_path):
    save_file({"a": torch.zeros(2), "stale": torch.zeros(2)}, tmp_path / "a.safetensors")
    with ShardedCheckpoint(index(tmp_path, {"a": "a.safetensors"})) as checkpoint:
        assert list(checkpoint.tensors) == ["a"]
        (gap,) = gaps_in(checkpoint.notes)
        assert (gap.holds, gap.evidence) == ("everything", {"not_read": ["stale"]})


def test_a_shard_that_was_never_fetched_says_so(tmp_path):
    (tmp_path / "a.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    with pytest.raises(UnreadableCheckpoint, match="is a git-lfs pointer"):
        ShardedCheckpoint(index(tmp_path, {"a": "a.safetensors"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "names 'a' twice"),
        ('{"weight_map": {"a": 3}}', "names a shard that is not text: 3"),
        ('{"weight_map": {"a": ""}}', "names a shard that is not text: ''"),
        ('{"weight_map": []}', "is JSON without a weight_map"),
        ('{"architectures": ["Bert"], "model_type": "bert"}', "is JSON without a weight_map"),
        ('{"weight_map"', "its text is not a JSON object"),
    ],
)
def test_a_wrong_index_is_refused_with_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(path)
    assert message in refusal.value.fact
    assert refusal.value.hint


def test_an_index_of_many_megabytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sharded, "MAX_HEADER_BYTES", 10)
    with pytest.raises(UnreadableCheckpoint, match="is no shard index: it has"):
        ShardedCheckpoint(three_shards(tmp_path))
