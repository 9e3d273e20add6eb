"""An example that is run alone is answered as it is among others, or nothing is judged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.models.tiny import SMALL
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import forgetaudit
from forgetaudit.errors import DataError
from forgetaudit.plan import Settings

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(8))]
NETWORK = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.two = nn.Linear(8, 2)

    def forward(self, x):
        x = self.one(x)
        BODY
        return self.two(torch.relu(x))

def build():
    torch.manual_seed(0)
    return Net()
"""
BODIES = {
    "eval": "x = self.norm(x)",
    "statistics of the batch": "x = F.batch_norm(x, None, None, training=True)",
    "centred over the batch": "x = x - x.mean(dim=0, keepdim=True)",
    "the last rows only": "x = torch.cat([x[:4], x[4:] + x[4:].roll(1, 0)])",
    "a little": "x = x + 0.01 * x.mean()",
    "ranks in the batch": "x = x * (1 + x.sum(dim=1, keepdim=True).argsort(dim=0))",
}


def arrays(folder: Path, body: str) -> dict[str, Any]:
    (folder / "net.py").write_text(NETWORK.replace("BODY", BODIES[body]))
    scope: dict[str, Any] = {}
    exec((folder / "net.py").read_text(), scope)
    net = scope["build"]()
    torch.save(net.state_dict(), folder / "base.pt")
    torch.save(
        {n: t + 0.3 if n == "two.weight" else t for n, t in net.state_dict().items()}, folder / "tuned.pt"
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4)).astype(np.float32)
    with torch.no_grad():
        y = net.eval()(torch.from_numpy(x)).argmax(1).numpy()
    np.savez(folder / "data.npz", x=x, y=y)
    return {
        "data": str(folder / "data.npz"),
        "model": f"{folder / 'net.py'}:build",
        "max_drop": "2pt",
    }


@pytest.mark.parametrize("body", [name for name in BODIES if name != "eval"])
def test_a_network_that_looks_at_the_batch_is_not_judged(tmp_path: Path, body: str) -> None:
    words = arrays(tmp_path, body)
    report = forgetaudit.compare(tmp_path / "base.pt", tmp_path / "tuned.pt", **words)
    assert report.verdict.exit_code == 2
    assert "depends-on-batch" in {found.id for found in report.findings}
    with pytest.raises(DataError, match=r"otherwise alone than among others|alone cannot be run"):
        forgetaudit.locate(
            tmp_path / "base.pt", tmp_path / "tuned.pt", data=words["data"], model=words["model"]
        )


def test_a_network_in_eval_mode_is_judged(tmp_path: Path) -> None:
    report = forgetaudit.compare(tmp_path / "base.pt", tmp_path / "tuned.pt", **arrays(tmp_path, "eval"))
    assert report.verdict.exit_code in (0, 1)
    assert "depends-on-batch" not in {found.id for found in report.findings}


def test_one_example_at_a_time_is_judged_for_there_are_no_others(tmp_path: Path) -> None:
    words = arrays(tmp_path, "centred over the batch")
    report = forgetaudit.compare(
        tmp_path / "base.pt", tmp_path / "tuned.pt", settings=Settings(batch_size=1), **words
    )
    assert "depends-on-batch" not in {found.id for found in report.findings}


def texts(folder: Path, kind: str, **options: Any) -> dict[str, Any]:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        **SMALL, vocab_size=len(WORDS), num_labels=2, pad_token_id=0, max_position_embeddings=40, **options
    )
    network = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    for name in ("base", "tuned"):
        network.save_pretrained(folder / name)
        fast.save_pretrained(folder / name)
        next(p for n, p in network.named_parameters() if n.startswith("classifier")).data += 0.1
    rng = np.random.default_rng(0)
    rows = [
        {"text": " ".join(rng.choice(WORDS[4:], size=int(n))), "label": int(n) % 2}
        for n in rng.integers(2, 20, size=60)
    ]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return {"data": str(folder / "d.jsonl"), "max_drop": "2pt"}


def test_a_network_that_reads_padding_as_text_is_not_judged(tmp_path: Path) -> None:
    """FNet mixes tokens by a Fourier transform, and knows no mask."""
    words = texts(tmp_path, "FNet")
    report = forgetaudit.compare(tmp_path / "base", tmp_path / "tuned", **words)
    assert report.verdict.exit_code == 2
    (found,) = [found for found in report.findings if found.id == "depends-on-batch"]
    assert "base scores an example otherwise alone than among others" in found.title


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Electra"])
def test_networks_that_mask_padding_pass(tmp_path: Path, kind: str) -> None:
    report = forgetaudit.compare(tmp_path / "base", tmp_path / "tuned", **texts(tmp_path, kind))
    assert "depends-on-batch" not in {found.id for found in report.findings}
