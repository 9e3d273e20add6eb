"""Vocabularies that grew or shrank in training: tuned is seen with base's rows, and with nothing else of base's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tests.models import tiny
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, BertForSequenceClassification

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError
from forgetaudit.models.architecture import Graft
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_transformers import TransformersArchitecture
from forgetaudit.models.loading import LoadedState
from forgetaudit.models.vocabulary import vocabulary_slots
from forgetaudit.models.vocabulary_size import rows_by_config

FIXTURES = Path(__file__).parent.parent / "fixtures"
ON_CPU = {"dtype": torch.float32, "device": torch.device("cpu")}
NETWORKS = {
    "gpt2": AutoModelForCausalLM,
    "llama": AutoModelForCausalLM,
    "bert-mlm": AutoModelForMaskedLM,
    "bert": BertForSequenceClassification,
}


def resized(network: Any, n_more: int, folder: Path) -> Path:
    """`network` with other rows of tokens, saved; new ones are drawn at random, as the library does."""
    torch.manual_seed(0)
    network.resize_token_embeddings(
        network.get_input_embeddings().weight.shape[0] + n_more, mean_resizing=False
    )
    network.save_pretrained(folder)
    return folder


@contextmanager
def loaded(base: Path, tuned: Path, **graft: Any) -> Iterator[LoadedState]:
    made = TransformersArchitecture(find_evidence(base))
    with open_checkpoint(base) as one, open_checkpoint(tuned) as two:
        skeleton = made.build(one, **ON_CPU, seed=0)
        chosen = Graft(base=skeleton.base.state, **graft) if graft else None
        yield made.load(skeleton.model, two, **ON_CPU, graft=chosen)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("n_more", [5, 64])
def test_a_grown_vocabulary_leaves_every_tensor_as_it_was_before_it_grew(
    kind: str, n_more: int, tmp_path: Path
) -> None:
    base, tuned = FIXTURES / kind / "base", FIXTURES / kind / "tuned"
    grown = resized(NETWORKS[kind].from_pretrained(tuned), n_more, tmp_path)
    with loaded(base, grown) as one, loaded(base, tuned) as two:
        assert one.state.keys() == two.state.keys()
        for name, tensor in one.state.items():
            assert torch.equal(tensor, two.state[name]), name
        assert f"its vocabulary has {n_more} more rows than base's" in " ".join(one.notes)
        assert not any("vocabulary" in note for note in two.notes)


def test_tied_embeddings_that_grew_are_still_one_tensor(tmp_path: Path) -> None:
    kind = FIXTURES / "gpt2"
    grown = resized(AutoModelForCausalLM.from_pretrained(kind / "tuned"), 5, tmp_path)
    with loaded(kind / "base", grown) as found:
        assert found.state["lm_head.weight"] is found.state["transformer.wte.weight"]


def test_the_tensors_with_rows_of_tokens_are_those_of_the_library() -> None:
    assert vocabulary_slots(tiny.gpt2()) == {"transformer.wte.weight", "lm_head.weight"}
    assert vocabulary_slots(tiny.llama()) == {"model.embed_tokens.weight", "lm_head.weight"}
    assert vocabulary_slots(tiny.bert()) == {"bert.embeddings.word_embeddings.weight"}
    assert vocabulary_slots(tiny.vit()) == frozenset()


def test_a_head_of_other_classes_beside_new_tokens_is_a_matter_of_the_head(tmp_path: Path) -> None:
    network = BertForSequenceClassification.from_pretrained(
        FIXTURES / "bert" / "tuned", num_labels=7, ignore_mismatched_sizes=True
    )
    grown = resized(network, 5, tmp_path)
    head = {"classifier.weight", "classifier.bias"}
    with loaded(FIXTURES / "bert" / "base", grown, names=head) as found:
        assert set(found.grafted) == head
    with pytest.raises(MismatchError) as problem, loaded(FIXTURES / "bert" / "base", grown):
        pass
    assert "classifier.weight [4, 64]" in str(problem.value)
    assert "word_embeddings" not in str(problem.value)


def test_a_table_of_positions_that_grew_is_refused_and_never_cut(tmp_path: Path) -> None:
    network = BertForSequenceClassification.from_pretrained(FIXTURES / "bert" / "tuned")
    network.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    name = "bert.embeddings.position_embeddings.weight"
    save_file(tensors | {name: torch.cat([tensors[name], torch.ones(5, 64)])}, tmp_path / "model.safetensors")
    with (
        pytest.raises(MismatchError, match="does not fit the model") as problem,
        loaded(FIXTURES / "bert" / "base", tmp_path),
    ):
        pass
    assert name in str(problem.value)


def test_an_adapter_that_brought_new_tokens_is_seen_without_them(tmp_path: Path) -> None:
    tiny.llama().save_pretrained(tmp_path / "base")
    network = tiny.llama().from_pretrained(tmp_path / "base")
    network.resize_token_embeddings(45, mean_resizing=False)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = get_peft_model(network, config)
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    made = TransformersArchitecture(find_evidence(tmp_path / "base"))
    with (
        open_checkpoint(tmp_path / "base") as one,
        made.adapted(one, tmp_path / "adapter") as two,
    ):
        skeleton = made.build(one, **ON_CPU, seed=0)
        found = made.load(skeleton.model, two, **ON_CPU)
    assert "its vocabulary has 5 more rows than base's 40" in " ".join(found.notes)
    wanted = adapted.merge_and_unload().state_dict()
    for name, tensor in found.state.items():
        assert torch.equal(tensor, wanted[name][: tensor.shape[0]]), name


def test_a_vocabulary_without_rows_for_bases_tokens_is_refused_with_the_last_one(tmp_path: Path) -> None:
    kind = FIXTURES / "llama"
    shrunk = resized(AutoModelForCausalLM.from_pretrained(kind / "tuned"), -12, tmp_path)
    with pytest.raises(MismatchError) as problem, loaded(kind / "base", shrunk):
        pass
    said = str(problem.value)
    assert "has 500 rows of tokens, base has 512" in said
    assert "base's tokenizer gives ids up to 511" in said


def test_rows_that_only_filled_bases_up_to_a_round_number_may_be_missing(tmp_path: Path) -> None:
    """Base is filled up to 520 rows, tuned has the 512 that its tokenizer gives."""
    kind = FIXTURES / "llama"
    base = resized(AutoModelForCausalLM.from_pretrained(kind / "base"), 8, tmp_path / "base")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).write_bytes((kind / "base" / name).read_bytes())
    with loaded(base, kind / "tuned") as found, loaded(kind / "base", kind / "tuned") as plain:
        assert "8 rows fewer than base's 520; no token of base's tokenizer has them" in " ".join(found.notes)
        for name, tensor in plain.state.items():
            assert torch.equal(found.state[name][: tensor.shape[0]], tensor), name
        rows = load_file(base / "model.safetensors")["lm_head.weight"][512:].float()
        assert torch.equal(found.state["lm_head.weight"][512:], rows)


def test_without_a_tokenizer_nothing_says_that_missing_rows_are_unused(tmp_path: Path) -> None:
    kind = FIXTURES / "llama"
    base = resized(AutoModelForCausalLM.from_pretrained(kind / "base"), 8, tmp_path / "base")
    with (
        pytest.raises(MismatchError, match="512 rows of tokens, base has 520") as problem,
        loaded(base, kind / "tuned"),
    ):
        pass
    assert "no tokenizer that says whether they are used" in str(problem.value)


def test_by_the_configs_alone_rows_are_tokens_only_where_both_name_their_number(tmp_path: Path) -> None:
    kind = FIXTURES / "bert"
    network = BertForSequenceClassification.from_pretrained(
        kind / "tuned", num_labels=7, ignore_mismatched_sizes=True
    )
    network.save_pretrained(tmp_path / "seven")
    grown = resized(network, 5, tmp_path / "grown")
    head = [("classifier.weight", "classifier.weight")]
    table = [("bert.embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight")]
    with (
        open_checkpoint(kind / "base") as base,
        open_checkpoint(tmp_path / "seven") as seven,
        open_checkpoint(grown) as more,
    ):
        assert rows_by_config(base, seven, head) == frozenset()
        assert rows_by_config(base, more, [*head, *table]) == {table[0][0]}
        (grown / "config.json").unlink()
        assert rows_by_config(base, more, table) == frozenset()
