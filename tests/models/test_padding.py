"""Rows are padded with the id that the network knows padding by, and are as long as the network has positions for."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.models.tiny import SMALL
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast

from forgetaudit.models.padding import positions_of
from forgetaudit.models.texts import TextPreparation
from forgetaudit.models.tokens import TokenReader

WORDS = ["[PAD]", "[UNK]", "one", "two", "three", "four", "five", "</s>"]
TEXTS = ["one two three four five two one", "four", "five five three", "two one"]


def folder(path: Path, *, ends: bool = False, **special: Any) -> Path:
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", WORDS.index("</s>"))]
        )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", **special).save_pretrained(path)
    return path


def classifier(kind: str, pad: int | None, vocabulary: int = len(WORDS)) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        **(SMALL if kind != "GPT2" else {"n_embd": 16, "n_layer": 2, "n_head": 2}),
        vocab_size=vocabulary,
        num_labels=3,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=None,
        **({"num_key_value_heads": 2} if kind == "Qwen2" else {}),
    )
    made = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    return made.eval()


@torch.no_grad()
def alone(network: Any, folder: Path) -> torch.Tensor:
    """Every text by itself, as its library's pipeline would score it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = [tokenizer(text, return_tensors="pt")["input_ids"] for text in TEXTS]
    return torch.cat([network(input_ids=row).logits for row in rows])


@pytest.mark.parametrize("kind", ["GPT2", "Llama", "Qwen2"])
@pytest.mark.parametrize(
    ("pad", "special", "ends"),
    [
        (0, {"pad_token": "[PAD]"}, False),
        (1, {"pad_token": "[PAD]"}, False),  # the network knows another id than the tokenizer
        (0, {"pad_token": "</s>", "eos_token": "</s>"}, False),
        (
            7,
            {"pad_token": "[PAD]", "eos_token": "</s>"},
            True,
        ),  # the end of every text counts as padding, as alone
        (7, {"pad_token": "</s>", "eos_token": "</s>"}, True),
        (None, {"pad_token": "[PAD]"}, False),
        (None, {"eos_token": "</s>"}, False),
        (None, {"pad_token": "</s>", "eos_token": "</s>"}, False),
    ],
)
def test_a_causal_classifier_scores_every_text_as_it_does_alone(
    tmp_path: Path, kind: str, pad: int | None, special: dict[str, str], ends: bool
) -> None:
    place, network = folder(tmp_path, ends=ends, **special), classifier(kind, pad)
    wanted = alone(network, place)
    encoded = TextPreparation(place, network.config, network)(TEXTS)
    with torch.no_grad():
        assert torch.allclose(network(**encoded).logits, wanted, atol=1e-6)


def test_an_end_that_every_text_has_is_not_chosen_for_padding_where_the_network_has_a_spare_row(
    tmp_path: Path,
) -> None:
    place, network = folder(tmp_path, ends=True, eos_token="</s>"), classifier("GPT2", None, vocabulary=10)
    wanted = alone(network, place)
    prepare = TextPreparation(place, network.config, network)
    with torch.no_grad():
        assert torch.allclose(network(**prepare(TEXTS)).logits, wanted, atol=1e-6)
    assert "padded with the id 8, which stands for nothing" in prepare.said
    assert prepare.n_shortened == 0


def test_without_a_spare_row_another_special_token_serves_before_the_end_of_every_text(
    tmp_path: Path,
) -> None:
    place = folder(tmp_path, ends=True, eos_token="</s>", pad_token="</s>")
    network = classifier("GPT2", None)
    wanted = alone(network, place)
    prepare = TextPreparation(place, network.config, network)
    with torch.no_grad():
        assert torch.allclose(network(**prepare(TEXTS)).logits, wanted, atol=1e-6)
    assert (network.config.pad_token_id, prepare.n_shortened) == (WORDS.index("[UNK]"), 0)


def test_where_the_end_has_to_serve_texts_that_end_in_it_are_counted(tmp_path: Path) -> None:
    place, network = folder(tmp_path, eos_token="</s>"), classifier("GPT2", None)
    prepare = TextPreparation(place, network.config, network)
    prepare(["one </s>", "two three"])
    assert prepare.n_shortened == 1
    bert = classifier("Bert", None)  # reads its first token, whatever the last is
    prepare = TextPreparation(place, bert.config, bert)
    prepare(["one </s>", "two three"])
    assert prepare.n_shortened == 0


def test_an_id_outside_the_vocabulary_is_no_padding(tmp_path: Path) -> None:
    network = classifier("Llama", None)
    network.config.pad_token_id = -1
    TextPreparation(folder(tmp_path, pad_token="[PAD]"), network.config, network)
    assert network.config.pad_token_id == 0


def test_another_padding_than_the_tokenizers_is_said_and_used_for_rows_of_tokens_too(tmp_path: Path) -> None:
    place, network = folder(tmp_path, pad_token="[PAD]"), classifier("Llama", 1)
    prepare = TextPreparation(place, network.config, network)
    assert "padded with the id 1 of its config, not 0 of the tokenizer" in prepare.said
    assert TokenReader(prepare.tokenizer, network, 12).pad == 1


OFFSET = [
    "Roberta",
    "XLMRoberta",
    "Camembert",
    "MPNet",
    "Data2VecText",
    "RobertaPreLayerNorm",
    "Luke",
]


@pytest.mark.parametrize("kind", OFFSET)
@pytest.mark.parametrize("pad", [0, 1, 3])
def test_positions_are_counted_as_the_network_counts_them(kind: str, pad: int) -> None:
    config = getattr(transformers, f"{kind}Config")(
        **SMALL, vocab_size=30, max_position_embeddings=40, pad_token_id=pad
    )
    network = getattr(transformers, f"{kind}Model")(config).eval()
    longest = positions_of(network, 40)
    row = torch.full((1, longest), 5)
    with torch.no_grad():
        network(input_ids=row, attention_mask=torch.ones_like(row))
        row = torch.full((1, longest + 1), 5)
        with pytest.raises((IndexError, RuntimeError)):
            network(input_ids=row, attention_mask=torch.ones_like(row))


@pytest.mark.parametrize("kind", ["Bert", "Electra", "Llama"])
def test_networks_that_count_from_the_first_row_have_all_their_positions(kind: str) -> None:
    config = getattr(transformers, f"{kind}Config")(**SMALL, vocab_size=30, max_position_embeddings=40)
    assert positions_of(getattr(transformers, f"{kind}Model")(config).eval(), 40) == 40


class OwnPositions(nn.Module):
    """Counts from the fourth row on, and says so nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.config = transformers.BertConfig(vocab_size=30, pad_token_id=0)
        self.tokens, self.position_table = nn.Embedding(30, 4), nn.Embedding(40, 4)

    def get_input_embeddings(self) -> nn.Module:
        return self.tokens

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.tokens(input_ids) + self.position_table(torch.arange(input_ids.shape[1]) + 3)


def test_what_nothing_says_is_tried() -> None:
    assert positions_of(OwnPositions(), 40) == 37


def test_a_length_that_neither_config_nor_tokenizer_promises_is_tried(tmp_path: Path) -> None:
    config = transformers.MptConfig(
        vocab_size=len(WORDS),
        d_model=16,
        n_heads=2,
        n_layers=1,
        expansion_ratio=2,
        max_seq_len=12,
        pad_token_id=0,
    )
    network = transformers.MptForSequenceClassification(config).eval()
    prepare = TextPreparation(folder(tmp_path), config, network)
    assert prepare.longest == 12
    prepare(["one " * 30, "two"])
    assert prepare.n_truncated == 1


def test_positions_without_a_limit_are_minus_one_in_a_config_and_no_limit(tmp_path: Path) -> None:
    config = transformers.XLNetConfig(vocab_size=len(WORDS), d_model=16, n_layer=1, n_head=2, d_inner=16)
    assert config.max_position_embeddings == -1
    network = transformers.XLNetForSequenceClassification(config).eval()
    prepare = TextPreparation(folder(tmp_path), config, network)
    assert prepare.longest == 512
    assert prepare(["one two", "three"])["input_ids"].shape == (2, 2)
