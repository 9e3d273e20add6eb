"""Real checkpoints that are not what they seem: through the command line, exit 2, the fact, and what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import Run
from transformers import AutoModelForCausalLM, ViTConfig, ViTForImageClassification

FIXTURES = Path(__file__).parent.parent / "fixtures"
DATA = FIXTURES / "data"
DIGITS, TEXTS, DOCS = DATA / "digits_val.parquet", DATA / "bert_val.parquet", DATA / "docs.jsonl"

Compare = Callable[..., Run]


@pytest.fixture
def compare(forgetaudit: Callable[..., Run], tmp_path: Path) -> Compare:
    """Compares in an empty folder; no message is a traceback, and no refusal says anything on stdout."""

    def run(base: Path, tuned: Path, *words: str | Path) -> Run:
        done = forgetaudit("compare", base, tuned, *words, cwd=tmp_path)
        assert "Traceback" not in done.err
        assert done.code == 0 or done.out == "" or "REFUSED" in done.out
        return done

    return run


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a fixture, to be spoiled."""

    def copy(kind: str) -> Path:
        shutil.copytree(FIXTURES / kind, tmp_path / "copies" / kind)
        return tmp_path / "copies" / kind

    return copy


def rename(path: Path, change: Callable[[str], str]) -> None:
    save_file({change(name): tensor for name, tensor in load_file(path).items()}, path)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refusal(done: Run) -> str:
    assert done.code == 2, done.out
    return done.err


def test_an_adapter_none_of_whose_tensors_finds_a_module(compare: Compare, copied: Any) -> None:
    adapter = copied("llama/lora")
    rename(adapter / "adapter_model.safetensors", lambda name: name.replace("model.layers", "model.blocks"))
    said = refusal(compare(FIXTURES / "llama" / "base", adapter, "--data", DOCS))
    n = len(load_file(adapter / "adapter_model.safetensors"))
    assert f"does not fit base: {n} of its {n} tensors find no module" in said
    assert "the model would be base itself" in said


def test_every_name_foreign(compare: Compare, copied: Any) -> None:
    tuned = copied("bert/tuned")
    names = iter(range(1000))
    rename(tuned / "model.safetensors", lambda _: f"{next(names)}.x")
    said = refusal(compare(FIXTURES / "bert" / "base", tuned, "--data", TEXTS))
    assert "base and tuned are not versions of one network" in said
    base = copied("bert/base")
    shutil.copy(tuned / "model.safetensors", base)
    said = refusal(compare(base, tuned, "--data", TEXTS))
    assert "missing in the file (41)" in said


def test_every_name_under_a_prefix_is_understood_and_told(compare: Compare, copied: Any) -> None:
    tuned = copied("bert/tuned")
    rename(tuned / "model.safetensors", lambda name: f"trainer.network.{name}")
    pair = (FIXTURES / "bert" / "base", "--data", TEXTS, "--limit", "60", "-v")
    wrapped = compare(pair[0], tuned, *pair[1:])
    plain = compare(pair[0], FIXTURES / "bert" / "tuned", *pair[1:])
    assert "removed `trainer.network.` from 41 names of model.safetensors" in wrapped.err
    assert wrapped.out.splitlines()[1:] == plain.out.splitlines()[1:]


def test_types_of_tokens_are_given_to_no_network_without_them(compare: Compare, copied: Any) -> None:
    """GPT-2 would add an embedding for them at every position, and raise no error."""
    base, tuned = copied("gpt2/base"), copied("gpt2/tuned")
    plain = compare(base, tuned, "--data", DOCS, "--limit", "12")
    for folder in (base, tuned):
        names = ["input_ids", "token_type_ids", "attention_mask"]
        change(folder / "tokenizer_config.json", model_input_names=names)
    assert compare(base, tuned, "--data", DOCS, "--limit", "12").out == plain.out


def test_another_architecture(compare: Compare) -> None:
    said = refusal(compare(FIXTURES / "gpt2" / "base", FIXTURES / "llama" / "tuned", "--data", DOCS))
    assert "base and tuned are not versions of one network" in said
    assert "pass the checkpoint you started from as BASE" in said


def test_another_base_shares_no_direction_and_it_is_said(compare: Compare, tmp_path: Path) -> None:
    torch.manual_seed(7)
    config = ViTConfig.from_pretrained(FIXTURES / "vit" / "base")
    ViTForImageClassification(config).save_pretrained(tmp_path / "stranger")
    done = compare(FIXTURES / "vit" / "base", tmp_path / "stranger", "--data", DIGITS)
    assert done.code == 0
    assert "tuned does not look trained from base: the median cosine of their matrices is" in done.out
    assert "pass the checkpoint that the fine-tune started from as BASE" in done.out
    related = compare(FIXTURES / "vit" / "base", FIXTURES / "vit" / "tuned")
    assert "does not look trained from base" not in related.out


def test_classes_that_are_not_the_models(compare: Compare) -> None:
    said = refusal(
        compare(
            FIXTURES / "bert" / "base", FIXTURES / "bert" / "tuned", "--data", DATA / "bert_family.parquet"
        )
    )
    assert "the classes of bert_family are not the model's" in said
    assert "in the data (5): concurrency" in said


def test_a_swapped_label_map_is_refused_with_the_permutation_and_no_rule_is_judged(
    compare: Compare, copied: Any
) -> None:
    base, tuned = copied("vit/base"), copied("vit/tuned")
    for folder in (base, tuned):
        config = json.loads((folder / "config.json").read_text())
        names = config["id2label"] | {"3": config["id2label"]["5"], "5": config["id2label"]["3"]}
        change(
            folder / "config.json",
            id2label=names,
            label2id={name: int(number) for number, name in names.items()},
        )
    done = compare(base, tuned, "--data", DIGITS, "--max-drop", "50pt")
    assert done.code == 2
    assert done.out.splitlines()[1].startswith("REFUSED")
    assert "the labels of digits_val are not base's classes: base reads" in done.out
    assert "three as five" in done.out
    assert "five as three" in done.out
    straight = compare(FIXTURES / "vit" / "base", FIXTURES / "vit" / "tuned", "--data", DIGITS)
    assert "are not base's classes" not in straight.out


def test_tokenizers_that_give_one_token_two_ids(compare: Compare, copied: Any) -> None:
    tuned = copied("llama/tuned")
    content = json.loads((tuned / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    one, two = [token for token, number in vocabulary.items() if number in (300, 301)]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (tuned / "tokenizer.json").write_text(json.dumps(content))
    said = refusal(compare(FIXTURES / "llama" / "base", tuned, "--data", DOCS))
    assert "the tokenizers of base and tuned give 2 tokens different ids" in said
    assert "fine-tune with base's tokenizer" in said


@pytest.mark.parametrize(
    ("kind", "files", "data", "said"),
    [
        ("bert", ("tokenizer.json", "tokenizer_config.json"), TEXTS, "has no tokenizer, so nothing says how text"),
        ("gpt2", ("tokenizer.json", "tokenizer_config.json"), DOCS, "tokenizer"),
        ("vit", ("preprocessor_config.json",), DIGITS, "has no preprocessor_config.json, so nothing says how an"),
    ],
)  # fmt: skip
def test_a_base_that_does_not_say_how_inputs_are_prepared(
    compare: Compare, copied: Any, kind: str, files: tuple[str, ...], data: Path, said: str
) -> None:
    base = copied(f"{kind}/base")
    for name in files:
        (base / name).unlink()
    message = refusal(compare(base, FIXTURES / kind / "tuned", "--data", data))
    assert said in message
    assert "hint: " in message


def test_an_adapter_of_another_base(compare: Compare, copied: Any, tmp_path: Path) -> None:
    adapter = copied("llama/lora")
    change(adapter / "adapter_config.json", base_model_name_or_path=str(FIXTURES / "llama" / "base"))
    torch.manual_seed(3)
    network = AutoModelForCausalLM.from_pretrained(FIXTURES / "llama" / "base")
    network.init_weights()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    network.save_pretrained(tmp_path / "stranger")
    said = refusal(compare(tmp_path / "stranger", adapter, "--data", DOCS))
    assert "was trained on another base" in said
    assert f"pass {FIXTURES / 'llama' / 'base'} as BASE" in said


def test_texts_longer_than_the_context_are_cut_and_counted(compare: Compare) -> None:
    done = compare(
        FIXTURES / "bert" / "base", FIXTURES / "bert" / "tuned", "--data", TEXTS, "--limit", "80", "-v"
    )
    assert done.code == 0
    assert "texts were longer than the 64 tokens that the model reads, and cut" in done.err


@pytest.mark.parametrize("with_data", [True, False])
def test_weights_without_a_config(compare: Compare, copied: Any, with_data: bool) -> None:
    base, tuned = copied("gpt2/base"), FIXTURES / "gpt2" / "tuned"
    (base / "config.json").unlink()
    done = compare(base, tuned, *(("--data", DOCS) if with_data else ()))
    if not with_data:
        assert done.code == 0
        assert "they moved 0.154" in done.out
        return
    said = refusal(done)
    assert "nothing says which network base belongs to" in said
    assert f"there is no config.json in {base}" in said
    assert "--model path.py:callable" in said


def test_code_that_a_checkpoint_asks_to_be_run(compare: Compare, copied: Any, tmp_path: Path) -> None:
    base = copied("gpt2/base")
    (base / "modeling_mine.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    )
    change(
        base / "config.json", architectures=["Mine"], auto_map={"AutoModelForCausalLM": "modeling_mine.Mine"}
    )
    said = refusal(compare(base, FIXTURES / "gpt2" / "tuned", "--data", DOCS))
    assert "asks to run Python code of its own (Mine), which was not run" in said
    assert "auto_map: modeling_mine.Mine" in said
    assert "--trust-remote-code" in said
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["vit", "timm-convnext"])
def test_text_for_a_network_of_images(compare: Compare, tmp_path: Path, kind: str) -> None:
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "few.parquet")
    said = refusal(
        compare(FIXTURES / kind / "base", FIXTURES / kind / "tuned", "--data", tmp_path / "few.parquet")
    )
    assert "the data hold text, and the model of base takes images" in said
    assert "--input-column" in said
