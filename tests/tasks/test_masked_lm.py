"""Masked language models, on one that was trained: tests/fixtures says how."""

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
from forgetaudit.errors import DataError, ModelError
from forgetaudit.models.tokens import TokenReader
from forgetaudit.tasks.masked_lm import MaskedLM, masked_lm
from forgetaudit.tasks.task import Outcomes, Setting
from forgetaudit.tasks.token_scores import IGNORED

ROOT = Path(__file__).parent.parent / "fixtures"
SCORES = json.loads((ROOT / "manifest.json").read_text())["scores"]
DOCS = [json.loads(line)["text"] for line in (ROOT / "data" / "docs.jsonl").read_text().splitlines()]
BERT = ROOT / "bert-mlm" / "base"
AROUND = ("^", "$")


@cache
def network(name: str = "base") -> Any:
    return fixtures.load(ROOT, f"bert-mlm/{name}")


def reader(longest: int = 64) -> TokenReader:
    return TokenReader(AutoTokenizer.from_pretrained(BERT), network(), longest)


def examples(*texts: str) -> list[Example]:
    return [Example(id=f"id{number}", input=text, label=None) for number, text in enumerate(texts)]


@torch.no_grad()
def scored(task: MaskedLM, *texts: str, model: Any = None, size: int = 64) -> list[tuple[Batch, Outcomes]]:
    held = examples(*texts)
    groups = [held[first : first + size] for first in range(0, len(held), size)]
    batches = [part for group in groups for part in task.parts(task.collate(group))]
    return [(batch, task.score((model or network())(**batch.kwargs), batch)) for batch in batches]


def losses(found: list[tuple[Batch, Outcomes]]) -> np.ndarray:
    return np.concatenate([outcomes.nll for _, outcomes in found])


def rows(batch: Batch) -> list[str]:
    return [shown(ids).rstrip("_") for ids in batch.kwargs["input_ids"].tolist()]


def asked(batch: Batch) -> list[str]:
    assert batch.labels is not None
    return [shown([token for token in row if token != IGNORED]) for row in batch.labels.tolist()]


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_a_data_set_scores_what_a_plain_loop_measured(name: str) -> None:
    # The loop cut every text at the context; so the first pieces are what it saw.
    found = scored(MaskedLM(reader()), *DOCS, model=network(name))
    first = [
        (outcomes.nll[at], outcomes.correct[at])
        for batch, outcomes in found
        for at, row in enumerate(outcomes.row if outcomes.row is not None else [])
        if batch.ids[row].endswith(".0")
    ]
    expected = SCORES[f"bert-mlm/{name}"]["docs"]
    assert len(first) == expected["n_tokens"] < len(losses(found))
    # Another processor may round a score the other way.
    assert abs(sum(right for _, right in first) - expected["n_right"]) <= 2
    assert np.mean([nll for nll, _ in first]) == pytest.approx(expected["log_loss"], abs=1e-6)


def test_every_hidden_token_is_scored_as_by_a_forward_of_its_own() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BERT)
    text = DOCS[0][:150]
    ids = tokenizer(text)["input_ids"]
    hidden = reference.hidden_places(ids, set(tokenizer.all_special_ids))
    alone = [
        reference.hidden_token_scores(network(), ids, hidden, place, tokenizer.mask_token_id)
        for place in hidden
    ]
    expected = [reference.log_loss(one, ids[place]) for one, place in zip(alone, hidden, strict=True)]
    assert losses(scored(MaskedLM(reader()), text)) == pytest.approx(expected, abs=1e-5)


def test_kl_is_that_of_two_forwards_for_each_hidden_token() -> None:
    task, tokenizer = MaskedLM(reader()), AutoTokenizer.from_pretrained(BERT)
    ids = tokenizer(DOCS[0][:150])["input_ids"]
    hidden = reference.hidden_places(ids, set(tokenizer.all_special_ids))
    base, tuned = network("base"), network("tuned")
    (part,) = task.parts(task.collate(examples(DOCS[0][:150])))
    with torch.no_grad():
        found = task.soft(base(**part.kwargs), tuned(**part.kwargs), part)["kl"]
    mask = tokenizer.mask_token_id
    expected = [
        reference.kl(*(reference.hidden_token_scores(one, ids, hidden, at, mask) for one in (base, tuned)))
        for at in hidden
    ]
    assert found == pytest.approx(expected, abs=1e-5)


def test_neither_batch_nor_filling_changes_a_token() -> None:
    together, alone = (losses(scored(MaskedLM(reader()), *DOCS[:30], size=size)) for size in (30, 1))
    assert together == pytest.approx(alone, abs=1e-5)


def test_one_in_seven_is_hidden_and_special_tokens_are_not_counted() -> None:
    task = MaskedLM(Letters(longest=30, adds=AROUND))
    batch = task.collate(examples("abcdefghijklm", "ab_cde"))
    assert rows(batch) == ["^abc?efghij?lm$", "^ab_c?e$"]
    assert asked(batch) == ["dk", "d"]
    assert (batch.groups, set(batch.kwargs)) == (("id0", "id1"), {"input_ids", "attention_mask", "use_cache"})
    outcomes = task.score(torch.zeros(2, 15, 30), batch)
    assert outcomes.row is not None
    assert outcomes.wanted is not None
    assert (outcomes.row.tolist(), shown(outcomes.wanted.tolist())) == ([0, 0, 1], "dkd")
    assert (task.unit, task.class_names) == ("token", None)


def test_a_long_text_is_cut_into_pieces_each_within_what_surrounds_a_text() -> None:
    task = MaskedLM(Letters(longest=7, adds=AROUND))
    batch = task.collate(examples("abcdefghij", "xyzw"))
    assert rows(batch) == ["^abc?e$", "^fgh?j$", "^xyz?$"]
    assert batch.ids == ("id0.0", "id0.1", "id1.0")
    assert batch.groups == ("id0", "id0", "id1")
    # Every token stands in one piece; the last, too short to hide one of, is no row.
    assert rows(task.collate(examples("abcdefghijklm"))) == ["^abc?e$", "^fgh?j$"]


ALWAYS = "hidden and asked: every 7th token of a text from the 4th on, all at once, the same for every model"


def test_what_was_done_to_long_and_short_texts_is_told() -> None:
    task = MaskedLM(Letters(longest=7, adds=AROUND), said=["as you like it"])
    task.collate(examples("abcde", "abcd"))
    assert task.decisions() == ("as you like it", ALWAYS)
    task.collate(examples("abcdef", "abc", ""))
    assert tuple(map(str, task.decisions()[2:])) == (
        "1 of 5 texts are longer than the 7 tokens that the model reads: read in 2 pieces",
        "2 of 5 texts have fewer than 4 tokens: nothing to ask",
    )


def test_texts_that_ask_nothing_are_no_row() -> None:
    task = MaskedLM(Letters(adds=AROUND))
    assert [*task.parts(task.collate(examples("abc", "")))] == []


def test_a_tokenizer_without_a_token_for_a_hidden_one_is_refused() -> None:
    with pytest.raises(ModelError) as refusal:
        MaskedLM(Letters(mask=None))
    assert refusal.value.fact == "the tokenizer has no token that stands for a hidden one"
    assert refusal.value.hint is not None
    assert "--task causal-lm" in refusal.value.hint


def setting(**given: Any) -> Setting:
    return Setting(
        **{"data": "docs", "model": "BertForMaskedLM", "of_text": True, "tokens": Letters(), **given}
    )


def test_labels_are_said_to_be_unused_where_there_are_any() -> None:
    assert masked_lm(setting()).decisions()[0] == "labels are not used: the text itself is what is asked"
    assert masked_lm(setting(labelled=False)).decisions() == (ALWAYS,)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"of_text": False}, "docs holds images or arrays, and BertForMaskedLM takes text"),
        ({"tokens": None}, "BertForMaskedLM came without a tokenizer"),
        ({"model_task": "causal-lm"}, "BertForMaskedLM was made for causal-lm, and not for masked-lm"),
    ],
)
def test_what_cannot_be_judged_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises((DataError, ModelError)) as refusal:
        masked_lm(setting(**given))
    assert refusal.value.fact.startswith(told)
    assert refusal.value.hint
