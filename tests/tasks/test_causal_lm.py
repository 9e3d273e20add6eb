"""Causal language models, on networks that were trained: tests/fixtures says how."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.fixtures import manifest as fixtures
from tests.reference import language as reference
from tests.tasks.letters import Letters, shown
from transformers import AutoTokenizer

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import make_variant
from forgetaudit.errors import DataError, ModelError
from forgetaudit.models.tokens import TokenReader
from forgetaudit.tasks.causal_lm import CausalLM, causal_lm
from forgetaudit.tasks.task import Outcomes, Setting
from forgetaudit.tasks.token_scores import IGNORED

ROOT = Path(__file__).parent.parent / "fixtures"
SCORES = json.loads((ROOT / "manifest.json").read_text())["scores"]
DOCS = [json.loads(line)["text"] for line in (ROOT / "data" / "docs.jsonl").read_text().splitlines()]
LONG = "\n\n".join(DOCS[:4])


@cache
def network(name: str) -> Any:
    return fixtures.load(ROOT, name)


def reader(name: str, longest: int = 128) -> TokenReader:
    family = name.split("/")[0]
    return TokenReader(AutoTokenizer.from_pretrained(ROOT / family / "base"), network(name), longest)


def examples(*texts: str) -> list[Example]:
    return [Example(id=f"id{number}", input=text, label=None) for number, text in enumerate(texts)]


@torch.no_grad()
def scored(task: CausalLM, name: str, *texts: str, size: int = 64) -> list[tuple[Batch, Outcomes]]:
    held = examples(*texts)
    batches = [
        part
        for first in range(0, len(held), size)
        for part in task.parts(task.collate(held[first : first + size]))
    ]
    return [(batch, task.score(network(name)(*batch.args, **batch.kwargs), batch)) for batch in batches]


def losses(found: list[tuple[Batch, Outcomes]]) -> np.ndarray:
    return np.concatenate([outcomes.nll for _, outcomes in found])


@pytest.mark.parametrize("name", ["gpt2/base", "gpt2/tuned", "llama/base", "llama/tuned"])
def test_a_data_set_scores_what_a_plain_loop_measured(name: str) -> None:
    found = scored(CausalLM(reader(name)), name, *DOCS)
    expected = SCORES[name]["docs"]
    assert len(losses(found)) == expected["n_tokens"]
    # Another processor may round a score the other way.
    n_right = sum(int(outcomes.correct.sum()) for _, outcomes in found)
    assert abs(n_right - expected["n_right"]) <= 2
    assert losses(found).mean() == pytest.approx(expected["log_loss"], abs=1e-6)


@pytest.mark.parametrize("name", ["gpt2/base", "llama/base"])
def test_the_mean_over_a_text_is_the_models_own_loss(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / name)
    for text in DOCS[:5]:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            own = network(name)(input_ids=ids, labels=ids).loss
        assert losses(scored(CausalLM(reader(name)), name, text)).mean() == pytest.approx(
            float(own), abs=1e-5
        )


@pytest.mark.parametrize("name", ["gpt2/base", "llama/base"])
@pytest.mark.parametrize("stride", [None, 5, 15])
def test_every_token_of_a_long_text_is_scored_as_by_a_forward_of_its_own(
    name: str, stride: int | None
) -> None:
    task = CausalLM(reader(name), context=16, stride=stride)
    text = LONG[:300]
    (ids,) = reader(name).read([text], special_tokens=True)
    found = losses(scored(task, name, text))
    alone = [
        reference.next_token_scores(network(name), ids, token, 16, stride or 8)
        for token in range(1, len(ids))
    ]
    expected = [reference.log_loss(one, right) for one, right in zip(alone, ids[1:], strict=True)]
    assert found == pytest.approx(expected, abs=2e-5)


def test_kl_is_that_of_two_forwards_for_each_token() -> None:
    task = CausalLM(reader("gpt2/base"), context=16)
    (ids,) = reader("gpt2/base").read([LONG[:150]], special_tokens=True)
    base, tuned = (network(f"gpt2/{name}") for name in ("base", "tuned"))
    found = []
    for part in task.parts(task.collate(examples(LONG[:150]))):
        with torch.no_grad():
            found += task.soft(base(**part.kwargs), tuned(**part.kwargs), part)["kl"].tolist()
    expected = [
        reference.kl(*(reference.next_token_scores(one, ids, token, 16, 8) for one in (base, tuned)))
        for token in range(1, len(ids))
    ]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["gpt2/base", "llama/base"])
def test_neither_batch_nor_filling_changes_a_token(name: str) -> None:
    together = losses(scored(CausalLM(reader(name)), name, *DOCS[:40]))
    alone = losses(scored(CausalLM(reader(name)), name, *DOCS[:40], size=1))
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_gpt2_is_given_no_types_of_tokens_though_its_tokenizer_makes_them() -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "gpt2" / "base")
    both = tokenizer(DOCS[0], return_tensors="pt")
    assert "token_type_ids" in both
    model = network("gpt2/base")
    with torch.no_grad():
        plain, with_types = model(input_ids=both["input_ids"]).logits, model(**both).logits
    ((batch, found),) = scored(CausalLM(reader("gpt2/base")), "gpt2/base", DOCS[0])
    assert set(batch.kwargs) == {"input_ids", "attention_mask", "use_cache"}
    task = CausalLM(reader("gpt2/base"))
    assert found.nll == pytest.approx(task.score(plain, batch).nll, abs=1e-6)
    # They would have changed every number.
    assert np.abs(found.nll - task.score(with_types, batch).nll).min() > 0


def test_questions_belong_to_their_text_by_window() -> None:
    task = CausalLM(Letters(longest=4))
    batch = task.collate(examples("abcdefg", "ab"))
    assert [shown(ids).rstrip("_") for ids in batch.kwargs["input_ids"].tolist()] == [
        "abcd",
        "cdef",
        "efg",
        "ab",
    ]
    assert batch.ids == ("id0.0", "id0.1", "id0.2", "id1.0")
    assert batch.groups == ("id0", "id0", "id0", "id1")
    assert batch.labels is not None
    asked = [shown([one for one in row if one != IGNORED]) for row in batch.labels.tolist()]
    assert asked == ["bcd", "ef", "g", "b"]
    outcomes = task.score(torch.zeros(4, 4, 30), batch)
    assert outcomes.row is not None
    assert outcomes.wanted is not None
    assert (outcomes.row.tolist(), shown(outcomes.wanted.tolist())) == ([0, 0, 0, 1, 1, 2, 3], "bcdefgb")
    assert (task.unit, task.class_names, outcomes.n_classes) == ("token", None, 30)


ALWAYS = "every token of a text is asked but the first, given those before it"


def test_what_was_done_to_long_and_short_texts_is_told() -> None:
    task = CausalLM(Letters(longest=4), said=["as you like it"])
    task.collate(examples("abcd", "abc"))
    assert task.decisions() == ("as you like it", ALWAYS)
    batch = task.collate(examples("abcdef", "a", ""))
    assert tuple(map(str, task.decisions()[2:])) == (
        "1 of 5 texts are longer than the 4 tokens that the model reads: read in windows that overlap by 2, "
        "every token asked once",
        "2 of 5 texts have fewer than 2 tokens: nothing to ask",
    )
    assert batch.groups == ("id0", "id0")


def test_a_context_wider_than_any_memory_is_not_used_whole_and_that_is_told() -> None:
    task = CausalLM(Letters(longest=131_072))
    batch = task.collate(examples("ab" * 2049))
    assert batch.kwargs["input_ids"].shape == (2, 4096)
    assert "longer than 4,096 tokens (the model reads 131,072): read in windows" in task.decisions()[1]


def test_texts_that_ask_nothing_are_no_row() -> None:
    task = CausalLM(Letters())
    assert [*task.parts(task.collate(examples("a", "")))] == []
    # What the tokenizer adds counts: one letter after a start is asked.
    batch = CausalLM(Letters(adds=("^", ""))).collate(examples("a", ""))
    assert batch.groups == ("id0",)


@pytest.mark.parametrize(
    ("adds", "text", "read"),
    [
        (("^", ""), "abc", "^abc"),
        (("^", ""), "^abc", "^abc"),
        (("^", "$"), "^abc", "^abc$"),
        (("^", ""), "^^abc", "^^abc"),
        (("", ""), "^abc", "^abc"),
        (("", ""), "^^abc", "^^abc"),
        (("", "$"), "^^abc", "^^abc$"),
    ],
)
def test_a_start_that_the_text_has_already_is_not_doubled(
    adds: tuple[str, str], text: str, read: str
) -> None:
    task = CausalLM(Letters(adds=adds))
    assert shown(task.collate(examples(text)).kwargs["input_ids"][0].tolist()) == read
    told = "1 of 1 texts begin with the start token that the tokenizer adds: not doubled"
    assert (told in task.decisions()) == (adds[0] == "^" and text[0] == "^")


def test_a_llama_reads_the_same_with_its_start_typed_out() -> None:
    plain, typed = (
        scored(CausalLM(reader("llama/base")), "llama/base", start + DOCS[0]) for start in ("", "<s>")
    )
    assert losses(plain).tolist() == losses(typed).tolist()


def test_blocks_that_did_not_change_are_computed_once_and_no_cache_stands_in_the_way() -> None:
    skeleton = network("gpt2/base")
    state = skeleton.state_dict()
    moved = {name: tensor + 0.01 if "h.1." in name else tensor for name, tensor in state.items()}
    base = make_variant("base", skeleton, state)
    variants = [base, make_variant("tuned", skeleton, moved, like=base)]
    task = CausalLM(reader("gpt2/base"))
    batches = [*task.parts(task.collate(examples(*DOCS[:8])))]
    answers = []
    for reuse in (True, False):
        stream = Stream(skeleton, variants, reuse=reuse)
        answers.append(
            [
                task.score(step.outputs[one], step.batch).nll
                for step in stream.run(batches)
                for one in step.outputs
            ]
        )
        assert bool(stream.calls_reused.get("transformer.h.0")) == reuse
    assert all(np.array_equal(one, other) for one, other in zip(*answers, strict=True))


def test_a_wide_vocabulary_is_read_off_the_network_and_not_the_tokenizer() -> None:
    assert reader("gpt2/base").vocabulary == network("gpt2/base").config.vocab_size


def setting(**given: Any) -> Setting:
    return Setting(
        **{"data": "docs", "model": "GPT2LMHeadModel", "of_text": True, "tokens": Letters(), **given}
    )


def test_labels_are_said_to_be_unused_where_there_are_any() -> None:
    assert "labels are not used: the text itself is what is asked" in causal_lm(setting()).decisions()
    assert causal_lm(setting(labelled=False)).decisions() == (ALWAYS,)


@pytest.mark.parametrize(
    ("given", "told", "hint"),
    [
        ({"of_text": False}, "docs holds images or arrays, and GPT2LMHeadModel takes text", "pass text"),
        ({"tokens": None}, "GPT2LMHeadModel came without a tokenizer", "copy tokenizer.json"),
        (
            {"model_task": "masked-lm"},
            "GPT2LMHeadModel was made for masked-lm, and not for causal-lm",
            "leave --task",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_with_what_to_do(
    given: dict[str, Any], told: str, hint: str
) -> None:
    with pytest.raises((DataError, ModelError)) as refusal:
        causal_lm(setting(**given))
    assert refusal.value.fact.startswith(told)
    assert refusal.value.hint is not None
    assert refusal.value.hint.startswith(hint)


def test_pairs_of_texts_are_refused() -> None:
    with pytest.raises(
        DataError, match="pairs of texts, and a causal language model reads one text at a time"
    ):
        CausalLM(Letters()).collate([Example(id="0", input=("a", "b"), label=None)])
