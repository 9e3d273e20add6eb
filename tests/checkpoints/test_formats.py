import gzip
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.checkpoints.hand_made import entry, whole, write

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import UnreadableCheckpoint


def refusal_of(path):
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(path)
    assert str(path) in refusal.value.fact
    assert refusal.value.hint
    return refusal.value


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 133\n"
NOT_WEIGHTS = {
    "empty": (b"", "is empty (0 bytes)"),
    "git-lfs pointer": (LFS, f"is a git-lfs pointer ({len(LFS)} bytes), not weights"),
    "HTML page": (b"\n<!DOCTYPE html><html>404</html>", "is an HTML page, perhaps of an error"),
    "XML error": (b'<?xml version="1.0"?><Error/>', "is an HTML page, perhaps of an error"),
    "GGUF": (b"GGUF\x03\0\0\0" + b"\0" * 99, "is a GGUF file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "is an HDF5 file (Keras)"),
    "NumPy": (b"\x93NUMPY\x01\0" + b"\0" * 99, "is a NumPy array"),
    "gzip": (gzip.compress(b"hello"), "is a compressed file"),
    "tar": (b"\0" * 257 + b"ustar" + b"\0" * 250, "is a tar archive"),
    "text": ("a few words, naïve ones\n".encode(), "is a text file, not weights"),
    "noise": (b"\x01\x02\x03\x04" * 100, "is no kind of checkpoint known here"),
}


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".dat"])
@pytest.mark.parametrize(("content", "message"), NOT_WEIGHTS.values(), ids=NOT_WEIGHTS.keys())
def test_what_is_no_checkpoint_is_named(tmp_path, content, message, suffix):
    (tmp_path / f"model{suffix}").write_bytes(content)
    assert message in refusal_of(tmp_path / f"model{suffix}").fact


@pytest.mark.parametrize("kind", ["empty", "git-lfs pointer", "HTML page", "GGUF"])
def test_what_is_no_checkpoint_is_named_also_under_a_safetensors_name(tmp_path, kind):
    content, message = NOT_WEIGHTS[kind]
    (tmp_path / "model.safetensors").write_bytes(content)
    assert message in refusal_of(tmp_path / "model.safetensors").fact


def test_the_lfs_hint_is_the_command(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(LFS)
    assert refusal_of(tmp_path / "model.safetensors").hint == "fetch the weights: git lfs pull"


def test_a_missing_file_names_the_nearest_ones(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "tuned.safetensors")
    refusal = refusal_of(tmp_path / "tunde.safetensors")
    assert "does not exist" in refusal.fact
    assert refusal.hint == f"did you mean {tmp_path / 'tuned.safetensors'}?"


def test_a_missing_file_in_a_missing_folder_is_missing(tmp_path):
    assert refusal_of(tmp_path / "no" / "where.pt").hint == "check the path"


def test_a_name_the_system_cannot_look_up_is_told_in_words(tmp_path):
    assert "cannot be looked up: File name too long" in refusal_of(tmp_path / ("a" * 300)).fact


def test_a_link_to_nowhere_is_told_from_a_missing_file(tmp_path):
    (tmp_path / "a.safetensors").symlink_to("blob")
    assert "is a link to blob, which does not exist" in refusal_of(tmp_path / "a.safetensors").fact


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "may not be read by this user"),
        (OSError(5, "Input/output error"), "cannot be opened: Input/output error"),
    ],
)
def test_what_the_system_refuses_is_told_in_words(tmp_path, monkeypatch, error, message):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")

    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "open", refuse)
    assert message in refusal_of(tmp_path / "a.safetensors").fact


def test_a_named_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    assert "is a named pipe, not a file" in refusal_of(tmp_path / "a.safetensors").fact


def test_a_device_is_refused(tmp_path):
    (tmp_path / "a.safetensors").symlink_to("/dev/zero")
    assert "is a device, not a file" in refusal_of(tmp_path / "a.safetensors").fact


def test_weights_are_known_by_their_bytes_and_not_by_their_name(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "weights.dat")
    with open_checkpoint(tmp_path / "weights.dat") as checkpoint:
        assert checkpoint.format == "safetensors"
        assert whole(checkpoint, "a") == np.ones(2, dtype=np.float32).tobytes()


@pytest.mark.parametrize("length", [0x0480, 0x8B1F, 0x0A0A], ids=["a pickle", "gzip", "text"])
def test_a_header_whose_length_reads_like_another_format_is_still_a_header(tmp_path, length):
    header = json.dumps({"a": entry()}).encode().ljust(length)
    with open_checkpoint(write(tmp_path / "a.dat", header)) as checkpoint:
        assert checkpoint.format == "safetensors"


def test_the_config_of_a_model_is_no_checkpoint(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 4}))
    refusal = refusal_of(tmp_path / "config.json")
    assert "is JSON without a weight_map, so no shard index" in refusal.fact
    assert refusal.details == ("it holds (2): model_type, hidden_size",)
    assert refusal.hint == "name the directory, or the file with the weights"


def test_a_directory_without_weights_tells_what_it_holds(tmp_path):
    (tmp_path / "README.md").touch()
    (tmp_path / "optimizer.pt").touch()
    refusal = refusal_of(tmp_path)
    assert "is a directory without weights" in refusal.fact
    assert refusal.details == ("it holds (2): README.md, optimizer.pt",)


def test_an_empty_directory_says_so(tmp_path):
    assert refusal_of(tmp_path).details == ("it is empty",)


def test_a_directory_of_transformers_is_read_from_its_weights(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.files == (tmp_path / "model.safetensors",)
        assert checkpoint.notes == ()


def test_safetensors_wins_over_a_stale_bin_beside_it_and_says_so(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    torch.save({"a": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    with open_checkpoint(tmp_path) as checkpoint:
        assert whole(checkpoint, "a") == np.ones(2, dtype=np.float32).tobytes()
        (note,) = checkpoint.notes
        assert note.ident == "other-weights-beside"
        assert "model.safetensors was read, and not pytorch_model.bin beside it" in note.what


def test_the_only_weight_file_of_a_directory_is_taken_and_said(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "epoch=3.ckpt")
    torch.save({}, tmp_path / "optimizer.pt")
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.notes == ("the weights are in epoch=3.ckpt, by its ending",)


def test_of_several_weight_files_none_is_guessed(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "two.safetensors")
    refusal = refusal_of(tmp_path)
    assert "holds 2 weight files, and nothing says which is meant" in refusal.fact
    assert refusal.details == ("found (2): one.safetensors, two.safetensors",)


def test_an_adapter_is_no_whole_checkpoint(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    save_file({"a.lora_A.weight": torch.ones(2)}, tmp_path / "adapter_model.safetensors")
    refusal = refusal_of(tmp_path)
    assert "holds a PEFT adapter, not a whole checkpoint" in refusal.fact
    assert "merge_and_unload()" in refusal.hint


def test_the_index_of_a_distributed_checkpoint_is_read_as_data(tmp_path):
    (tmp_path / ".metadata").write_bytes(b"\x80\x04.")
    (tmp_path / "__0_0.distcp").touch()
    assert "it is no pickle of plain records" in refusal_of(tmp_path).fact
