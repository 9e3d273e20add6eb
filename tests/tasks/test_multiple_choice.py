"""Multiple choice, on networks that were trained, against lm-eval's own numbers: tests/fixtures says how."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.fixtures import manifest as fixtures
from tests.reference import choices as reference
from tests.tasks.letters import Letters
from torch import Tensor, nn
from transformers import AutoTokenizer

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Choices, Example
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import make_variant
from forgetaudit.errors import DataError, ModelError
from forgetaudit.models.tokens import TokenReader
from forgetaudit.tasks.choice_encoding import encode_questions
from forgetaudit.tasks.multiple_choice import MultipleChoice, multiple_choice, multiple_choice_normalised
from forgetaudit.tasks.task import Outcomes, Setting

ROOT = Path(__file__).parent.parent / "fixtures"
SCORES = json.loads((ROOT / "manifest.json").read_text())["scores"]
LM_EVAL = json.loads((ROOT / "lm_eval.json").read_text())
ROWS = [json.loads(line) for line in (ROOT / "data" / "choices.jsonl").read_text().splitlines()]
ODD = LM_EVAL["odd"]
NETWORKS = tuple(LM_EVAL["likelihoods"])


@cache
def network(name: str) -> Any:
    return fixtures.load(ROOT, name)


def reader(name: str, longest: int = 128) -> TokenReader:
    family = name.split("/")[0]
    return TokenReader(AutoTokenizer.from_pretrained(ROOT / family / "base"), network(name), longest)


def examples(rows: list[dict[str, Any]]) -> list[Example]:
    return [
        Example(
            id=f"id{number}",
            input=Choices(context=row["context"], choices=tuple(row["choices"])),
            label=row["answer"],
        )
        for number, row in enumerate(rows)
    ]


@torch.no_grad()
def run(
    task: MultipleChoice, model: Any, rows: list[dict[str, Any]], size: int = 64
) -> list[tuple[Tensor, Outcomes]]:
    held = examples(rows)
    batches = [task.collate(held[first : first + size]) for first in range(0, len(held), size)]
    sums = [task.forward(model, **batch.kwargs) for batch in batches]
    return [(found, task.score(found, batch)) for found, batch in zip(sums, batches, strict=True)]


def likelihoods(found: list[tuple[Tensor, Outcomes]]) -> list[list[float]]:
    return [[value for value in row if value != -math.inf] for sums, _ in found for row in sums.tolist()]


def same(found: list[list[float]], expected: list[list[float]]) -> bool:
    return [len(row) for row in found] == [len(row) for row in expected] and bool(
        np.allclose(np.concatenate(found), np.concatenate(expected), rtol=0, atol=1e-4)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_likelihoods_and_answers_are_those_of_lm_eval(name: str) -> None:
    expected = LM_EVAL["likelihoods"][name]["choices"]
    task, by_length = (MultipleChoice(reader(name), normalised=how) for how in (False, True))
    assert task.decisions() == ("a choice is judged by its log-likelihood (lm-eval's acc), after one space",)
    found = run(task, network(name), ROWS)
    assert task.decisions()[1] == "each context was run once"
    assert same(likelihoods(found), expected["log_likelihoods"])
    assert np.concatenate([o.correct for _, o in found]).tolist() == expected["acc"]
    assert np.concatenate([o.scores["acc_norm"] for _, o in found]).tolist() == expected["acc_norm"]
    score = SCORES[name]["choices"]
    assert (sum(expected["acc"]), sum(expected["acc_norm"])) == (score["n_right"], score["n_right_by_length"])
    judged = run(by_length, network(name), ROWS[:64])[0][1]
    assert judged.correct.tolist() == expected["acc_norm"][:64]
    assert judged.scores["acc"].tolist() == expected["acc"][:64]


@pytest.mark.parametrize("size", [1, 3, 64])
@pytest.mark.parametrize("name", NETWORKS[::2])
def test_empty_and_long_contexts_spaces_and_single_tokens_are_read_as_lm_eval_reads_them(
    name: str, size: int
) -> None:
    task = MultipleChoice(reader(name))
    found = run(task, network(name), ODD, size)
    expected = LM_EVAL["likelihoods"][name]["odd"]
    assert same(likelihoods(found), expected["log_likelihoods"])
    assert np.concatenate([o.correct for _, o in found]).tolist() == expected["acc"]
    assert str(task.decisions()[-1]) == (
        "2 of 7 questions were longer than the 128 tokens that the model reads, and lost their beginning"
    )


def test_likelihoods_are_those_of_a_slow_loop_over_whole_texts() -> None:
    tokens = reader("llama/tuned", longest=60)
    slow = reference.in_double(network("llama/tuned"))
    rows = [*ROWS[:5], *ODD]
    questions = encode_questions(examples(rows), tokens)
    expected = [
        [reference.likelihood(slow, q.context, ending, 60) for ending in q.endings] for q in questions
    ]
    assert same(likelihoods(run(MultipleChoice(tokens), network("llama/tuned"), rows)), expected)


class Counted(nn.Module):
    """Passes calls on, and notes how many tokens and scores each had."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.read, self.scored = model, [], []

    def forward(self, *, input_ids: Tensor, **further: Any) -> Any:
        outputs = self.model(input_ids=input_ids, **further)
        self.read.append(input_ids.numel())
        self.scored.append(outputs.logits.shape[:2].numel())
        return outputs


def test_a_context_is_read_once_and_the_vocabulary_only_asked_where_it_must_be() -> None:
    model, tokens = Counted(network("gpt2/base")), reader("gpt2/base")
    task = MultipleChoice(tokens)
    run(task, model, ROWS[:2])  # tries on the first questions whether going on is exact
    model.read, model.scored = [], []
    run(task, model, ROWS[:64])
    questions = encode_questions(examples(ROWS[:64]), tokens)
    n_context = sum(len(q.context) for q in questions)
    n_after = sum(len(ending) - 1 for q in questions for ending in q.endings)
    assert n_context + n_after <= sum(model.read) < 1.3 * (n_context + n_after)
    assert sum(model.scored) <= 64 + 1.3 * n_after
    whole = sum(len(q.context) + len(ending) - 1 for q in questions for ending in q.endings)
    assert sum(model.read) < 0.6 * whole


def test_endings_of_one_token_take_no_second_call() -> None:
    model = Counted(network("gpt2/base"))
    task = MultipleChoice(reader("gpt2/base"))
    row = {"context": "The value is", "choices": ["a", "in", "of"], "answer": 0}
    assert {len(e) for e in encode_questions(examples([row]), reader("gpt2/base"))[0].endings} == {1}
    run(task, model, [row, row])
    n_before = len(model.read)
    run(task, model, [row, row])
    assert len(model.read) == n_before + 1


def test_calls_hold_no_more_tokens_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MOST_READ", 256), ("MOST_SCORED", 60)):
        monkeypatch.setattr(f"forgetaudit.tasks.choice_likelihoods.{name}", most)
    model = Counted(network("gpt2/base"))
    found = run(MultipleChoice(reader("gpt2/base")), model, ROWS[:20])
    assert max(model.read) <= 256
    assert max(model.scored) <= 60
    assert same(likelihoods(found), LM_EVAL["likelihoods"]["gpt2/base"]["choices"]["log_likelihoods"][:20])


class WithoutCache(nn.Module):
    """A causal model whose forward takes no keys and values."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)


class Forgetful(nn.Module):
    """Takes keys and values, and does not look at them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, past_key_values: Any = None, use_cache: bool = False
    ) -> Any:
        mask = attention_mask[:, -input_ids.shape[1] :]
        return self.model(input_ids=input_ids, attention_mask=mask, use_cache=use_cache)


class Failing(WithoutCache):
    """Takes keys and values, and fails with them."""

    def forward(self, past_key_values: Any = None, **further: Any) -> Any:
        if past_key_values is not None:
            raise NotImplementedError
        return self.model(**further)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (WithoutCache, "the model takes no past_key_values"),
        (Forgetful, "going on from its keys and values gives other likelihoods than the whole text"),
    ],
)
def test_a_model_that_cannot_go_on_is_run_on_whole_texts_and_it_is_said(kind: type[Any], said: str) -> None:
    model = kind(network("llama/base"))
    tokens = reader("llama/base")
    tokens.arguments = frozenset(kind.forward.__annotations__) - {"return"}
    task = MultipleChoice(tokens)
    rows = [*ROWS[:20], *ODD[:-2]]
    found = likelihoods(run(task, model, rows))
    assert task.decisions()[1] == f"every choice was run with its whole context: {said}"
    expected = LM_EVAL["likelihoods"]["llama/base"]
    assert same(found, expected["choices"]["log_likelihoods"][:20] + expected["odd"]["log_likelihoods"][:-2])


def test_a_model_that_fails_with_keys_and_values_is_run_on_whole_texts() -> None:
    task = MultipleChoice(reader("gpt2/base"))
    found = run(task, Failing(network("gpt2/base")), ROWS[:4])
    assert same(likelihoods(found), LM_EVAL["likelihoods"]["gpt2/base"]["choices"]["log_likelihoods"][:4])
    assert task.decisions()[1].endswith("going on from its keys and values fails with NotImplementedError")


def stream(family: str, task: MultipleChoice, layers: list[str], *, reuse: bool) -> Stream:
    """Base, tuned, and tuned with base's first block and embeddings: something to share."""
    skeleton = fixtures.load(ROOT, f"{family}/base")
    states = {name: fixtures.load(ROOT, f"{family}/{name}").state_dict() for name in ("base", "tuned")}
    shared = [
        name
        for name in states["base"]
        if "h.0" in name or "layers.0" in name or "wte" in name or "emb" in name
    ]
    states["mixed"] = {**states["tuned"], **{name: states["base"][name] for name in shared}}
    base = make_variant("base", skeleton, states["base"])
    others = [make_variant(name, skeleton, states[name], like=base) for name in ("tuned", "mixed")]
    return Stream(skeleton, [base, *others], layers=layers, reuse=reuse, call=task.forward)


@pytest.mark.parametrize(
    ("family", "layers"),
    [
        ("gpt2", ["transformer.wpe", "transformer.h.0", "transformer.h.1", "transformer.h.0.mlp"]),
        ("llama", ["model.embed_tokens", "model.layers.0", "model.layers.0.mlp", "model.norm"]),
    ],
)
def test_reuse_changes_no_bit_of_likelihoods_or_features(family: str, layers: list[str]) -> None:
    steps: list[list[Any]] = []
    for reuse in (True, False):
        task = MultipleChoice(reader(f"{family}/base"))
        running = stream(family, task, layers, reuse=reuse)
        batches = [task.collate(examples(rows)) for rows in (ROWS[:24], ODD, ROWS[24:30])]
        steps.append(list(running.run(batches)))
        assert running.not_measured == {}
        assert bool(running.calls_reused) is reuse
    for one, other in zip(*steps, strict=True):
        for variant in ("base", "tuned", "mixed"):
            assert torch.equal(one.outputs[variant], other.outputs[variant])
            for layer in layers:
                assert torch.equal(one.features[layer][variant], other.features[layer][variant])


@pytest.mark.parametrize("whole", [False, True])
def test_features_are_those_of_the_contexts_alone_in_the_order_of_the_questions(whole: bool) -> None:
    layers = ["model.embed_tokens", "model.layers.1", "model.norm"]
    tokens = reader("llama/base")
    if whole:
        tokens.arguments -= {"past_key_values"}
    task = MultipleChoice(tokens)
    rows = [*ROWS[:12], *ODD[:4]]
    (step,) = stream("llama", task, layers, reuse=True).run([task.collate(examples(rows))])
    questions = encode_questions(examples(rows), tokens)
    for layer in layers:
        for row, question in enumerate(questions):
            expected = reference.context_features(network("llama/base"), layer, question.context)
            assert torch.allclose(step.features[layer]["base"][row].double(), expected, atol=1e-5)


def test_log_loss_is_that_of_choosing_and_guessing_is_told_by_the_number_of_choices() -> None:
    batch = Batch(
        ids=("a", "b"),
        kwargs={"n_characters": torch.tensor([[4, 1, 0], [2, 2, 2]])},
        labels=torch.tensor([0, 2]),
    )
    sums = torch.tensor([[-4.0, -2.0, -math.inf], [-1.0, -1.0, -1.0]], dtype=torch.float64)
    found = MultipleChoice(Letters()).score(sums, batch)
    assert found.predicted.tolist() == [1, 0]
    assert found.correct.tolist() == [False, False]
    assert found.scores["acc_norm"].tolist() == [1, 0]
    assert found.nll.tolist() == pytest.approx([math.log(1 + math.exp(2)), math.log(3)])
    assert found.guess == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found.wanted is not None
    assert found.wanted.tolist() == [0, 2]


def test_likelihoods_that_are_no_numbers_are_no_answer() -> None:
    batch = Batch(ids=("a",), kwargs={"n_characters": torch.tensor([[4, 1]])}, labels=torch.tensor([0]))
    for normalised in (False, True):
        task = MultipleChoice(Letters(), normalised=normalised)
        found = task.score(torch.tensor([[math.nan, -1.0]], dtype=torch.float64), batch)
        assert (found.predicted.tolist(), found.correct.tolist()) == ([-1], [False])
        assert next(iter(found.scores.values())).tolist() == [0]
        assert math.isnan(found.nll[0])


def setting(**given: Any) -> Setting:
    usual: dict[str, Any] = {"of_choices": True, "model_task": "causal-lm", "tokens": Letters()}
    return Setting(data="quiz", model="GPT2LMHeadModel", **{**usual, **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"of_choices": False, "of_text": True}, "quiz holds no contexts with choices"),
        ({"model_task": "masked-lm"}, "GPT2LMHeadModel was made for masked-lm"),
        ({"model_task": "classification"}, "GPT2LMHeadModel was made for classification"),
        ({"tokens": None}, "GPT2LMHeadModel has no tokenizer"),
        ({"labelled": False}, "quiz does not say which choice is right"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_runs(given: dict[str, Any], said: str) -> None:
    for make in (multiple_choice, multiple_choice_normalised):
        with pytest.raises(DataError, match=said) as refusal:
            make(setting(**given))
        assert refusal.value.hint


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(DataError, match="something else than contexts with choices"):
        MultipleChoice(Letters()).collate([Example(id="0", input="a text", label=0)])


def test_an_ending_longer_than_the_model_reads_is_refused_by_name() -> None:
    task = MultipleChoice(reader("gpt2/base", longest=8))
    row = {"context": "The", "choices": ["value is returned by the method of the class", "x"], "answer": 0}
    with pytest.raises(
        DataError, match=r"choice 0 of example id0 has \d+ tokens, and the model reads 1 to 8"
    ):
        task.collate(examples([row]))


def test_an_empty_context_needs_a_token_to_begin_with() -> None:
    tokens = reader("gpt2/base")
    tokens.start = None
    with pytest.raises(ModelError, match="a context is empty, and base's tokenizer has no token"):
        MultipleChoice(tokens).collate(examples([{"context": " ", "choices": ["a", "b"], "answer": 0}]))


def test_a_model_without_scores_for_words_is_refused() -> None:
    task = MultipleChoice(reader("gpt2/base"))
    batch = task.collate(examples(ROWS[:2]))
    with pytest.raises(ModelError, match="no scores for the next token but BaseModelOutput"):
        task.forward(network("gpt2/base").transformer, **batch.kwargs)
