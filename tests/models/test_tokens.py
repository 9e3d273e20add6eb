"""Text token by token, as base's tokenizer reads it, on tokenizers that were trained and saved."""

import json
import shutil
from pathlib import Path

import pytest
from tests.models import tiny
from transformers import AutoTokenizer

from forgetaudit.models.tokens import TokenReader

ROOT = Path(__file__).parent.parent / "fixtures"
TEXT = "The list is sorted in place, and nothing is returned."


def reader(folder: Path, longest: int = 16) -> TokenReader:
    return TokenReader(AutoTokenizer.from_pretrained(folder), tiny.gpt2(), longest)


def test_texts_are_read_whole_with_what_the_tokenizer_puts_around_them_or_without() -> None:
    llama = reader(ROOT / "llama" / "base")
    (whole,), (plain,) = (llama.read([TEXT * 20], special_tokens=both) for both in (True, False))
    assert whole == [llama.start, *plain]
    assert len(plain) > llama.longest
    bert = reader(ROOT / "bert-mlm" / "base")
    (whole,), (plain,) = (bert.read([TEXT * 20], special_tokens=both) for both in (True, False))
    assert whole[1:-1] == plain
    assert {whole[0], whole[-1]} <= bert.special


def test_nothing_is_said_of_texts_longer_than_the_context(capfd: pytest.CaptureFixture[str]) -> None:
    reader(ROOT / "gpt2" / "base").read([TEXT * 50], special_tokens=True)
    assert capfd.readouterr() == ("", "")


def test_cutting_and_filling_that_a_tokenizer_was_saved_with_are_not_done(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "bert-mlm" / "base", tmp_path / "saved")
    saved = json.loads((folder / "tokenizer.json").read_text())
    saved["truncation"] = {"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    saved["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    texts = [TEXT, "a", ""]
    plain = reader(ROOT / "bert-mlm" / "base").read(texts, special_tokens=True)
    assert reader(folder).read(texts, special_tokens=True) == plain


def test_no_text_is_no_row_and_an_empty_one_is_what_stands_around_it() -> None:
    llama = reader(ROOT / "llama" / "base")
    assert llama.read([], special_tokens=True) == []
    assert llama.read([""], special_tokens=True) == [[llama.start]]
    assert llama.read([""], special_tokens=False) == [[]]


def test_what_is_special_is_known_where_the_tokenizer_has_it() -> None:
    bert, gpt2 = reader(ROOT / "bert-mlm" / "base"), reader(ROOT / "gpt2" / "base")
    assert (bert.mask in bert.special, bert.start) == (True, None)
    # A GPT-2 has one token for start and end, and fills up with it.
    assert (gpt2.mask, gpt2.start, gpt2.pad) == (None, 0, 0)


def test_the_networks_own_scores_are_counted_and_not_the_tokenizers_words() -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "gpt2" / "base")
    assert len(tokenizer) == 512
    assert TokenReader(tokenizer, tiny.gpt2(), 16).vocabulary == 40
    assert TokenReader(tokenizer, tiny.bert(), 16).vocabulary == 512


def test_only_names_that_a_forward_takes_are_arguments() -> None:
    assert {"input_ids", "attention_mask", "use_cache"} <= reader(ROOT / "gpt2" / "base").arguments
    bert = TokenReader(AutoTokenizer.from_pretrained(ROOT / "bert" / "base"), tiny.bert(), 16)
    assert "use_cache" not in bert.arguments
