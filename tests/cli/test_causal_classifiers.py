"""A causal classifier that pools by another id than its tokenizer pads with is scored as each text is alone."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.conftest import Run
from tests.models.tiny import SMALL
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", "</s>", *(f"w{i}" for i in range(12))]
KINDS = {
    "GPT2": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    "Llama": SMALL,
    "Qwen2": {**SMALL, "num_key_value_heads": 2},
}
# What the config calls padding, and the tokenizer's own padding.
PADS = {
    "equal": (0, "[PAD]"),
    "a word of the config": (5, "[PAD]"),
    "none in the config": (None, "[PAD]"),
    "outside the vocabulary": (-1, "[PAD]"),
    "the end of the tokenizer": (None, "</s>"),
    "a word of the tokenizer": (0, "w3"),
}


def write(folder: Path, kind: str, pad: int | None, padding: str, *, ends: bool, side: str) -> Any:
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 2)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="</s>", pad_token=padding, padding_side=side
    )
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        **KINDS[kind],
        vocab_size=len(WORDS),
        num_labels=2,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    network = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    with torch.no_grad():
        for place, name in enumerate(("base", "tuned")):
            for parameter in network.parameters():
                parameter += (0.4 - 0.3 * place) * torch.randn(parameter.shape)
            network.save_pretrained(folder / name)
            fast.save_pretrained(folder / name)
            path = folder / name / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token_id": pad}))
    return fast


@torch.no_grad()
def alone(folder: Path, kind: str, tokenizer: Any, texts: list[str]) -> list[int]:
    """The class of each text, read from its own last token: no padding, no id of it."""
    network = getattr(transformers, f"{kind}ForSequenceClassification").from_pretrained(folder).eval()
    rows = [tokenizer(text, return_tensors="pt")["input_ids"] for text in texts]
    return [int(network.score(network.base_model(input_ids=row)[0])[0, -1].argmax()) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize(("ends", "side"), [(False, "right"), (True, "left")])
def test_accuracies_are_those_of_every_text_alone(
    kind: str, pads: str, ends: bool, side: str, forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    tokenizer = write(tmp_path, kind, *PADS[pads], ends=ends, side=side)
    draw = random.Random(0)
    # Neither word that stands for padding ends a text: the network itself takes such an end for padding.
    texts = [" ".join([*draw.choices(WORDS[3:], k=draw.randrange(1, 9)), "w7"]) for _ in range(24)]
    truth = {name: alone(tmp_path / name, kind, tokenizer, texts) for name in ("base", "tuned")}
    rows = [{"text": text, "label": label} for text, label in zip(texts, truth["base"], strict=True)]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("compare", "base", "tuned", "--data", "d.jsonl", "--output", "json=r.json")
    assert forgetaudit(*words, cwd=tmp_path).code == 0
    accuracy = json.loads((tmp_path / "r.json").read_text())["source"][0]["accuracy"]
    kept = sum(one == two for one, two in zip(truth["base"], truth["tuned"], strict=True))
    assert (accuracy["base"], accuracy["tuned"]) == (1.0, kept / len(texts))
