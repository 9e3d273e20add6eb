"""Configs that promise networks which their weights cannot be: refused in seconds and megabytes, with both sizes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.models import tiny
from torch import nn
from transformers import BertModel, GPT2LMHeadModel, LlamaForCausalLM, ViTForImageClassification

from forgetaudit.errors import MismatchError
from forgetaudit.models.declared_size import Weights, refuse_counts, refusing_more

FIXTURES = Path(__file__).parent.parent / "fixtures"
DATA = FIXTURES / "data"
PATH = Path("config.json")

# All configs of a line in one process: what it may take is set once its libraries are there.
LIMITED = """
import contextlib, io, json, resource, shutil, sys, time
from pathlib import Path
from forgetaudit.cli import main
folder, data, configs = Path(sys.argv[1]), sys.argv[2], json.load(sys.stdin)
argv = ["compare", str(folder), str(folder), "--data", data, "--no-config"]
config = folder / "config.json"
usual = json.loads(config.read_text())
main(argv)
taken = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 30),) * 2)
found = []
for changes in configs:
    config.write_text(json.dumps({**usual, **changes}))
    said, start = io.StringIO(), time.process_time()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(argv)
    found.append([code, said.getvalue(), time.process_time() - start])
json.dump(found, open(sys.argv[3], "w"))
"""


def refused(folder: Path, data: Path, configs: list[dict[str, Any]], tmp_path: Path) -> list[str]:
    """What was said of each config; every one ends with 2, within a gigabyte and seconds."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), str(data), str(tmp_path / "found.json")],
        input=json.dumps(configs), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    for changes, (code, said, seconds) in zip(configs, found, strict=True):
        assert code == 2, (changes, said)
        assert "hint: " in said, said
        assert seconds < 20, changes
    return [said for _, said, _ in found]


def folder(tmp_path: Path, kind: str, **weights: torch.Tensor) -> Path:
    """The config of a fixture, beside 168 bytes of weights."""
    here = tmp_path / "small"
    here.mkdir()
    for file in (FIXTURES / kind).glob("*.json"):
        (here / file.name).write_bytes(file.read_bytes())
    save_file(weights or {"classifier.weight": torch.zeros(42)}, here / "model.safetensors")
    return here


BERT = [
    {"num_hidden_layers": 200_000},
    {"num_hidden_layers": 10**9},
    {"num_hidden_layers": 10**30},
    {"id2label": None, "num_labels": 10**8},
    {"id2label": None, "num_labels": 1e8},
    {"max_position_embeddings": 3_000_000_000},
    {"vocab_size": 10**12},
    {"hidden_size": 10**9},
    {"intermediate_size": 10**10},
    {"type_vocab_size": 10**9},
]
ODD = [
    {"num_hidden_layers": -1, "hidden_size": -4},
    {"hidden_size": "x"},
    {"hidden_size": [16]},
    {"num_attention_heads": 0},
    {"type_vocab_size": "x"},
    {"vocab_size": -1},
    {"vocab_size": 1.5},
    {"id2label": [1]},
    {"id2label": "x", "label2id": 3},
    {"architectures": [[]]},
    {"architectures": {"a": 1}},
    {"model_type": {"a": 1}},
    {"model_type": ["bert"]},
    {"torch_dtype": "nonsense"},
    {"quantization_config": 3},
    {"auto_map": "x", "architectures": ["Nothing"]},
    {"layer_norm_eps": "x"},
    {"hidden_act": "nonsense"},
    {"attn_implementation": 3, "pruned_heads": {"a": 1}},
]


def test_configs_of_an_encoder(tmp_path: Path) -> None:
    said = refused(folder(tmp_path, "bert/base"), DATA / "bert_val.parquet", BERT, tmp_path)
    for one in said:
        assert "config.json promises " in one
        assert "model.safetensors has 168 bytes of weights" in one


def test_odd_values_are_refused_in_words(tmp_path: Path) -> None:
    refused(folder(tmp_path, "bert/base"), DATA / "bert_val.parquet", ODD, tmp_path)


def test_configs_of_language_models(tmp_path: Path) -> None:
    configs = [{"n_layer": 200_000}, {"n_positions": 10**6}, {"n_positions": 60_000}, {"n_embd": 10**8}]
    refused(folder(tmp_path, "gpt2/base"), DATA / "docs.jsonl", configs, tmp_path)


def test_configs_of_image_models(tmp_path: Path) -> None:
    configs = [
        {"image_size": 10**6, "patch_size": 1},
        {"num_channels": 10**9},
        {"num_hidden_layers": 200_000},
    ]
    said = refused(folder(tmp_path, "vit/base"), DATA / "digits_val.parquet", configs, tmp_path)
    assert all("168 bytes" in one for one in said)


def test_configs_of_timm(tmp_path: Path) -> None:
    configs = [
        {"num_classes": 10**12},
        {"num_classes": 10**8},
        {"model_args": {"depths": [200_000, 1, 1, 1]}},
        {"model_args": {"depths": [10**9, 1, 1, 1]}},
        {"model_args": {"dims": [10**6, 1, 1, 1]}},
        {"model_args": {"dims": "x"}},
        {"model_args": {"no_such": 1}},
        {"model_args": 3},
    ]
    refused(folder(tmp_path, "timm-convnext/base"), DATA / "digits_val.parquet", configs, tmp_path)


def test_a_rank_of_an_adapter(forgetaudit: Any, tmp_path: Path) -> None:
    base, adapter = FIXTURES / "llama" / "base", tmp_path / "adapter"
    adapter.mkdir()
    for file in (FIXTURES / "llama" / "lora").iterdir():
        (adapter / file.name).write_bytes(file.read_bytes())
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 10**9}))
    run = forgetaudit("compare", base, adapter, "--data", DATA / "docs.jsonl", cwd=tmp_path)
    assert run.code == 2
    assert "adapter_config.json promises " in run.err


@pytest.mark.parametrize(
    "model",
    [BertModel, GPT2LMHeadModel, LlamaForCausalLM, ViTForImageClassification],
    ids=lambda kind: kind.__name__,
)
def test_the_network_of_a_file_is_never_too_much(model: Any) -> None:
    """Nor is one whose file holds half of it, whose head is new, or that is built with masks."""
    made = {BertModel: tiny.bert, GPT2LMHeadModel: tiny.gpt2, LlamaForCausalLM: tiny.llama}.get(
        model, tiny.vit
    )()
    n = sum(tensor.numel() for tensor in made.parameters())
    file = Weights(name="x", n_tensors=len(made.state_dict()), n_elements=n // 2, n_bytes=2 * n)
    with refusing_more(file, made.config.to_dict(), PATH):
        type(made)(made.config)


FILE = Weights(name="model.safetensors", n_tensors=1, n_elements=42, n_bytes=168)


def test_what_is_built_is_watched_only_inside() -> None:
    said = r"and more, and model.safetensors has 168 bytes"
    with pytest.raises(MismatchError, match=said), refusing_more(FILE, {}, PATH):
        nn.Linear(2000, 2000, device="meta")
    nn.Linear(2000, 2000, device="meta")


def test_modules_without_weights_are_counted() -> None:
    with pytest.raises(MismatchError, match="10,051 modules"), refusing_more(FILE, {}, PATH):
        nn.Sequential(*(nn.ReLU() for _ in range(20_000)))


def test_loading_into_what_was_built_counts_nothing_twice() -> None:
    with refusing_more(FILE, {}, PATH):
        linear = nn.Linear(1000, 1000, device="meta")
        for _ in range(50):
            linear.weight = nn.Parameter(torch.empty(1000, 1000, device="meta"))


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": 10**9, "rope_theta": 5e8, "bos_token_id": 10**7, "sliding_window": 10**7},
        {"text_config": {"max_position_embeddings": 10**9}, "num_labels": 10**6, "image_token_index": 10**8},
        {"num_labels": True, "hidden_size": float("nan")},
    ],
)
def test_large_numbers_that_count_no_weights_are_none(config: dict[str, Any]) -> None:
    refuse_counts(FILE, config, PATH)
