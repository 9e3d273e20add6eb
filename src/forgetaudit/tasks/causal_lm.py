"""Causal language modelling: every token of a text is predicted from those before it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.gaps import Notes
from forgetaudit.tasks.language import check_language
from forgetaudit.tasks.task import Outcomes, Setting, Task, Tokens
from forgetaudit.tasks.token_rows import TokenRow, as_batch, in_parts, texts_of
from forgetaudit.tasks.token_scores import score_tokens, token_kl, token_loss
from forgetaudit.tasks.unread import nothing_to_ask
from forgetaudit.tasks.windows import Window, strided

__all__ = ["CausalLM", "causal_lm"]

MOST_CONTEXT = 4096
"""The widest window: what models read at once today would fill any memory with scores of the vocabulary."""


class CausalLM:
    """Log loss and accuracy of every token of a text but the first, given all before it.

    A text is read as base's tokenizer reads it, with what that puts around a text, once. Texts longer than `context`
    (as the tokenizer says, at most `MOST_CONTEXT`) are read in windows, `stride` apart (half of it), each token asked
    once (Hugging Face, "Perplexity of fixed-length models"). Windows of a text are a group. `said` are decisions that
    made the task.
    """

    class_names = None
    unit = "token"

    def __init__(
        self,
        tokens: Tokens,
        *,
        context: int | None = None,
        stride: int | None = None,
        said: Sequence[str] = (),
    ) -> None:
        self._tokens = tokens
        self._said = tuple(said)
        self._context = min(tokens.longest, context or MOST_CONTEXT)
        self._stride = stride or max(1, self._context // 2)
        self._n_seen = self._n_long = self._n_short = self._n_started = 0

    def collate(self, examples: list[Example]) -> Batch:
        """A row for each window; `labels` (n, t) are the tokens asked. No row for texts that ask nothing."""
        rows: list[TokenRow] = []
        texts = texts_of(examples, "a causal language model")
        for example, ids in zip(examples, self._read(texts), strict=True):
            windows = list(strided(len(ids), self._context, self._stride))
            self._n_seen += 1
            self._n_long += len(windows) > 1
            self._n_short += not windows
            rows += [_row(example.id, number, ids, window) for number, window in enumerate(windows)]
        return as_batch(rows, self._tokens)

    def parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in parts whose scores fit in memory, of rows that are about as long."""
        return in_parts(batch, self._tokens.vocabulary)

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """See `forgetaudit.tasks.token_scores.score_tokens`: a token is answered one place before it stands."""
        return score_tokens(outputs, batch, ahead=1)

    def loss(self, outputs: Any, batch: Batch) -> Tensor:
        """The log loss of all tokens asked, in nats, differentiable: the sum of what `score` gives."""
        return token_loss(outputs, batch, ahead=1)

    def soft(self, base: Any, tuned: Any, batch: Batch) -> dict[str, NDArray[np.float64]]:
        """`kl`: KL(base‖tuned) over the next token, in nats, at every token that is asked."""
        return {"kl": token_kl(base, tuned, batch, ahead=1)}

    def decisions(self) -> Notes:
        """What was `said` beforehand, and how the texts that came were read."""
        told = [*self._said, "every token of a text is asked but the first, given those before it"]
        if self._n_long:
            overlap = self._context - self._stride
            told.append(
                f"{self._n_long:,} of {self._n_seen:,} texts are longer than {self._limit()}: read in windows that "
                f"overlap by {overlap:,}, every token asked once"
            )
        if self._n_started:
            told.append(
                f"{self._n_started:,} of {self._n_seen:,} texts begin with the start token that the tokenizer "
                "adds: not doubled"
            )
        return (*told, *nothing_to_ask(self._n_short, self._n_seen, fewest=2))

    def _limit(self) -> str:
        if self._context == self._tokens.longest:
            return f"the {self._context:,} tokens that the model reads"
        return f"{self._context:,} tokens (the model reads {self._tokens.longest:,})"

    def _read(self, texts: Sequence[str]) -> list[list[int]]:
        read = self._tokens.read(texts, special_tokens=True)
        start = self._tokens.start
        for number, ids in enumerate(read):
            if start is None or ids[:2] != [start, start]:
                continue
            (plain,) = self._tokens.read([texts[number]], special_tokens=False)
            if plain[:1] == [start] and plain == ids[1 : len(plain) + 1] and len(ids) > len(plain):
                read[number] = ids[1:]
                self._n_started += 1
        return read


def causal_lm(setting: Setting) -> Task:
    """The task for `setting`. DataError, ModelError where data or model are none of language."""
    tokens, said = check_language(setting, "causal-lm")
    return CausalLM(tokens, said=said)


def _row(example: str, number: int, ids: Sequence[int], window: Window) -> TokenRow:
    places = range(window.first, window.stop)
    return TokenRow(
        id=f"{example}.{number}",
        group=example,
        ids=ids[window.start : window.stop],
        asked={place - window.start: ids[place] for place in places},
    )
