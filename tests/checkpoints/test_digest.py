import hashlib
import json
import subprocess

import torch
from safetensors.torch import save_file

from forgetaudit.checkpoints import digest as module
from forgetaudit.checkpoints.digest import digest
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.values import NotMeasured


def test_the_digest_of_a_file_is_what_sha256sum_prints(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.randn(600_000)}, path)
    with open_checkpoint(path) as checkpoint:
        assert digest(checkpoint, whole=False) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_digest_of_shards_is_that_of_what_sha256sum_prints_for_them(tmp_path):
    names = ["model.safetensors.index.json", "s-1.safetensors", "s-2.safetensors"]
    for i in (1, 2):
        save_file({str(i): torch.ones(i)}, tmp_path / names[i])
    (tmp_path / names[0]).write_text(json.dumps({"weight_map": {"1": names[1], "2": names[2]}}))
    printed = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True).stdout
    with open_checkpoint(tmp_path) as checkpoint:
        assert digest(checkpoint, whole=False) == hashlib.sha256(printed).hexdigest()


def test_large_files_are_hashed_on_request_only(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ALWAYS_HASHED_BYTES", 100)
    save_file({"a": torch.zeros(100)}, tmp_path / "a.safetensors")
    with open_checkpoint(tmp_path / "a.safetensors") as checkpoint:
        assert digest(checkpoint, whole=False) == NotMeasured("472 bytes are hashed only on request")
        assert isinstance(digest(checkpoint, whole=True), str)
