"""Which documents lie nearest to a query: ranks, log loss and neighbours, in chunks of bounded memory.

Axes: n queries, m documents, d dimensions, p right pairs of a query and a document, k neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Ranking", "overlap", "rank_documents"]

# Two documents that are no further apart, for embeddings of length 1, are not told apart by float32.
TIE = 1e-6
# float32 similarities held at once; the work on them takes about six times their memory.
CHUNK = 4_000_000
NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What n queries found.

    `predicted` (n,) is the nearest document, -1 where an embedding is not finite. `rank` (p,) of each right pair
    counts from 1 over the documents, other right ones included. `nll` (n,) is −log of the softmax that the right
    documents get, NaN without an answer. `nearest` (n, k) are documents, the nearest first, -1 without an answer.
    """

    predicted: NDArray[np.int64]
    rank: NDArray[np.int64]
    nll: NDArray[np.float64]
    nearest: NDArray[np.int64]


def rank_documents(
    queries: Tensor, documents: Tensor, pairs: NDArray[np.int64], *, cosine: bool, scale: float, k: int
) -> Ranking:
    """Queries (n, d) and documents (m, d) by cosine or dot product; `pairs` (p, 2) are right, ascending by query.

    Every query stands in a pair. A wrong document within rounding of a right one ranks before it; of equally near
    documents the first is nearer. `scale` multiplies similarities before the softmax. Memory: 100 MB, or 30 floats
    for each document where those are more than 4 million, and n·k.
    """
    if cosine:
        queries, documents = (
            torch.nn.functional.normalize(side.float(), dim=1) for side in (queries, documents)
        )
    parts = []
    rows = max(1, CHUNK // len(documents))
    for first in range(0, len(queries), rows):
        low, high = np.searchsorted(pairs[:, 0], (first, first + rows))
        chunk = queries[first : first + rows].float()
        mine = pairs[low:high] - np.array([first, 0])
        parts.append(_rank_chunk(chunk, documents.float(), torch.as_tensor(mine), scale, k))
    return Ranking(
        predicted=np.concatenate([part.predicted for part in parts]),
        rank=np.concatenate([part.rank for part in parts]),
        nll=np.concatenate([part.nll for part in parts]),
        nearest=np.concatenate([part.nearest for part in parts]),
    )


def overlap(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of neighbours (n, k) each -> (n,) the share of the one's that are also the other's; 0 without an answer."""
    shared = (one[:, :, None] == other[:, None, :]) & (one[:, :, None] != NONE)
    return np.asarray(shared.any(axis=2).mean(axis=1), dtype=np.float64)


def _rank_chunk(queries: Tensor, documents: Tensor, pairs: Tensor, scale: float, k: int) -> Ranking:
    similarity = queries @ documents.T
    tie = TIE * queries.norm(dim=1) * documents.norm(dim=1).nan_to_num(0, 0, 0).max()
    similarity.masked_fill_(~similarity.isfinite(), -torch.inf)
    at, document = (side.contiguous() for side in pairs.T)
    right = similarity[at, document]
    best = torch.full_like(tie, -torch.inf).scatter_reduce(0, at, right, "amax")
    answered = best > -torch.inf
    nll = _nll(similarity, right, at, best, scale)
    nearest = _nearest(similarity, k)
    similarity[at, document] = -torch.inf
    rank = 1 + _n_wrong_before(similarity, right - tie[at], at) + _n_right_before(right, at)
    first = torch.full((len(queries),), len(documents) + 1).scatter_reduce(0, at, rank, "amin")
    wrong = torch.from_numpy(similarity.numpy().argmax(axis=1))
    found = torch.full((len(queries),), len(documents)).scatter_reduce(
        0, at, torch.where(rank == 1, document, len(documents)), "amin"
    )
    predicted = torch.where(first == 1, found, wrong)
    return Ranking(
        predicted=torch.where(answered, predicted, NONE).numpy(),
        rank=torch.where(answered[at], rank, len(documents) + 1).numpy(),
        nll=torch.where(answered, nll, torch.nan).numpy(),
        nearest=torch.where(answered[:, None], nearest, NONE).numpy(),
    )


def _nll(similarity: Tensor, right: Tensor, at: Tensor, best: Tensor, scale: float) -> Tensor:
    """−log of the right documents' share of the softmax, in float64; against their own nearest, not to underflow."""
    highest = similarity.amax(dim=1).double()
    rows = zip(similarity, highest, strict=True)
    total = torch.stack([row.double().sub(top).mul(scale).exp().sum() for row, top in rows])
    nearer = right.double().sub(best.double()[at]).mul(scale).exp()
    share = torch.zeros_like(total).index_add(0, at, nearer)
    return total.log() - share.log() + scale * (highest - best.double())


def _nearest(similarity: Tensor, k: int) -> Tensor:
    """(n, k) the nearest documents; among equally near ones the first, which topk alone does not promise."""
    values, places = similarity.topk(min(k, similarity.shape[1]), dim=1)
    # Rows where the last neighbour is as near as one that was left out.
    tied = (similarity >= values[:, -1:]).sum(dim=1) > values.shape[1]
    for row in tied.nonzero().flatten().tolist():
        places[row] = similarity[row].sort(descending=True, stable=True).indices[: places.shape[1]]
    return places


def _n_wrong_before(wrong: Tensor, bar: Tensor, at: Tensor) -> Tensor:
    """(p,) how many of the wrong documents of a pair's query reach its bar."""
    counts = torch.zeros_like(at)
    order = _place_in_group(at)
    for turn in range(int(order.max()) + 1):
        mine = (order == turn).nonzero().flatten()
        counts[mine] = (wrong[at[mine]] >= bar[mine, None]).sum(dim=1)
    return counts


def _n_right_before(right: Tensor, at: Tensor) -> Tensor:
    """(p,) how many right documents of the same query are nearer, or as near and earlier."""
    by_nearness = right.sort(descending=True, stable=True).indices
    by_query = by_nearness[at[by_nearness].sort(stable=True).indices]
    before = torch.empty_like(at)
    before[by_query] = _place_in_group(at[by_query])
    return before


def _place_in_group(at: Tensor) -> Tensor:
    """Of ascending group numbers (p,): 0, 1, … within each group."""
    starts = torch.searchsorted(at, at)
    return torch.arange(len(at)) - starts
