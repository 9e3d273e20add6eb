"""From tokens to an embedding as sentence-transformers does it, and what tuned's folder says otherwise."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.test_sentence_files import BERT, folder, write

from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.library_classes import task_of
from forgetaudit.models.sentence_files import POOLING_MODES, read_sentence_files
from forgetaudit.models.sentence_transformers import (
    Sentences,
    sentence_differences,
    without_head,
    without_pooler,
)

# Three texts of 1, 4 and 3 tokens, padded to 4; what stands in the padding must not matter.
LENGTHS = (1, 4, 3)


def hidden_states() -> tuple[torch.Tensor, torch.Tensor]:
    hidden = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[place < length for place in range(4)] for length in LENGTHS]).long()
    return hidden.masked_fill(mask[:, :, None] == 0, 1e6), mask


def one_text(mode: str, tokens: list[list[float]]) -> list[float]:
    """Slow and obvious: a text's tokens, one dimension after the other."""
    by_dimension = list(zip(*tokens, strict=True))
    n = len(tokens)
    if mode == "cls":
        return tokens[0]
    if mode == "lasttoken":
        return tokens[-1]
    if mode == "max":
        return [max(values) for values in by_dimension]
    if mode == "weightedmean":
        total = sum(range(1, n + 1))
        return [sum((place + 1) * v for place, v in enumerate(values)) / total for values in by_dimension]
    divisor = n if mode == "mean" else math.sqrt(n)
    return [sum(values) / divisor for values in by_dimension]


def sentences(root: Path, **given: Any) -> Sentences:
    return Sentences(read_sentence_files(folder(root, **given)))


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_every_pooling_is_that_of_a_loop_over_real_tokens(tmp_path: Path, mode: str) -> None:
    hidden, mask = hidden_states()
    found = sentences(tmp_path, pooling={"pooling_mode": mode}).pool(hidden, mask)
    expected = [one_text(mode, hidden[row, :length].double().tolist()) for row, length in enumerate(LENGTHS)]
    assert torch.allclose(found.double(), torch.tensor(expected, dtype=torch.float64), atol=1e-6)


def test_several_poolings_stand_side_by_side(tmp_path: Path) -> None:
    hidden, mask = hidden_states()
    found = sentences(tmp_path, pooling={"pooling_mode": ["cls", "max"]}).pool(hidden, mask)
    assert found.shape == (3, 10)
    assert torch.equal(found[:, :5], hidden[:, 0])


def test_normalised_embeddings_have_length_one(tmp_path: Path) -> None:
    hidden, mask = hidden_states()
    found = sentences(tmp_path, kinds=("Transformer", "Pooling", "Normalize")).pool(hidden, mask)
    assert torch.allclose(found.norm(dim=1), torch.ones(3))


def test_hidden_states_of_half_precision_are_pooled_in_float32(tmp_path: Path) -> None:
    hidden, mask = hidden_states()
    assert sentences(tmp_path).pool(hidden.bfloat16(), mask).dtype == torch.float32


def test_pooling_and_prompts_are_told(tmp_path: Path) -> None:
    general = {
        "prompts": {"query": "find: ", "passage": "text: ", "sts": ""},
        "default_prompt_name": "query",
    }
    assert sentences(tmp_path, general=general).said == (
        "embeddings: mean of tokens, by modules.json",
        "prompts: 'find: ' was put before queries; not used, because not its default: passage",
    )


def test_prompts_that_are_no_default_are_told_and_not_used(tmp_path: Path) -> None:
    found = sentences(tmp_path, general={"prompts": {"query": "find: "}})
    assert found.said[1] == "prompts: not used, because not its default: query"
    assert (found.query_prompt, found.document_prompt) == ("", "")


def test_a_model_without_prompts_says_nothing_of_them(tmp_path: Path) -> None:
    assert sentences(tmp_path).said == ("embeddings: mean of tokens, by modules.json",)


def test_an_encoder_that_grew_up_under_a_head_is_built_without_it(tmp_path: Path) -> None:
    folder(tmp_path)
    for named, built in (
        ("BertForMaskedLM", "BertModel"),
        ("BertModel", "BertModel"),
        ("T5EncoderModel", "T5EncoderModel"),
    ):
        write(tmp_path / "config.json", BERT | {"architectures": [named]})
        assert without_head(find_evidence(tmp_path)).model == built


def test_a_class_that_no_folder_of_embeddings_names_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "config.json", BERT | {"architectures": ["BertForMaskedLM"]})
    assert without_head(find_evidence(tmp_path)).model == "BertForMaskedLM"


def test_a_pooler_is_left_out_where_the_class_has_one() -> None:
    from transformers import BertModel, DistilBertModel

    assert without_pooler(BertModel) == {"add_pooling_layer": False}
    assert without_pooler(DistilBertModel) == {}


def test_what_tuned_does_otherwise_is_told(tmp_path: Path) -> None:
    base = read_sentence_files(folder(tmp_path / "base", settings={"max_seq_length": 32}))
    tuned = folder(tmp_path / "tuned", pooling={"pooling_mode": "cls"}, settings={"max_seq_length": 64})
    assert sentence_differences(base, tuned / "model.safetensors") == (
        "its embeddings differ: pooling 'mean of tokens' → 'cls of tokens', longest text 32 → 64; "
        "base's way was used for both",
    )


def test_equal_folders_and_plain_weights_say_nothing(tmp_path: Path) -> None:
    base = read_sentence_files(folder(tmp_path / "base"))
    assert sentence_differences(base, tmp_path / "base") == ()
    assert sentence_differences(base, folder(tmp_path / "tuned")) == ()
    (tmp_path / "plain.json").write_text(json.dumps({}))
    assert sentence_differences(base, tmp_path / "plain.safetensors") == ()


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("BertModel", "embedding"),
        ("T5EncoderModel", "embedding"),
        ("BertForMaskedLM", "masked-lm"),
        ("GPT2LMHeadModel", "causal-lm"),
        ("NoSuchModel", None),
    ],
)
def test_what_a_class_was_made_for_is_told_by_the_librarys_lists(name: str, task: str | None) -> None:
    assert task_of(name) == task
