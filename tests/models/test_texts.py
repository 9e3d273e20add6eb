"""Texts are read with base's tokenizer; a network gets only the inputs it was made for; other ids are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.models import tiny
from tests.models.tiny import SMALL
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.models.texts import TextPreparation, tokenizer_differences

INPUTS = ["input_ids", "token_type_ids", "attention_mask"]
WORDS = ["[PAD]", "[UNK]", "one", "two", "three", "four", "five"]


def folder(path: Path, words: list[str] = WORDS, **settings: Any) -> Path:
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    made = {"unk_token": "[UNK]", "pad_token": "[PAD]", "model_input_names": INPUTS, **settings}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **made).save_pretrained(path)
    return path


def test_the_shorter_text_is_padded_right_and_masked(tmp_path: Path) -> None:
    network = tiny.bert()
    encoded = TextPreparation(folder(tmp_path, padding_side="left"), network.config, network)(
        ["one two three", "four"]
    )
    assert encoded["input_ids"].tolist() == [[2, 3, 4], [5, 0, 0]]
    assert encoded["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_pairs_are_read_together(tmp_path: Path) -> None:
    network = tiny.bert()
    encoded = TextPreparation(folder(tmp_path), network.config, network)([("one", "two"), ("three", "four")])
    assert encoded["input_ids"].tolist() == [[2, 3], [4, 5]]


def test_a_network_without_types_of_tokens_is_not_given_any(tmp_path: Path) -> None:
    place = folder(tmp_path)
    bert, gpt2 = tiny.bert(), tiny.gpt2()
    assert "token_type_ids" in TextPreparation(place, bert.config, bert)(["one"])
    # GPT-2's forward would take them, and add an embedding to every position.
    assert set(TextPreparation(place, gpt2.config, gpt2)(["one"])) == {"input_ids", "attention_mask"}


def test_texts_longer_than_the_context_are_cut_and_counted(tmp_path: Path) -> None:
    network = tiny.bert()  # of 12 positions
    prepare = TextPreparation(folder(tmp_path), network.config, network)
    encoded = prepare([" ".join(["one"] * n) for n in (11, 12, 13, 40)])
    assert encoded["input_ids"].shape == (4, 12)
    assert prepare.n_truncated == 2
    assert "at most 12 tokens" in prepare.said


def test_the_tokenizers_own_limit_counts_where_it_is_lower(tmp_path: Path) -> None:
    network = tiny.bert()
    assert TextPreparation(folder(tmp_path, model_max_length=5), network.config, network).longest == 5


def test_a_tokenizer_without_padding_pads_with_its_end_and_the_network_is_told(tmp_path: Path) -> None:
    network = tiny.gpt2()
    network.config.pad_token_id = None
    prepare = TextPreparation(folder(tmp_path, pad_token=None, eos_token="five"), network.config, network)
    assert "padded with five" in prepare.said
    assert network.config.pad_token_id == WORDS.index("five")
    assert prepare(["one two", "one"])["attention_mask"].tolist() == [[1, 1], [1, 0]]


def test_without_a_tokenizer_no_text_is_guessed_at(tmp_path: Path) -> None:
    network = tiny.bert()
    prepare = TextPreparation(tmp_path, network.config, network)
    with pytest.raises(ModelError, match="has no tokenizer") as refused:
        prepare(["one"])
    assert "copy tokenizer.json" in str(refused.value.hint)


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    network = tiny.bert()
    with pytest.raises(ModelError, match=r"the tokenizer of .* cannot be made"):
        TextPreparation(tmp_path, network.config, network)


def test_equal_tokenizers_are_not_remarked_on(tmp_path: Path) -> None:
    assert tokenizer_differences(folder(tmp_path / "a"), folder(tmp_path / "b")) == ()


def test_one_token_under_two_ids_is_refused_because_no_input_would_mean_the_same(tmp_path: Path) -> None:
    other = folder(tmp_path / "b", [*WORDS[:2], "two", "one", *WORDS[4:]])
    with pytest.raises(MismatchError, match="give 2 tokens different ids") as refused:
        tokenizer_differences(folder(tmp_path / "a"), other)
    assert "'one' 2 and 3" in str(refused.value)


def test_new_tokens_and_other_settings_are_told(tmp_path: Path) -> None:
    other = folder(tmp_path / "b", [*WORDS, "six"], model_max_length=9)
    said = " ".join(tokenizer_differences(folder(tmp_path / "a"), other))
    assert "new tokens (1): six" in said
    assert "model_max_length" in said
    assert tokenizer_differences(folder(tmp_path / "a"), tmp_path) == ()


def test_encoded_texts_lie_in_fresh_memory(tmp_path: Path) -> None:
    network = tiny.bert()
    encoded = TextPreparation(folder(tmp_path), network.config, network)(["one two"])
    assert all(tensor.dtype == torch.int64 and tensor.data_ptr() % 64 == 0 for tensor in encoded.values())


def test_words_that_were_saved_are_read_as_words_whatever_the_kind_of_the_model_reads_else(
    tmp_path: Path,
) -> None:
    """AutoTokenizer gives every Qwen2 byte pairs, to which these texts are empty."""
    words = {"[PAD]": 0, "one": 1, "two": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(tmp_path)
    config = transformers.Qwen2Config(**SMALL, num_key_value_heads=2, vocab_size=3, pad_token_id=0)
    config.save_pretrained(tmp_path)
    prepare = TextPreparation(tmp_path, config, transformers.Qwen2ForSequenceClassification(config))
    assert prepare(["one two", "two"])["input_ids"].tolist() == [[1, 2], [2, 0]]
