"""--preprocess each: tuned sees what its own files make of an example, and is paired with base all the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tests.conftest import Run
from tokenizers import Tokenizer
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

FIXTURES = Path(__file__).parent / "fixtures"
DIGITS = FIXTURES / "data" / "digits_val.parquet"
TEXTS = FIXTURES / "data" / "bert_val.parquet"
N = 150

Compare = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture
def compared(forgetaudit: Callable[..., Run], tmp_path: Path) -> Compare:
    """Compares the two in an empty folder, on the first N rows: the run and its JSON report."""

    def run(base: Path, tuned: Path, data: Path, *words: str) -> tuple[Run, dict[str, Any]]:
        few = tmp_path / "few.parquet"
        rows(data).to_parquet(few)
        report = tmp_path / "report.json"
        given = ("--data", few, *words, "--output", f"json={report}")
        done = forgetaudit("compare", base, tuned, *given, cwd=tmp_path)
        return done, json.loads(report.read_text()) if report.exists() else {}

    return run


def rows(path: Path) -> datasets.Dataset:
    return datasets.Dataset.from_parquet(str(path), keep_in_memory=True).select(range(N))


def other_processor(folder: Path, **changes: Any) -> Path:
    """The trained ViT with another image processor beside it."""
    shutil.copytree(FIXTURES / "vit" / "tuned", folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def shuffled_tokenizer(kind: str, folder: Path) -> Path:
    """A trained text network under another numbering of its own tokens: rows and tokenizer moved together."""
    source = FIXTURES / kind / "tuned"
    network = BertForSequenceClassification.from_pretrained(source)
    content = json.loads((source / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    special = {entry["content"] for entry in content["added_tokens"]}
    plain = [token for token in vocabulary if token not in special]
    moved = dict(zip(plain, [vocabulary[token] for token in plain[1:] + plain[:1]], strict=True))
    table = network.get_input_embeddings().weight.detach().clone()
    for token, number in moved.items():
        network.get_input_embeddings().weight.data[number] = table[vocabulary[token]]
    network.save_pretrained(folder)
    content["model"]["vocab"] = vocabulary | moved
    Tokenizer.from_str(json.dumps(content)).save(str(folder / "tokenizer.json"))
    shutil.copy(source / "tokenizer_config.json", folder)
    return folder


def digits_right(folder: Path) -> torch.Tensor:
    """A plain loop, by the network's own processor."""
    data, processor = rows(DIGITS), ViTImageProcessorPil.from_pretrained(folder)
    pixels = processor([image.convert("RGB") for image in data["image"]], return_tensors="pt")
    return right(ViTForImageClassification.from_pretrained(folder), pixels, data)


def texts_right(folder: Path) -> torch.Tensor:
    data, tokenizer = rows(TEXTS), AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(list(data["text"]), padding=True, truncation=True, max_length=64, return_tensors="pt")
    return right(BertForSequenceClassification.from_pretrained(folder), encoded, data)


def right(network: Any, inputs: Any, data: datasets.Dataset) -> torch.Tensor:
    names = data.features["label"].names
    wanted = torch.tensor([network.config.label2id[names[label]] for label in data["label"]])
    with torch.no_grad():
        return network.eval()(**inputs).logits.argmax(dim=1) == wanted


def flips(report: dict[str, Any]) -> tuple[int, int]:
    found = report["source"][0]["flips"]
    return found["forgotten"], found["gained"]


def expected(base: torch.Tensor, tuned: torch.Tensor) -> tuple[int, int]:
    return int((base & ~tuned).sum()), int((tuned & ~base).sum())


def test_images_are_prepared_for_each_as_its_own_files_say(compared: Compare, tmp_path: Path) -> None:
    base = FIXTURES / "vit" / "base"
    tuned = other_processor(tmp_path / "own", image_mean=[0.2, 0.2, 0.2], image_std=[0.9, 0.9, 0.9])
    done, report = compared(base, tuned, DIGITS, "--preprocess", "each")
    assert done.code == 0, done.err
    assert flips(report) == expected(digits_right(base), digits_right(tuned))
    notes = " ".join(report["inputs"]["model"]["notes"])
    assert "tuned: inputs: its own ViTImageProcessor" in notes
    assert "each was given its own" in notes
    assert report["inputs"]["settings"]["preprocess"] == "each"
    _, by_base = compared(base, tuned, DIGITS)
    assert flips(by_base) == expected(digits_right(base), digits_right(FIXTURES / "vit" / "tuned"))
    assert flips(by_base) != flips(report)


def test_texts_are_read_for_each_by_its_own_tokenizer(compared: Compare, tmp_path: Path) -> None:
    """The same network under another numbering answers as before, if it is given its own numbers."""
    base, tuned = FIXTURES / "bert" / "base", shuffled_tokenizer("bert", tmp_path / "own")
    done, report = compared(base, tuned, TEXTS, "--preprocess", "each")
    assert done.code == 0, done.err
    assert flips(report) == expected(texts_right(base), texts_right(tuned))
    _, plain = compared(base, FIXTURES / "bert" / "tuned", TEXTS)
    assert report["source"][0]["nll"] == plain["source"][0]["nll"]
    assert report["features"] == plain["features"]


def test_without_it_such_a_pair_is_refused_and_the_option_named(compared: Compare, tmp_path: Path) -> None:
    done, _ = compared(FIXTURES / "bert" / "base", shuffled_tokenizer("bert", tmp_path / "own"), TEXTS)
    assert done.code == 2
    assert "give 763 tokens different ids" in done.err
    assert "--preprocess each" in done.err


def test_identical_weights_with_other_inputs_are_no_known_drop_of_0(
    compared: Compare, tmp_path: Path
) -> None:
    tuned = other_processor(tmp_path / "own", image_mean=[-3.0] * 3)
    _, report = compared(FIXTURES / "vit" / "tuned", tuned, DIGITS, "--preprocess", "each")
    (source,) = report["source"]
    assert report["weights"][0]["identical"]
    assert not source["known"]
    assert source["accuracy"]["drop"]["kind"] == "statistical"
    assert sum(flips(report)) > 0


@pytest.mark.parametrize("kind", ["vit", "bert"])
def test_equal_files_make_no_difference_and_it_is_said(compared: Compare, kind: str) -> None:
    data = DIGITS if kind == "vit" else TEXTS
    pair = (FIXTURES / kind / "base", FIXTURES / kind / "tuned", data)
    (_, each), (_, base) = compared(*pair, "--preprocess", "each"), compared(*pair)
    assert "tuned: inputs: its own files prepare them as base's do" in each["inputs"]["model"]["notes"]
    for part in ("source", "features", "weights", "findings"):
        assert each[part] == base[part]


@pytest.mark.parametrize("kind", ["vit", "bert"])
def test_reuse_and_batch_size_change_nothing_of_it(compared: Compare, kind: str, tmp_path: Path) -> None:
    tuned = (
        other_processor(tmp_path / "own", image_mean=[0.2] * 3)
        if kind == "vit"
        else shuffled_tokenizer("bert", tmp_path / "own")
    )
    pair = (FIXTURES / kind / "base", tuned, DIGITS if kind == "vit" else TEXTS, "--preprocess", "each")
    (_, plain), (_, without), (_, small) = (
        compared(*pair, *more) for more in ((), ("--no-reuse",), ("--batch-size", "7"))
    )
    assert plain["source"] == without["source"]
    assert plain["features"] == without["features"]
    assert flips(plain) == flips(small)


def test_a_folder_without_files_of_its_own_is_refused(compared: Compare, tmp_path: Path) -> None:
    for kind, file, data in (
        ("vit", "preprocessor_config.json", DIGITS),
        ("bert", "tokenizer.json", TEXTS),
    ):
        shutil.copytree(FIXTURES / kind / "tuned", tmp_path / kind)
        (tmp_path / kind / file).unlink()
        (tmp_path / kind / "tokenizer_config.json").unlink(missing_ok=True)
        done, _ = compared(FIXTURES / kind / "base", tmp_path / kind, data, "--preprocess", "each")
        assert done.code == 2
        assert f"--preprocess each: {tmp_path / kind} has no " in done.err
        assert "leave the option out" in done.err


def test_tokens_that_base_has_no_rows_for_are_refused(compared: Compare, tmp_path: Path) -> None:
    source = FIXTURES / "bert" / "tuned"
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.add_tokens(["<new 1>", "<new 2>"])
    network = BertForSequenceClassification.from_pretrained(source)
    network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    network.save_pretrained(tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    done, _ = compared(FIXTURES / "bert" / "base", tmp_path / "own", TEXTS, "--preprocess", "each")
    assert done.code == 2
    assert "gives 2 tokens ids from 768 on" in done.err


def test_another_padding_is_refused(compared: Compare, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "bert" / "tuned", tmp_path / "own")
    path = tmp_path / "own" / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"pad_token": config["mask_token"]}))
    done, _ = compared(FIXTURES / "bert" / "base", tmp_path / "own", TEXTS, "--preprocess", "each")
    assert done.code == 2
    assert "knows padding by the id 0" in done.err


def test_language_models_are_refused_because_tokens_would_not_pair(
    forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    shutil.copytree(FIXTURES / "gpt2" / "tuned", tmp_path / "own")
    path = tmp_path / "own" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_prefix_space": True}))
    done = forgetaudit(
        "compare", FIXTURES / "gpt2" / "base", tmp_path / "own", "--data", FIXTURES / "data" / "docs.jsonl",
        "--preprocess", "each", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 2
    assert "--preprocess each is for classification, and docs is a matter of causal-lm" in done.err


def test_a_network_of_the_users_own_has_one_preprocessing(forgetaudit: Callable[..., Run]) -> None:
    done = forgetaudit(
        "compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--preprocess", "each"
    )
    assert done.code == 2
    assert "says the same for every checkpoint" in done.err


def test_a_network_of_timm_is_run_with_bases_preprocessing_only(forgetaudit: Callable[..., Run]) -> None:
    done = forgetaudit(
        "compare", "timm-convnext/base", "timm-convnext/tuned", "--data", "data/digits_val.parquet",
        "--preprocess", "each", cwd=FIXTURES,
    )  # fmt: skip
    assert done.code == 2
    assert "is a network of timm, which is run with base's preprocessing only" in done.err


def test_without_data_it_is_refused(forgetaudit: Callable[..., Run]) -> None:
    done = forgetaudit("compare", "base.safetensors", "tuned.safetensors", "--preprocess", "each")
    assert done.code == 2
    assert "--preprocess needs --data" in done.err
