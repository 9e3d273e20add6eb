"""Tiny networks of transformers, built from configs: their weights are random, their names and files are real."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def vit(labels: dict[int, str] | None = None, seed: int = 0) -> ViTForImageClassification:
    torch.manual_seed(seed)
    names = labels or {0: "cat", 1: "dog", 2: "owl"}
    return ViTForImageClassification(ViTConfig(**SMALL, image_size=8, patch_size=4, id2label=names)).eval()


def bert(seed: int = 0) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    return BertForSequenceClassification(
        BertConfig(**SMALL, vocab_size=40, max_position_embeddings=12)
    ).eval()


def llama(seed: int = 0, **options: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SMALL, vocab_size=40, **options)).eval()


def gpt2(seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    special = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, **special)).eval()


def mixtral() -> MixtralForCausalLM:
    torch.manual_seed(0)
    config = MixtralConfig(**SMALL, vocab_size=40, num_local_experts=2, num_key_value_heads=2)
    return MixtralForCausalLM(config).eval()


def change_config(folder: Path, **changes: Any) -> None:
    """Write other values into config.json; None takes a key away."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
