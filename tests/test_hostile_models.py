"""Files beside weights that are spoiled in any way are used or refused in words; no library ends the process."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.hostile_models import KINDS, attacked, prepared, spoiled

from forgetaudit.errors import ModelError
from forgetaudit.models.odd_files import refuse_fatal_tokenizer, refused_in_words

FIXTURES = Path(__file__).parent / "fixtures"
DATA = FIXTURES / "data"


def changed(value: Any, place: str, odd: Any) -> Any:
    """A copy with another value at a place like `model.vocab`."""
    key, _, rest = place.partition(".")
    return value | {key: changed(value[key], rest, odd) if rest else odd}


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_file_is_used_or_refused_in_words(tmp_path: Path, kind: str) -> None:
    sound = prepared(tmp_path, kind)
    assert not attacked(tmp_path, kind, sound)
    attacked(tmp_path, kind, spoiled(sound, kind, random.Random(kind)))


@pytest.mark.parametrize(
    ("kind", "place", "odd"),
    [
        ("tokenizer", "added_tokens", -0.5),
        ("tokenizer", "added_tokens", [{"id": 3}]),
        ("tokenizer", "model", 3),
        ("tokenizer", "model.vocab", None),
        ("tokenizer-config", "model_max_length", "x"),
        ("tokenizer-config", "unk_token", ""),
        ("timm", "pretrained_cfg.crop_pct", float("inf")),
        ("timm", "pretrained_cfg.label_names", ["\ud800"]),
        ("processor", "do_resize", "\ud800"),
        ("timm", "pretrained_cfg.input_size", [3, 8, 2**64]),
        ("prompts", "prompts", [1]),
        ("sentence-encoder", "model_type", {"": None}),
    ],
)
def test_values_of_other_types_are_refused(tmp_path: Path, kind: str, place: str, odd: Any) -> None:
    sound = json.loads(prepared(tmp_path, kind))
    assert attacked(tmp_path, kind, json.dumps(changed(sound, place, odd)).encode())


def test_a_special_token_that_is_not_there_is_no_panic(tmp_path: Path) -> None:
    """The library is in Rust, and its panics are no Exception."""
    text = prepared(tmp_path, "tokenizer").decode()
    assert attacked(tmp_path, "tokenizer", text.replace('"id": "[CLS]"', '"id": "x"').encode())


@pytest.mark.parametrize("prefix", ["x", "\x00", "@@"])
def test_a_tokenizer_that_would_end_the_process_is_refused(
    forgetaudit: Any, tmp_path: Path, prefix: str
) -> None:
    sound = json.loads(prepared(tmp_path, "tokenizer"))
    path = tmp_path / "spoiled" / "tokenizer.json"
    path.write_text(json.dumps(changed(sound, "model.continuing_subword_prefix", prefix)))
    words = ["compare", "spoiled", "sound", "--data", DATA / "bert_val.parquet", "--no-config"]
    run = forgetaudit(*words, cwd=tmp_path)
    assert run.code == 2
    assert "tokenizer" in run.err
    assert "hint: restore the files" in run.err


def test_a_sound_tokenizer_and_one_that_only_raises_pass_the_trial(tmp_path: Path) -> None:
    """What it raises, the library says itself."""
    refuse_fatal_tokenizer(FIXTURES / "bert" / "base" / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    refuse_fatal_tokenizer(tmp_path / "tokenizer.json")


def test_an_interruption_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt), refused_in_words("x"):
        raise KeyboardInterrupt
    with pytest.raises(ModelError, match="x"), refused_in_words("x"):
        raise RecursionError
