"""Masked language modelling: some tokens of a text are hidden, and predicted from all others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import ModelError
from forgetaudit.gaps import Notes
from forgetaudit.tasks.language import check_language
from forgetaudit.tasks.task import Outcomes, Setting, Task, Tokens
from forgetaudit.tasks.token_rows import TokenRow, as_batch, in_parts, texts_of
from forgetaudit.tasks.token_scores import score_tokens, token_kl, token_loss
from forgetaudit.tasks.unread import nothing_to_ask
from forgetaudit.tasks.windows import Window, cut

__all__ = ["MaskedLM", "masked_lm"]

FIRST, EVERY = 3, 7
"""One in seven is close to the share of 15 % that such models are trained with (Devlin et al. 2019)."""


class MaskedLM:
    """Log loss and accuracy of hidden tokens, given the rest of the text.

    Of the tokens of a text, special ones apart, numbers 3, 10, 17, … counted from 0 are hidden, all at once: the same
    in every audit. Texts longer than the model reads are cut into pieces, each with what the tokenizer puts around a
    text, and counted anew; pieces of a text are a group. `said` are decisions that made the task.
    ModelError where the tokenizer has no token for a hidden one.
    """

    class_names = None
    unit = "token"

    def __init__(self, tokens: Tokens, *, said: Sequence[str] = ()) -> None:
        if tokens.mask is None:
            raise ModelError(
                "the tokenizer has no token that stands for a hidden one",
                hint="pass a masked language model with its own tokenizer; for one that reads on, --task causal-lm",
            )
        self._tokens = tokens
        self._mask = tokens.mask
        self._said = tuple(said)
        self._n_seen = self._n_long = self._n_short = self._n_pieces = 0

    def collate(self, examples: list[Example]) -> Batch:
        """A row for each text or piece; `labels` (n, t) are the hidden tokens. No row where nothing is hidden."""
        texts = texts_of(examples, "a masked language model")
        rows: list[TokenRow] = []
        whole = self._tokens.read(texts, special_tokens=True)
        plain = self._tokens.read(texts, special_tokens=False)
        for example, around, ids in zip(examples, whole, plain, strict=True):
            before, after = _special_tokens(around, ids)
            pieces = list(cut(len(ids), max(1, self._tokens.longest - len(before) - len(after))))
            made = [self._row(example.id, n, ids, piece, before, after) for n, piece in enumerate(pieces)]
            asking = [row for row in made if row.asked]
            self._n_seen += 1
            if len(pieces) > 1:
                self._n_long += 1
                self._n_pieces += len(pieces)
            self._n_short += not asking
            rows += asking
        return as_batch(rows, self._tokens)

    def parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in parts whose scores fit in memory, of rows that are about as long."""
        return in_parts(batch, self._tokens.vocabulary)

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """See `forgetaudit.tasks.token_scores.score_tokens`: a token is answered where it stands."""
        return score_tokens(outputs, batch, ahead=0)

    def loss(self, outputs: Any, batch: Batch) -> Tensor:
        """The log loss of all tokens asked, in nats, differentiable: the sum of what `score` gives."""
        return token_loss(outputs, batch, ahead=0)

    def soft(self, base: Any, tuned: Any, batch: Batch) -> Mapping[str, NDArray[np.float64]]:
        """`kl`: KL(base‖tuned) over the hidden token, in nats, at every one."""
        return {"kl": token_kl(base, tuned, batch, ahead=0)}

    def decisions(self) -> Notes:
        """What was `said` beforehand, and how the texts that came were read."""
        told = [
            *self._said,
            f"hidden and asked: every {EVERY}th token of a text from the {FIRST + 1}th on, all at once, "
            "the same for every model",
        ]
        if self._n_long:
            told.append(
                f"{self._n_long:,} of {self._n_seen:,} texts are longer than the {self._tokens.longest:,} tokens "
                f"that the model reads: read in {self._n_pieces:,} pieces"
            )
        return (*told, *nothing_to_ask(self._n_short, self._n_seen, fewest=FIRST + 1))

    def _row(
        self, example: str, number: int, ids: list[int], piece: Window, before: list[int], after: list[int]
    ) -> TokenRow:
        row = [*before, *ids[piece.start : piece.stop], *after]
        places = [place for place, token in enumerate(row) if token not in self._tokens.special]
        asked = {place: row[place] for place in places[FIRST::EVERY]}
        shown = [self._mask if place in asked else token for place, token in enumerate(row)]
        return TokenRow(id=f"{example}.{number}", group=example, ids=shown, asked=asked)


def masked_lm(setting: Setting) -> Task:
    """The task for `setting`. DataError, ModelError where data or model are none of language."""
    tokens, said = check_language(setting, "masked-lm")
    return MaskedLM(tokens, said=said)


def _special_tokens(whole: list[int], plain: list[int]) -> tuple[list[int], list[int]]:
    """What the tokenizer put before and after a text."""
    for n_before in range(len(whole) - len(plain) + 1):
        if whole[n_before : n_before + len(plain)] == plain:
            return whole[:n_before], whole[n_before + len(plain) :]
    return [], []
