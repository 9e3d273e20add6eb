"""--dry-run names model, task, layers and what would be read, refuses what would be refused, and runs nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Run

FIXTURES = Path(__file__).parent.parent / "fixtures"

Forgetaudit = Callable[..., Run]


def rehearsed(forgetaudit: Forgetaudit, *words: str) -> Run:
    return forgetaudit("compare", *words, "--dry-run", cwd=FIXTURES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "vit/base vit/tuned --data data/digits_val.parquet",
            [
                "model    ViTForImageClassification (architectures in base/config.json, built by transformers)",
                "inputs   base's ViTImageProcessorPil (size {'height': 8, 'width': 8}",
                "labels by name: the model's 10 classes, renumbered eight 0 → 8",
                "layers   5 layers watched: vit.embeddings, vit.layers.0, vit.layers.1, vit.layers.2,",
                "; head classifier",
                "runs     2 variants over 797 examples, 64 at a time",
                "reads    837 kB of weights",
            ],
        ),
        (
            "gpt2/base gpt2/lora gpt2/tuned --data data/docs.jsonl --batch-size 8",
            [
                "gpt2/lora (as lora): PEFT adapter (LORA, rank 4, alpha 8) on safetensors",
                "2 tensors merged in float32 as PEFT merges them, all others are base's",
                "task     causal-lm: what GPT2LMHeadModel was made for",
                "runs     3 variants over 200 examples, 8 at a time",
            ],
        ),
        (
            "timm-convnext/base timm-convnext/tuned --data data/digits_val.parquet",
            ["model    timm convnext_atto (architecture in base/config.json, built by timm)", "head head.fc"],
        ),
        ("llama/base llama/tuned", ["data     none: only the weights would be compared"]),
    ],
)
def test_what_would_be_done_is_named(forgetaudit: Forgetaudit, words: str, said: list[str]) -> None:
    run = rehearsed(forgetaudit, *words.split())
    assert run.code == 0, run.err
    assert [line for line in said if line not in run.out] == []
    assert "running" not in run.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("vit/base bert/tuned", "base and tuned are not versions of one network"),
        (
            "vit/base vit/tuned --data data/digits_val.parquet --layers nothing.*",
            "nothing.* matches no layer",
        ),
        ("bert/base bert/tuned --data data/digits_val.parquet", "takes text"),
        (
            "bert/base bert/tuned --data data/bert_family.parquet",
            "the classes of bert_family are not the model's",
        ),
    ],
)
def test_what_would_be_refused_is_refused(forgetaudit: Forgetaudit, words: str, said: str) -> None:
    run = rehearsed(forgetaudit, *words.split())
    assert run.code == 2
    assert said in run.err


def test_nothing_of_the_users_is_called(forgetaudit: Forgetaudit, workplace: Path) -> None:
    (workplace / "digits.py").write_text("def build():\n    raise SystemExit('called')\n")
    words = ("compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--dry-run")
    assert forgetaudit(*words, cwd=workplace).code == 0
    assert forgetaudit(*words[:-1], cwd=workplace).code == 2


def test_a_terminal_of_80_columns_is_enough(
    forgetaudit: Forgetaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgetaudit.cli.console.terminal_traits", lambda _: (80, False, True))
    run = rehearsed(forgetaudit, "bert/base", "bert/tuned", "--data", "data/bert_val.parquet")
    assert max(len(line) for line in run.out.splitlines()) <= 80
    whole = " ".join(line[9:] for line in run.out.splitlines())
    assert "renumbered code 0 → 2, docstring 2 → 0" in whole
