"""Ranks, log loss and neighbours equal a loop over every query and every document, and ties are settled the hard way."""

import math

import numpy as np
import pytest
import torch
from tests.reference.retrieval import cosine, dot, retrieve
from torch import Tensor

from forgetaudit.stats import neighbours
from forgetaudit.stats.neighbours import overlap, rank_documents

RIGHT = [[0], [3, 1], [2], [4, 0, 6], [5], [1]]


def drawn(n: int, d: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def pairs(right: list[list[int]]) -> np.ndarray:
    return np.array([(query, place) for query, wanted in enumerate(right) for place in sorted(wanted)])


@pytest.mark.parametrize("chunk", [1, 14, neighbours.CHUNK])
@pytest.mark.parametrize("similarity", [cosine, dot])
def test_every_query_finds_what_a_loop_over_all_documents_finds(
    similarity: object, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    queries, documents = drawn(len(RIGHT)), drawn(7, seed=1)
    found = rank_documents(queries, documents, pairs(RIGHT), cosine=similarity is cosine, scale=3.0, k=3)
    expected = retrieve(
        queries.tolist(), documents.tolist(), [sorted(wanted) for wanted in RIGHT], similarity, 3.0, 3
    )
    assert found.predicted.tolist() == [one["predicted"] for one in expected]
    assert found.rank.tolist() == [rank for one in expected for rank in one["ranks"]]
    assert found.nll == pytest.approx([one["nll"] for one in expected], rel=1e-5)
    assert found.nearest.tolist() == [one["nearest"] for one in expected]


def test_a_wrong_document_that_is_as_near_as_the_right_one_ranks_before_it() -> None:
    documents = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = rank_documents(documents[:2], documents, pairs([[0], [1]]), cosine=True, scale=1.0, k=2)
    assert found.rank.tolist() == [2, 2]
    assert found.predicted.tolist() == [1, 0]


def test_documents_that_rounding_alone_tells_apart_are_ties() -> None:
    documents = torch.tensor([[1.0, 0.0], [1.0, 3e-4], [0.0, 1.0]])
    # The cosines are 1 and 1 − 4.5e-8.
    found = rank_documents(documents[:1], documents, pairs([[0]]), cosine=True, scale=1.0, k=1)
    assert found.rank.tolist() == [2]


def test_a_document_that_is_truly_nearer_is_no_tie() -> None:
    documents = torch.tensor([[1.0, 0.0], [1.0, 3e-2], [0.0, 1.0]])
    found = rank_documents(documents[:1], documents, pairs([[0]]), cosine=True, scale=1.0, k=1)
    assert found.rank.tolist() == [1]


def test_two_right_documents_that_are_equally_near_do_not_push_each_other_off_the_first_place() -> None:
    documents = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = rank_documents(documents[:1], documents, pairs([[0, 1]]), cosine=True, scale=1.0, k=1)
    assert (found.rank.tolist(), found.predicted.tolist()) == ([1, 2], [0])


def test_equally_near_neighbours_are_taken_in_their_order() -> None:
    documents = torch.ones(50, 2)
    found = rank_documents(drawn(1, 2).abs(), documents, pairs([[7]]), cosine=True, scale=1.0, k=5)
    assert found.nearest.tolist() == [[0, 1, 2, 3, 4]]
    assert found.rank.tolist() == [50]


def test_an_embedding_that_is_not_finite_finds_nothing_and_is_never_found() -> None:
    queries, documents = drawn(3), drawn(6, seed=1)
    queries[1, 0], documents[4] = math.nan, math.inf
    found = rank_documents(queries, documents, pairs([[0], [1], [4]]), cosine=True, scale=1.0, k=5)
    assert found.predicted.tolist()[1:] == [-1, -1]
    assert found.predicted[0] >= 0
    assert found.rank.tolist()[1:] == [7, 7]
    assert np.isnan(found.nll).tolist() == [False, True, True]
    assert 4 not in found.nearest[0]
    assert found.nearest[1].tolist() == [-1] * 5


def test_the_log_loss_of_far_documents_does_not_underflow() -> None:
    queries, documents = torch.tensor([[100.0]]), torch.tensor([[0.0], [100.0]])
    found = rank_documents(queries, documents, pairs([[0]]), cosine=False, scale=1.0, k=1)
    assert found.nll.tolist() == [10_000.0]


def test_overlap_is_the_share_of_neighbours_that_stayed_in_whatever_order() -> None:
    one = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]])
    other = np.array([[4, 3, 2, 1], [4, 9, 8, 1], [5, 6, 7, 8], [-1, -1, -1, -1]])
    assert overlap(one, other).tolist() == [1.0, 0.5, 0.0, 0.0]
