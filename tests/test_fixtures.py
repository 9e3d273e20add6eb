"""The committed checkpoints load offline, whole, and score what the manifest says. They need transformers and timm."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import AutoPeftModelForCausalLM, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from tests.fixtures import manifest as fixtures

ROOT = Path(__file__).parent / "fixtures"
MANIFEST = json.loads((ROOT / "manifest.json").read_text())
SCORES: dict[str, dict[str, dict[str, float]]] = MANIFEST["scores"]
ADAPTERS = [name for name in SCORES if fixtures.is_adapter(ROOT, name)]
WHOLE = [name for name in SCORES if name not in ADAPTERS and not fixtures.is_of_timm(name)]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def as_measured(found: dict[str, float], expected: dict[str, float]) -> bool:
    # Another processor may round a score the other way; it does not change what a fixture shows.
    return found.keys() == expected.keys() and all(
        abs(found[key] - expected[key])
        <= (2 if key.startswith("n_right") else 0 if key.startswith("n") else 0.01)
        for key in found
    )


def source_score(name: str) -> dict[str, float]:
    return next(iter(SCORES[name].values()))


@pytest.mark.parametrize("name", SCORES)
def test_every_checkpoint_scores_what_the_script_measured(name: str) -> None:
    model = fixtures.load(ROOT, name)
    for data in fixtures.sets_of(name):
        found = fixtures.score(ROOT, name, model, data)
        assert as_measured(found, SCORES[name][data]), (data, found)


def test_the_trunk_under_the_new_head_has_forgotten_even_with_the_old_head() -> None:
    expected = SCORES["bert/tuned-newhead"]["bert_val, head of base"]
    assert as_measured(fixtures.grafted(ROOT), expected)
    assert expected["accuracy"] < source_score("bert/base")["accuracy"] - 0.2


def test_the_manifest_lists_every_checkpoint_and_every_file() -> None:
    assert fixtures.checkpoints(ROOT) == sorted(SCORES)
    assert fixtures.files(ROOT) == MANIFEST["files"]


def test_the_text_is_what_the_list_of_sources_says() -> None:
    sources = (ROOT / fixtures.SOURCES).read_bytes()
    assert hashlib.sha256(sources).hexdigest() == MANIFEST["text"]["sha256"]
    assert len(sources.splitlines()) == MANIFEST["text"]["files"] > 500


def test_every_base_is_far_above_chance_and_every_fine_tune_forgot() -> None:
    accuracy = {name: source_score(name)["accuracy"] for name in SCORES}
    loss = {name: source_score(name)["log_loss"] for name in SCORES}
    for family in ("vit", "convnext", "timm-convnext"):
        assert accuracy[f"{family}/base"] > 0.9
        assert accuracy[f"{family}/tuned"] < accuracy[f"{family}/base"] - 0.2
    assert accuracy["bert/base"] > 0.85
    assert accuracy["bert/tuned"] < accuracy["bert/base"] - 0.2
    for name in SCORES:
        family = name.split("/")[0]
        if family in ("gpt2", "llama", "bert-mlm") and name != f"{family}/base":
            assert loss[name] > loss[f"{family}/base"] + (0.01 if "ia3" in name else 0.1)
    # Of 200 passages one is right.
    assert accuracy["sbert/base"] > 0.2
    assert accuracy["sbert/tuned"] < accuracy["sbert/base"] - 0.1
    # Who always names the commonest token has 3.7 %.
    assert accuracy["bert-mlm/base"] > 0.1
    for family in ("gpt2", "llama"):
        choices = {name: SCORES[f"{family}/{name}"]["choices"]["accuracy"] for name in ("base", "tuned")}
        # A quarter is chance; of 200 questions, 38 % would already be four standard errors above it.
        assert choices["base"] > 0.38 > choices["tuned"]


@pytest.mark.parametrize("name", SCORES)
def test_every_fine_tune_learned_its_target(name: str) -> None:
    base, (*_, target) = name.split("/")[0] + "/base", fixtures.MEASURED[name.split("/")[0]][:2]
    if name != base and target in SCORES[name]:
        assert SCORES[name][target]["log_loss"] < SCORES[base][target]["log_loss"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_checkpoint_fits_its_network_without_a_tensor_left_over(name: str) -> None:
    config = transformers.AutoConfig.from_pretrained(ROOT / name)
    model, found = getattr(transformers, config.architectures[0]).from_pretrained(
        ROOT / name, output_loading_info=True, **fixtures.arguments(name)
    )
    assert not any(found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not model.training


@pytest.mark.parametrize("name", ["timm-convnext/base", "timm-convnext/tuned"])
def test_a_checkpoint_of_timm_is_what_timm_reads_back(name: str) -> None:
    model, written = fixtures.load(ROOT, name), load_file(ROOT / name / "model.safetensors")
    assert not model.training
    assert model.state_dict().keys() == written.keys()
    assert all(torch.equal(tensor, written[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_tensor_of_an_adapter_reaches_its_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / name)
    # From its own folder an adapter finds the base that its configuration names.
    model: Any = AutoPeftModelForCausalLM.from_pretrained(".", dtype=torch.float32)
    loaded, written = get_peft_model_state_dict(model), load_file("adapter_model.safetensors")
    assert loaded.keys() == written.keys()
    assert all(torch.equal(loaded[key], written[key]) for key in written)
    assert all(tensor.any() for key, tensor in written.items() if "lora_B" in key)


def test_the_merged_checkpoint_is_base_with_the_adapter() -> None:
    ids = torch.arange(3, 60)[None]
    adapter = PeftModel.from_pretrained(fixtures.load(ROOT, "llama/base"), ROOT / "llama/lora").eval()
    with torch.no_grad():
        apart = adapter(input_ids=ids).logits
        merged = fixtures.load(ROOT, "llama/lora-merged")(input_ids=ids).logits
    assert torch.allclose(apart, merged, atol=1e-4)


def test_a_state_dict_and_save_pretrained_have_other_names_for_one_vit() -> None:
    in_memory = torch.load(ROOT / "vit/tuned-state.pt", weights_only=True)
    on_disk = load_file(ROOT / "vit/tuned/model.safetensors")
    assert len(in_memory) == len(on_disk)
    assert in_memory.keys() != on_disk.keys()
    model = fixtures.load(ROOT, "vit/tuned")
    assert all(torch.equal(tensor, in_memory[key]) for key, tensor in model.state_dict().items())


def test_what_is_said_of_tokens_is_so() -> None:
    tokenizers = {
        name: transformers.AutoTokenizer.from_pretrained(ROOT / name / "base")
        for name in ("bert", "gpt2", "llama")
    }
    text = "Return the value."
    ids = {name: tokenizer(text)["input_ids"] for name, tokenizer in tokenizers.items()}
    assert ids["llama"][0] == tokenizers["llama"].bos_token_id
    assert ids["bert"][0] == tokenizers["bert"].cls_token_id
    assert tokenizers["gpt2"].decode(ids["gpt2"]) == text
    assert tokenizers["bert"](text, text)["token_type_ids"][-1] == 1
    assert "token_type_ids" in tokenizers["gpt2"](text)
    assert tokenizers["gpt2"].pad_token is None
    assert tokenizers["llama"].pad_token is None


def test_no_text_that_is_measured_is_too_long_for_a_language_model() -> None:
    texts = [row for data in ("docs", "code") for row in fixtures.read_data(ROOT / "data", data)["text"]]
    texts += [
        f"{row['context']} {choice}"
        for row in fixtures.read_data(ROOT / "data", "choices")["rows"]
        for choice in row["choices"]
    ]
    for name in ("gpt2", "llama"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(ROOT / name / "base")
        assert max(map(len, tokenizer(texts)["input_ids"])) <= tokenizer.model_max_length


def test_half_of_the_classifiers_texts_are_longer_than_it_reads() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(ROOT / "bert/base")
    lengths = [
        len(ids) for ids in tokenizer(fixtures.read_data(ROOT / "data", "bert_val")["text"])["input_ids"]
    ]
    n_cut = sum(length > tokenizer.model_max_length for length in lengths)
    assert f"{n_cut} of the {len(lengths)} in `bert_val`" in (ROOT / "README.md").read_text()


def test_a_classifier_that_was_left_in_training_mode_scores_otherwise() -> None:
    model = fixtures.load(ROOT, "bert/base").train()
    torch.manual_seed(0)
    found = fixtures.score(ROOT, "bert/base", model, "bert_val")
    assert not as_measured(found, SCORES["bert/base"]["bert_val"])


def test_text_of_another_python_is_not_mixed_with_what_is_here(tmp_path: Path) -> None:
    (tmp_path / fixtures.SOURCES).write_text("0123  ast.py\n")
    with pytest.raises(SystemExit, match="has other text than what is here was made from"):
        fixtures.keep_sources(tmp_path, {"ast.py": "4567"}, anew=False)
    assert (tmp_path / fixtures.SOURCES).read_text() == "0123  ast.py\n"
    fixtures.keep_sources(tmp_path, {"ast.py": "4567"}, anew=True)
    assert (tmp_path / fixtures.SOURCES).read_text() == "4567  ast.py\n"


def test_the_readme_tells_the_scores_that_were_measured() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in SCORES:
        assert fixtures.row(name, SCORES[name]) in readme


def test_the_fixtures_stay_small_and_tell_nothing_of_the_machine() -> None:
    written = [path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in written) < 10_000_000
    assert all(path.stat().st_size < 620_000 for path in written)
    for path in written:
        assert str(ROOT.parents[1]) not in path.read_text("utf-8", errors="replace"), path
