"""Pairs of a query and its document, each text known once."""

import numpy as np
from numpy.typing import NDArray

from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError

__all__ = ["TextPairs"]


class TextPairs:
    """The different queries and documents so far, numbered in their order, and which belong together. Mutable.

    `asked` are the examples that asked each query first.
    """

    def __init__(self) -> None:
        self.asked: list[Example] = []
        self._queries: dict[str, int] = {}
        self._documents: dict[str, int] = {}
        self._pairs: dict[tuple[int, int], None] = {}

    @property
    def n_queries(self) -> int:
        """How many different queries were asked."""
        return len(self._queries)

    @property
    def n_documents(self) -> int:
        """How many different documents there are."""
        return len(self._documents)

    def take(self, example: Example, *, asks: bool) -> tuple[str | None, str | None]:
        """Its query and its document, each None where it is known; without `asks` only the document counts.

        DataError where the example is no pair of texts, or one of the two is empty.
        """
        query, document = _pair(example)
        new_document = document not in self._documents
        place = self._documents.setdefault(document, len(self._documents))
        new_query = asks and query not in self._queries
        if new_query:
            self._queries[query] = len(self._queries)
            self.asked.append(example)
        if asks:
            self._pairs[self._queries[query], place] = None
        return query if new_query else None, document if new_document else None

    def together(self) -> NDArray[np.int64]:
        """(p, 2) query and right document, ascending. DataError where nothing could be told apart."""
        for what, n in (("query", self.n_queries), ("document", self.n_documents)):
            if n < 2:
                raise DataError(
                    f"the data hold {n or 'no'} {what}, from which nothing can be concluded",
                    details=[
                        f"{self.n_queries} queries and {self.n_documents} documents, equal texts counted once"
                    ],
                    hint="pass pairs of a few hundred different texts",
                )
        return np.array(sorted(self._pairs), dtype=np.int64)


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
