"""Retrieval by embeddings: whether a query's right document is the nearest of all.

A batch holds texts, each once, queries and documents alike. No query can be answered before all documents have been
seen, so embeddings are kept (`keep`) and judged at the end (`settle`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError
from forgetaudit.stats.neighbours import Ranking, overlap, rank_documents
from forgetaudit.tasks.embedding_outputs import MASK, MeanOfTokens, embeddings_in
from forgetaudit.tasks.task import Encode, Outcomes, Sentences, Settled

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
        self._queries: dict[str, int] = {}
        self._documents: dict[str, int] = {}
        self._ids: list[str] = []
        self._pairs: dict[tuple[int, int], None] = {}
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._n_cut = 0

    def collate(self, examples: list[Example]) -> Batch:
        """The texts that have not been seen yet, each a row; perhaps none. `mask` is the attention mask.

        DataError where an example is no pair of texts, or one of the two is empty.
        """
        rows: dict[str, str] = {}
        for example in examples:
            rows |= self._take(example)
        if not rows:
            return Batch(ids=())
        # One tokenizer may serve several data sets, in turns.
        n_cut_before = int(getattr(self._encode, "n_truncated", 0))
        encoded = {name: tensor.clone() for name, tensor in self._encode(list(rows.values())).items()}
        self._n_cut += int(getattr(self._encode, "n_truncated", 0)) - n_cut_before
        return Batch(ids=tuple(rows), kwargs=encoded, mask=encoded.get(MASK))

    def score(self, outputs: Any, batch: Batch) -> Outcomes:  # noqa: ARG002
        """No batch can be judged by itself: see `keep` and `settle`."""
        raise TypeError("queries are judged among all documents: keep every batch, then settle")

    def keep(self, outputs: Mapping[str, Any], batch: Batch) -> None:
        """Take in every variant's outputs for a batch. ModelError where they are no embeddings or hidden states."""
        for variant, found in outputs.items():
            rows = embeddings_in(found, batch, self._sentences).cpu()
            self._kept.setdefault(variant, {}).update(zip(batch.ids, rows, strict=True))

    def settle(self) -> Settled:
        """Every query against all documents. DataError where nothing can be told apart: one query, one document."""
        self._refuse_too_few()
        pairs = np.array(sorted(self._pairs), dtype=np.int64)
        ranked = {variant: self._ranked(rows, pairs) for variant, rows in self._kept.items()}
        outcomes = {variant: self._outcomes(found, pairs) for variant, found in ranked.items()}
        base, *tuned = ranked
        soft = {
            variant: {f"overlap@{NEIGHBOURS}": overlap(ranked[base].nearest, ranked[variant].nearest)}
            for variant in tuned
            if len(self._documents) > NEIGHBOURS
        }
        return Settled(ids=tuple(self._ids), outcomes=outcomes, soft=soft)

    def decisions(self) -> tuple[str, ...]:
        """What was `said` beforehand, what was searched, how it is scored, and how many texts were cut."""
        n_queries, n_documents = len(self._queries), len(self._documents)
        if not n_documents:
            return self._said
        longest = getattr(self._encode, "longest", None)
        limit = "the model reads" if longest is None else f"the {longest:,} tokens that the model reads"
        cut = f"{self._n_cut:,} of {n_queries + n_documents:,} texts were longer than {limit}, and cut"
        return (
            *self._said,
            f"{n_queries:,} queries, each searched for among all {n_documents:,} different documents",
            "accuracy is recall@1: a right document is nearer than every wrong one, by "
            f"{self._sentences.similarity}; ties count as wrong",
            f"log loss is that of a softmax over all documents, of {SCALE[self._sentences.similarity]:g} times "
            "the similarity, the default of sentence-transformers' losses",
            *([cut] if self._n_cut else []),
        )

    def _take(self, example: Example) -> dict[str, str]:
        """The texts of an example that are new, with their prompts, by row."""
        query, document = _pair(example)
        rows = {}
        if document not in self._documents:
            rows[f"document {len(self._documents)}"] = self._sentences.document_prompt + document
            self._documents[document] = len(self._documents)
        if self._positives is not None and example.label not in self._positives:
            return rows
        if query not in self._queries:
            rows[f"query {len(self._queries)}"] = self._sentences.query_prompt + query
            self._queries[query] = len(self._queries)
            self._ids.append(example.id)
        self._pairs[self._queries[query], self._documents[document]] = None
        return rows

    def _refuse_too_few(self) -> None:
        for what, texts in (("query", self._queries), ("document", self._documents)):
            if len(texts) < 2:
                raise DataError(
                    f"the data hold {len(texts) or 'no'} {what}, from which nothing can be concluded",
                    details=[
                        f"{len(self._queries)} queries and {len(self._documents)} documents, each counted once"
                    ],
                    hint="pass pairs of a few hundred different texts",
                )

    def _ranked(self, rows: Mapping[str, Tensor], pairs: NDArray[np.int64]) -> Ranking:
        queries = torch.stack([rows[f"query {place}"] for place in range(len(self._queries))])
        documents = torch.stack([rows[f"document {place}"] for place in range(len(self._documents))])
        similarity = self._sentences.similarity
        return rank_documents(
            queries,
            documents,
            pairs,
            cosine=similarity == "cosine",
            scale=SCALE[similarity],
            k=NEIGHBOURS,
        )

    def _outcomes(self, found: Ranking, pairs: NDArray[np.int64]) -> Outcomes:
        """`wanted` is a query's first right document; where another right one is nearest, that is correct, too."""
        n, m = len(self._queries), len(self._documents)
        starts = np.searchsorted(pairs[:, 0], np.arange(n))
        n_right = np.diff([*starts, len(pairs)])
        first = np.minimum.reduceat(found.rank, starts)
        answered = found.predicted >= 0
        scores = {
            f"recall@{cut}": np.add.reduceat(found.rank <= cut, starts, dtype=np.float64) / n_right
            for cut in CUTS
            if cut < m
        }
        return Outcomes(
            predicted=found.predicted,
            correct=(first == 1) & answered,
            nll=found.nll,
            n_classes=m,
            wanted=pairs[starts, 1],
            guess=float(n_right.mean()) / m,
            scores=scores | {"mrr": np.where(answered, 1 / first, 0.0)},
        )


def _pair(example: Example) -> tuple[str, str]:
    if not isinstance(example.input, tuple):
        raise DataError(
            "an example is no pair of a query and its document",
            details=[f"example {example.id}"],
            hint="name both columns: --input-column query --input-column document",
        )
    query, document = example.input
    lacking = [what for what, text in (("query", query), ("document", document)) if not text.strip()]
    if lacking:
        raise DataError(
            f"a pair has no {' and no '.join(lacking)}, only an empty text",
            details=[f"example {example.id}: {query[:60]!r} and {document[:60]!r}"],
            hint="leave such rows out of the data",
        )
    return query, document
