"""Retrieval by embeddings: whether a query's right document is the nearest of all.

A batch holds texts, each once, queries and documents alike. No query can be answered before all documents have been
seen, so embeddings are kept (`keep`) and judged at the end (`settle`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.gaps import Notes
from forgetaudit.stats.neighbours import Ranking, overlap, rank_documents
from forgetaudit.tasks.embedding_outputs import MASK, MeanOfTokens, embeddings_in
from forgetaudit.tasks.task import Encode, FinalAnswers, Outcomes, Sentences
from forgetaudit.tasks.text_pairs import TextPairs
from forgetaudit.tasks.unread import texts_cut

__all__ = ["Embedding"]

NEIGHBOURS = 10
CUTS = (5, 10)
# What the losses of sentence-transformers multiply a cosine by; a dot product is left as it is.
SCALE = {"cosine": 20.0, "dot": 1.0}


class Embedding:
    """The first text of a pair is a query, the second its right document, among all second texts of the data.

    Texts that are equal are one: a query may have several right documents, a document several queries. `positives`
    are the labels of pairs that belong together; the documents of others are searched, too (None: all belong
    together). `sentences` makes one embedding of a text's tokens, their mean without it. Memory: n·d float32 for
    each variant, n the number of different texts.
    """

    unit = "query"
    metric = "recall@1"
    class_names: tuple[str, ...] | None = None

    def __init__(
        self,
        encode: Encode,
        sentences: Sentences | None = None,
        *,
        positives: frozenset[int] | None = None,
        said: Sequence[str] = (),
    ) -> None:
        self._encode = encode
        self._sentences: Sentences = sentences or MeanOfTokens()
        self._positives = positives
        self._said = (*said, *self._sentences.said)
        self._pairs = TextPairs()
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._n_cut = 0
        self._told: Notes = ()

    def collate(self, examples: list[Example]) -> Batch:
        """The texts that have not been seen yet, each a row; perhaps none. `mask` is the attention mask.

        `groups` are the examples that they came with. DataError where one is no pair of texts.
        """
        rows: dict[str, tuple[str, str]] = {}
        for example in examples:
            rows |= {row: (text, example.id) for row, text in self._new_texts(example)}
        if not rows:
            return Batch(ids=())
        texts, groups = zip(*rows.values(), strict=True)
        # One tokenizer may serve several data sets, in turns.
        n_cut_before = int(getattr(self._encode, "n_truncated", 0))
        encoded = {name: tensor.clone() for name, tensor in self._encode(list(texts)).items()}
        self._n_cut += int(getattr(self._encode, "n_truncated", 0)) - n_cut_before
        return Batch(
            ids=tuple(rows),
            kwargs=encoded,
            mask=encoded.get(MASK, getattr(self._encode, "mask", None)),
            groups=groups,
        )

    def score(self, outputs: Any, batch: Batch) -> Outcomes:  # noqa: ARG002
        """No batch can be judged by itself: see `keep` and `settle`."""
        raise TypeError("queries are judged among all documents: keep every batch, then settle")

    def keep(self, outputs: Mapping[str, Any], batch: Batch) -> None:
        """Take in every variant's outputs for a batch. ModelError where they are no embeddings or hidden states."""
        for variant, found in outputs.items():
            rows = embeddings_in(found, batch, self._sentences).cpu()
            self._kept.setdefault(variant, {}).update(zip(batch.ids, rows, strict=True))

    def settle(self) -> FinalAnswers:
        """Every query against all documents; what was kept is let go. DataError for one query, or one document."""
        pairs, asked = self._pairs.together(), tuple(self._pairs.asked)
        n_documents = self._pairs.n_documents
        ranked = {variant: self._ranked(rows, pairs) for variant, rows in self._kept.items()}
        outcomes = {variant: _outcomes(found, pairs, n_documents) for variant, found in ranked.items()}
        base, *tuned = ranked
        soft = {
            variant: {f"overlap@{NEIGHBOURS}": overlap(ranked[base].nearest, ranked[variant].nearest)}
            for variant in tuned
            if n_documents > NEIGHBOURS
        }
        self._told = self._tell()
        self._pairs, self._kept, self._n_cut = TextPairs(), {}, 0
        return FinalAnswers(asked=asked, outcomes=outcomes, soft=soft)

    def decisions(self) -> Notes:
        """What was `said` beforehand, what was searched, how it is scored, and how many texts were cut."""
        return (*self._said, *self._told)

    def _tell(self) -> Notes:
        n_queries, n_documents = self._pairs.n_queries, self._pairs.n_documents
        longest = getattr(self._encode, "longest", None)
        limit = "the model reads" if longest is None else f"the {longest:,} tokens that the model reads"
        similarity = self._sentences.similarity
        return (
            f"{n_queries:,} queries, each searched for among all {n_documents:,} different documents",
            "accuracy is recall@1: a right document is nearer than every wrong one, by "
            f"{similarity}; ties count as wrong",
            f"log loss is that of a softmax over all documents, of {SCALE[similarity]:g} times the {similarity}, "
            "as sentence-transformers' losses have it",
            *texts_cut(self._n_cut, n_queries + n_documents, limit),
        )

    def _new_texts(self, example: Example) -> Iterator[tuple[str, str]]:
        """By row, the texts of an example that were not seen before, with their prompts."""
        asks = self._positives is None or example.label in self._positives
        query, document = self._pairs.take(example, asks=asks)
        if query is not None:
            yield f"query {self._pairs.n_queries - 1}", self._sentences.query_prompt + query
        if document is not None:
            yield f"document {self._pairs.n_documents - 1}", self._sentences.document_prompt + document

    def _ranked(self, rows: Mapping[str, Tensor], pairs: NDArray[np.int64]) -> Ranking:
        queries = torch.stack([rows[f"query {place}"] for place in range(self._pairs.n_queries)])
        documents = torch.stack([rows[f"document {place}"] for place in range(self._pairs.n_documents)])
        similarity = self._sentences.similarity
        return rank_documents(
            queries,
            documents,
            pairs,
            cosine=similarity == "cosine",
            scale=SCALE[similarity],
            k=NEIGHBOURS,
        )


def _outcomes(found: Ranking, pairs: NDArray[np.int64], n_documents: int) -> Outcomes:
    """`wanted` is a query's first right document; where another right one is nearest, that is correct, too."""
    starts = np.searchsorted(pairs[:, 0], np.arange(len(found.predicted)))
    n_right = np.diff([*starts, len(pairs)])
    first = np.minimum.reduceat(found.rank, starts)
    answered = found.predicted >= 0
    scores = {
        f"recall@{cut}": np.add.reduceat(found.rank <= cut, starts, dtype=np.float64) / n_right
        for cut in CUTS
        if cut < n_documents
    }
    return Outcomes(
        predicted=found.predicted,
        correct=(first == 1) & answered,
        nll=found.nll,
        n_classes=n_documents,
        wanted=pairs[starts, 1],
        guess=float(n_right.mean()) / n_documents,
        scores=scores | {"mrr": np.where(answered, 1 / first, 0.0)},
    )
