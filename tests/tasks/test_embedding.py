"""Pairs of texts become queries and documents, each text is read once, and what cannot be judged is refused."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.reference.retrieval import cosine, dot, retrieve
from torch import Tensor

from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError, ModelError
from forgetaudit.tasks.embedding import Embedding
from forgetaudit.tasks.embedding_outputs import MeanOfTokens, embeddings_in
from forgetaudit.tasks.retrieving import embedding
from forgetaudit.tasks.task import Setting


class Letters:
    """Reads a text as its letters; `seen` are the texts that were asked for."""

    longest = 8

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.n_truncated = 0

    def __call__(self, texts: Sequence[Any]) -> Mapping[str, Tensor]:
        self.seen += texts
        self.n_truncated += sum(len(text) > self.longest for text in texts)
        rows = [[ord(letter) % 31 + 1 for letter in text[: self.longest]] for text in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def network(seed: int) -> Any:
    """A table of embeddings and nothing else."""
    table = torch.randn(32, 6, generator=torch.Generator().manual_seed(seed))
    return lambda input_ids, attention_mask: SimpleNamespace(last_hidden_state=table[input_ids])


def examples(pairs: Sequence[Any], labels: Sequence[int] | None = None) -> list[Example]:
    given = labels or [None] * len(pairs)
    return [
        Example(id=str(place), input=pair, label=label)
        for place, (pair, label) in enumerate(zip(pairs, given, strict=True))
    ]


def run(task: Embedding, given: Sequence[Example], batch_size: int = 2) -> Any:
    """Every batch through base and tuned, then settled."""
    models = {"base": network(0), "tuned": network(1)}
    for first in range(0, len(given), batch_size):
        batch = task.collate(list(given[first : first + batch_size]))
        if len(batch):
            task.keep({name: model(**batch.kwargs) for name, model in models.items()}, batch)
    return task.settle()


WORDS = [
    "ash",
    "birch",
    "cedar",
    "dogwood",
    "elm",
    "fir",
    "ginkgo",
    "hazel",
    "ironwood",
    "juniper",
    "kauri",
    "larch",
]
PAIRS = [(word, word[::-1][:-1]) for word in WORDS]


def embedded(text: str, seed: int) -> list[float]:
    """One text alone, which needs no mask."""
    ids = torch.tensor([[ord(letter) % 31 + 1 for letter in text[:8]]])
    found: list[float] = network(seed)(ids, None).last_hidden_state[0].double().mean(dim=0).tolist()
    return found


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_every_answer_is_that_of_a_loop_over_all_texts(batch_size: int) -> None:
    settled = run(Embedding(Letters()), examples(PAIRS), batch_size)
    for seed, variant in enumerate(("base", "tuned")):
        queries, documents = ([embedded(pair[side], seed) for pair in PAIRS] for side in (0, 1))
        right = [[place] for place in range(len(PAIRS))]
        expected = retrieve(queries, documents, right, cosine, 20.0, 10)
        found = settled.outcomes[variant]
        assert found.predicted.tolist() == [one["predicted"] for one in expected]
        assert found.correct.tolist() == [one["correct"] for one in expected]
        assert found.nll == pytest.approx([one["nll"] for one in expected], rel=1e-4)
        ranks = np.array([one["ranks"][0] for one in expected])
        assert found.scores["recall@5"].tolist() == (ranks <= 5).tolist()
        assert found.scores["recall@10"].tolist() == (ranks <= 10).tolist()
        assert found.scores["mrr"] == pytest.approx(1 / ranks)
        assert found.wanted is not None
        assert found.wanted.tolist() == list(range(len(PAIRS)))
        assert (found.n_classes, found.guess) == (12, pytest.approx(1 / 12))
    assert [one.id for one in settled.asked] == [*map(str, range(len(PAIRS)))]


def test_overlap_is_that_of_the_ten_nearest_of_base_and_tuned() -> None:
    settled = run(Embedding(Letters()), examples(PAIRS))
    nearest = []
    for seed in (0, 1):
        queries, documents = ([embedded(pair[side], seed) for pair in PAIRS] for side in (0, 1))
        answers = retrieve(queries, documents, [[n] for n in range(12)], cosine, 20.0, 10)
        nearest.append([set(one["nearest"]) for one in answers])
    expected = [len(one & other) / 10 for one, other in zip(*nearest, strict=True)]
    assert settled.soft["tuned"]["overlap@10"] == pytest.approx(expected)
    assert set(settled.soft) == {"tuned"}


def test_a_measure_that_every_ranking_would_pass_is_not_given() -> None:
    settled = run(Embedding(Letters()), examples(PAIRS[:5]))
    assert set(settled.outcomes["base"].scores) == {"mrr"}
    assert settled.soft == {}


def test_every_text_is_read_once_and_a_document_may_answer_several_queries() -> None:
    encode = Letters()
    task = Embedding(encode)
    pairs = [("ash", "tree"), ("birch", "tree"), ("ash", "tree"), ("rock", "stone"), ("tree", "ash")]
    settled = run(task, examples(pairs), batch_size=1)
    assert sorted(encode.seen) == sorted(["ash", "tree", "birch", "rock", "stone", "tree", "ash"])
    assert settled.outcomes["base"].wanted.tolist() == [0, 0, 1, 2]
    assert [one.id for one in settled.asked] == ["0", "1", "3", "4"]


def test_what_was_kept_is_let_go_and_the_same_data_may_be_run_again() -> None:
    task = Embedding(Letters())
    first, again = (run(task, examples(PAIRS), batch_size) for batch_size in (2, 5))
    assert again.asked == first.asked
    assert again.outcomes["base"].predicted.tolist() == first.outcomes["base"].predicted.tolist()
    assert any("12 queries" in str(said) for said in task.decisions())


def test_rows_are_told_by_the_example_that_they_came_with() -> None:
    batch = Embedding(Letters()).collate(examples([("ash", "tree"), ("elm", "tree")]))
    assert batch.groups == ("0", "0", "1")


def test_a_batch_of_texts_that_were_all_seen_has_no_rows() -> None:
    task = Embedding(Letters())
    task.collate(examples([("ash", "tree")]))
    assert len(task.collate(examples([("ash", "tree")]))) == 0


def test_of_several_right_documents_any_may_come_first_and_recall_is_the_share_found() -> None:
    pairs = [("ash", word) for word in WORDS[:6]] + [("elm", word) for word in WORDS[6:]]
    settled = run(Embedding(Letters()), examples(pairs))
    queries = [embedded(word, 0) for word in ("ash", "elm")]
    documents = [embedded(word, 0) for word in WORDS]
    expected = retrieve(queries, documents, [list(range(6)), list(range(6, 12))], cosine, 20.0, 10)
    found = settled.outcomes["base"]
    assert found.correct.tolist() == [one["correct"] for one in expected]
    assert found.scores["recall@5"] == pytest.approx(
        [sum(rank <= 5 for rank in one["ranks"]) / 6 for one in expected]
    )
    assert found.guess == pytest.approx(0.5)


def test_pairs_that_do_not_belong_together_are_searched_but_not_asked() -> None:
    labels = [1, 1, 0, 1, 0]
    task = Embedding(Letters(), positives=frozenset({1}))
    settled = run(task, examples(PAIRS[:5], labels))
    assert [one.id for one in settled.asked] == ["0", "1", "3"]
    assert settled.outcomes["base"].n_classes == 5
    assert settled.outcomes["base"].wanted.tolist() == [0, 1, 3]


def test_prompts_pooling_and_similarity_of_the_model_are_used() -> None:
    class Sentences:
        query_prompt, document_prompt, similarity, said = "q:", "d:", "dot", ("said of it",)

        def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
            return hidden[:, 2]

    encode = Letters()
    task = Embedding(encode, Sentences())
    settled = run(task, examples(PAIRS), batch_size=12)
    assert {"q:ash", "d:hs"} <= set(encode.seen)
    table = network(0)(torch.arange(32)[None], None).last_hidden_state[0].double()
    firsts = [[table[ord(pair[side][0]) % 31 + 1].tolist() for pair in PAIRS] for side in (0, 1)]
    close = settled.outcomes["base"].predicted.tolist()
    products = [[dot(query, document) for document in firsts[1]] for query in firsts[0]]
    assert all(
        row[guess] == pytest.approx(max(row), abs=1e-5) for row, guess in zip(products, close, strict=True)
    )
    assert "said of it" in task.decisions()
    assert any("by dot" in str(said) for said in task.decisions())


def test_what_was_searched_and_how_it_is_scored_is_told() -> None:
    task = Embedding(Letters(), said=("every pair belongs together",))
    assert task.decisions() == ("every pair belongs together", *MeanOfTokens.said)
    run(task, examples([("ash", "a tree of the olive family"), ("elm", "another")]))
    told = "\n".join(map(str, task.decisions()))
    assert "2 queries, each searched for among all 2 different documents" in told
    assert "accuracy is recall@1" in told
    assert "20 times the cosine" in told
    assert "1 of 4 texts were longer than the 8 tokens that the model reads, and cut" in told


@pytest.mark.parametrize(
    ("pairs", "fact"),
    [
        ([("ash", "tree"), ("ash", "bush")], "the data hold 1 query, from which nothing can be concluded"),
        ([("ash", "tree"), ("elm", "tree")], "the data hold 1 document, from which nothing can be concluded"),
    ],
)
def test_one_query_or_one_document_is_refused(pairs: Sequence[Any], fact: str) -> None:
    with pytest.raises(DataError) as refused:
        run(Embedding(Letters()), examples(pairs))
    assert refused.value.fact == fact
    assert refused.value.hint == "pass pairs of a few hundred different texts"


@pytest.mark.parametrize(
    ("pair", "fact"),
    [
        ("ash", "an example is no pair of a query and its document"),
        (("ash", " "), "a pair has no document, only an empty text"),
        (("", "tree"), "a pair has no query, only an empty text"),
        (("", ""), "a pair has no query and no document, only an empty text"),
    ],
)
def test_a_query_without_a_document_is_refused(pair: Any, fact: str) -> None:
    with pytest.raises(DataError) as refused:
        Embedding(Letters()).collate(examples([pair]))
    assert refused.value.fact == fact
    assert refused.value.hint


def test_a_batch_alone_is_not_judged() -> None:
    task = Embedding(Letters())
    batch = task.collate(examples([("ash", "tree")]))
    with pytest.raises(TypeError, match="keep every batch, then settle"):
        task.score(None, batch)


@pytest.mark.parametrize(
    "outputs",
    [
        SimpleNamespace(logits=torch.zeros(2, 3)),
        torch.zeros(3, 4),
        torch.zeros(2),
        torch.zeros(2, 3, 4, 5),
        torch.zeros(2, 4, dtype=torch.int64),
        {},
        (),
    ],
)
def test_a_model_that_returns_no_hidden_states_is_named(outputs: Any) -> None:
    batch = Embedding(Letters()).collate(examples([("ash", "tree")]))
    with pytest.raises(ModelError) as refused:
        embeddings_in(outputs, batch, MeanOfTokens())
    assert refused.value.fact.startswith("the model returned no hidden states but")
    assert refused.value.hint is not None
    assert "last_hidden_state" in refused.value.hint


def test_hidden_states_of_other_tokens_than_were_given_are_refused() -> None:
    batch = Embedding(Letters()).collate(examples([("ash", "tree")]))
    with pytest.raises(ModelError, match="returned 9 hidden states for texts of 4 tokens"):
        embeddings_in(torch.zeros(2, 9, 5), batch, MeanOfTokens())


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: (t, None), lambda t: {"last_hidden_state": t}])
def test_embeddings_and_hidden_states_are_taken_in_every_usual_form(wrap: Any) -> None:
    batch = Embedding(Letters()).collate(examples([("ash", "tree")]))
    hidden = torch.randn(2, 4, 5)
    expected = torch.stack([hidden[0, :3].mean(dim=0), hidden[1].mean(dim=0)])
    assert torch.allclose(embeddings_in(wrap(hidden), batch, MeanOfTokens()), expected, atol=1e-6)
    assert torch.equal(embeddings_in(wrap(hidden[:, 0]), batch, MeanOfTokens()), hidden[:, 0])


def setting(**given: Any) -> Setting:
    usual = {"of_text": True, "encode": Letters(), "labelled": False}
    return Setting(data="pairs", model="BertModel", model_task="embedding", **(usual | given))


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (None, 1),
        (("0", "1"), 1),
        (("not_duplicate", "duplicate"), 1),
        (("entailment", "not_entailment"), 0),
        (("entailment", "neutral", "contradiction"), 0),
        (("NO", "Yes"), 1),
    ],
)
def test_the_label_of_pairs_that_belong_together_is_found(names: Any, label: int) -> None:
    task = embedding(setting(labelled=True, class_names=names, labels_present=frozenset({0, 1})))
    run(task, examples(PAIRS, [label] * 11 + [1 - label]))
    told = task.decisions()[0]
    assert told == (
        f"pairs labelled {label if names is None else names[label]} belong together; "
        "documents of the others are searched, too"
    )
    assert any("11 queries" in str(said) for said in task.decisions())


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        (
            {"of_text": False},
            "pairs holds images or arrays, and BertModel is asked for embeddings of text",
        ),
        ({"encode": None}, "pairs holds text, and BertModel reads none"),
        (
            {"labelled": True, "labels_present": frozenset({0, 1, 2})},
            "the labels of pairs do not say which pairs belong together",
        ),
        (
            {"labelled": True, "class_names": ("sport", "science"), "labels_present": frozenset({0, 1})},
            "the labels of pairs do not say which pairs belong together",
        ),
        (
            {"labelled": True, "labels_present": frozenset({0})},
            "no pair of pairs belongs together, so there is nothing to be found",
        ),
    ],
)
def test_data_and_models_of_another_kind_are_refused(given: dict[str, Any], fact: str) -> None:
    with pytest.raises(DataError) as refused:
        embedding(setting(**given))
    assert refused.value.fact == fact
    assert refused.value.hint
