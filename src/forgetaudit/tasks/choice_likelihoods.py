"""Log-likelihoods of endings under a causal model: each context is run once, its keys and values serve all its endings.

Axes: n questions, r rows of one call, k choices, t tokens, v words of the vocabulary.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from forgetaudit.data.batch_parts import outside_the_batch, part_of_batch
from forgetaudit.errors import ModelError
from forgetaudit.tasks.even_groups import even_groups
from forgetaudit.tasks.task import Tokens

__all__ = ["ABSENT", "ChoiceLikelihoods"]

ABSENT = -1
"""Stands where a shorter ending, or a question with fewer choices, has no token."""

# Tokens whose keys and values, or whose scores for every word, are held at once.
MOST_READ, MOST_SCORED = 16_384, 2_048
# One more call costs about as much as so many tokens of padding: measured on a processor, more where calls wait.
PADDED_ON_CPU, PADDED_ELSEWHERE = 64, 2_048
NEEDED = frozenset({"past_key_values", "use_cache", "attention_mask"})

Pair = tuple[int, int]
"""Row and choice."""


class ChoiceLikelihoods:
    """Runs a model that takes `tokens.arguments` on questions.

    `whole_because` says why every ending is run with its whole context: the model cannot go on from keys and values,
    or what came out of that was not what the whole text gives, as tried on the first questions. None: no reason is
    known.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._takes, self._longest = tokens.arguments, tokens.longest
        lacking = sorted(NEEDED - self._takes)
        self.whole_because = f"the model takes no {lacking[0]}" if lacking else None
        self._tried = bool(lacking)

    @property
    def said(self) -> str | None:
        """How contexts are run; None before the first questions have shown it."""
        if self.whole_because is not None:
            return f"every choice was run with its whole context: {self.whole_because}"
        return "each context was run once" if self._tried else None

    def __call__(self, model: Any, context: Tensor, mask: Tensor, endings: Tensor) -> Tensor:
        """The sum over each ending's tokens, (n, k) float64, −∞ where a question has no such choice.

        `context` (n, t) with `mask` is padded left, `endings` (n, k, t) right with ABSENT. ModelError where the model
        gives no scores for words.
        """
        run = _Run(model, context, mask, endings, self._takes, self._longest)
        if not self._tried:
            self.whole_because, self._tried = _disagreement(run), True
        return run.by_continuing() if self.whole_because is None else run.by_whole_rows()


class _Run:
    """One batch of questions on one model; `sums` are filled in as calls are made."""

    def __init__(
        self, model: Any, context: Tensor, mask: Tensor, endings: Tensor, takes: frozenset[str], longest: int
    ) -> None:
        self._model, self._takes, self._longest = model, takes, longest
        self._context, self._mask, self._endings = context, mask, endings
        self._most_padded = PADDED_ON_CPU if context.device.type == "cpu" else PADDED_ELSEWHERE
        self._lengths: list[int] = mask.sum(dim=1).tolist()
        self._n_tokens: list[list[int]] = (endings != ABSENT).sum(dim=2).tolist()
        self.sums = torch.full(endings.shape[:2], -torch.inf, dtype=torch.float64, device=endings.device)

    @property
    def dtype(self) -> torch.dtype:
        """That of the model's first weights."""
        return next((weights.dtype for weights in self._model.parameters()), torch.float32)

    def some(self) -> "_Run":
        """The shortest and the longest question, so that there is something to pad."""
        order = sorted(range(len(self._lengths)), key=lambda row: self._lengths[row])
        rows = sorted({order[0], order[-1]})
        return _Run(
            self._model,
            self._context[rows],
            self._mask[rows],
            self._endings[rows],
            self._takes,
            self._longest,
        )

    def by_continuing(self) -> Tensor:
        """Contexts first, then what follows them; only rows that are too long together are run whole."""
        fitting = {
            row: [choice for choice in self._choices(row) if self._fits(row, choice)]
            for row in range(len(self._lengths))
        }
        most = MOST_READ if "logits_to_keep" in self._takes else MOST_SCORED
        for rows in even_groups(self._lengths, most=most, most_padded=self._most_padded):
            self._continue(rows, [(row, choice) for row in rows for choice in fitting[row]])
        too_long = [
            (row, choice)
            for row, choices in fitting.items()
            for choice in self._choices(row)
            if choice not in choices
        ]
        self._run_whole(too_long)
        return self.sums

    def by_whole_rows(self) -> Tensor:
        """Every ending after its own copy of the context; features are those of the context before the first."""
        rows = range(len(self._lengths))
        self._run_whole([(row, 0) for row in rows], first=True)
        self._run_whole([(row, choice) for row in rows for choice in self._choices(row) if choice])
        return self.sums

    def _choices(self, row: int) -> list[int]:
        return [choice for choice, n in enumerate(self._n_tokens[row]) if n]

    def _fits(self, row: int, choice: int) -> bool:
        return self._lengths[row] + self._n_tokens[row][choice] - 1 <= self._longest

    def _continue(self, rows: Sequence[int], pairs: Sequence[Pair]) -> None:
        """Run the contexts of `rows`, score the first tokens of `pairs`, and go on with those that have more."""
        t = max(self._lengths[row] for row in rows)
        place = torch.tensor(rows, device=self._context.device)
        mask = self._mask[place, -t:]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        with part_of_batch(rows, mask):
            outputs = self._call(
                self._context[place, -t:], mask, position_ids=positions, use_cache=True, logits_to_keep=1
            )
        if pairs:
            self._score_first(rows, pairs, _scores(outputs)[:, -1])
        numbers = {row: number for number, row in enumerate(rows)}
        longer = [pair for pair in pairs if self._n_tokens[pair[0]][pair[1]] > 1]
        lengths = [self._n_tokens[row][choice] - 1 for row, choice in longer]
        limits = {"most": MOST_SCORED, "most_padded": self._most_padded, "most_rows": max(1, MOST_READ // t)}
        for group in even_groups(lengths, **limits):
            self._go_on([longer[one] for one in group], numbers, mask, outputs.past_key_values)

    def _score_first(self, rows: Sequence[int], pairs: Sequence[Pair], scores: Tensor) -> None:
        """The first token of each ending, by the scores (r, v) after the contexts of `rows`."""
        numbers = {row: number for number, row in enumerate(rows)}
        log_shares = torch.log_softmax(scores.float(), dim=-1)
        of_row, of_choice, number = _columns([(row, choice, numbers[row]) for row, choice in pairs], scores)
        first = self._endings[of_row, of_choice, 0]
        self.sums[of_row, of_choice] = log_shares[number, first].double()

    def _go_on(self, pairs: Sequence[Pair], numbers: dict[int, int], mask: Tensor, cache: Any) -> None:
        """All but the last token of each ending after its context; the last is only predicted."""
        of_row, of_choice, number = _columns([(row, choice, numbers[row]) for row, choice in pairs], mask)
        width = max(self._n_tokens[row][choice] for row, choice in pairs)
        ids = self._endings[of_row, of_choice, :width]
        read = ids[:, :-1]
        positions = mask[number].sum(dim=1, keepdim=True) + torch.arange(width - 1, device=ids.device)
        with outside_the_batch():
            outputs = self._call(
                read.clamp(min=0),
                torch.cat([mask[number], (read != ABSENT).to(mask.dtype)], dim=1),
                # Beyond the last position there is only padding.
                position_ids=positions.clamp(max=self._longest - 1),
                past_key_values=_selected(cache, number),
                use_cache=True,
            )
        self.sums[of_row, of_choice] += _sum_of(_scores(outputs), ids[:, 1:])

    def _run_whole(self, pairs: Sequence[Pair], *, first: bool = False) -> None:
        """Context and ending in one row, padded right; of too long ones the last tokens, as lm-eval keeps them."""
        lengths = [
            min(self._lengths[row] + self._n_tokens[row][choice] - 1, self._longest) for row, choice in pairs
        ]
        for group in even_groups(lengths, most=MOST_SCORED, most_padded=self._most_padded):
            self._whole_rows([pairs[one] for one in group], first=first)

    def _whole_rows(self, pairs: Sequence[Pair], *, first: bool) -> None:
        texts = [self._text(row, choice) for row, choice in pairs]
        n_read = [len(text) - 1 for text in texts]
        n_before = [
            len(text) - self._n_tokens[row][choice] for text, (row, choice) in zip(texts, pairs, strict=True)
        ]
        ids = torch.full((len(texts), max(n_read) + 1), ABSENT, device=self._context.device)
        for number, text in enumerate(texts):
            ids[number, : len(text)] = text
        places = torch.arange(ids.shape[1], device=ids.device)
        wanted = ids.masked_fill(places < _column(n_before, ids), ABSENT)[:, 1:]
        mask = (places[:-1] < _column(n_read, ids)).to(self._mask.dtype)
        keep = ids.shape[1] - min(n_before)
        of_context = (places[:-1] < _column(n_before, ids)).to(mask.dtype)
        with part_of_batch([row for row, _ in pairs], of_context) if first else outside_the_batch():
            outputs = self._call(ids[:, :-1].clamp(min=0), mask, logits_to_keep=keep)
        scores = _scores(outputs)
        of_row, of_choice = _columns(pairs, ids)
        self.sums[of_row, of_choice] = _sum_of(scores, wanted[:, -scores.shape[1] :])

    def _text(self, row: int, choice: int) -> Tensor:
        """The tokens of a context and an ending, the last `longest` + 1 of them."""
        context = self._context[row, self._context.shape[1] - self._lengths[row] :]
        ending = self._endings[row, choice, : self._n_tokens[row][choice]]
        return torch.cat([context, ending])[-(self._longest + 1) :]

    def _call(self, ids: Tensor, mask: Tensor, **further: Any) -> Any:
        """Pass on what the model takes."""
        passed = {"attention_mask": mask, **further}
        return self._model(
            input_ids=ids, **{name: value for name, value in passed.items() if name in self._takes}
        )


def _disagreement(run: _Run) -> str | None:
    """Why keys and values cannot be used again, tried on two questions against running them whole."""
    with outside_the_batch():
        whole = run.some().by_whole_rows()
        try:
            continued = run.some().by_continuing()
        except torch.OutOfMemoryError:
            raise
        # Whatever a model of a kind not foreseen here does with them.
        except Exception as error:
            return f"going on from its keys and values fails with {type(error).__name__}"
    rough = run.dtype in (torch.bfloat16, torch.float16)
    rtol, atol = (0.05, 0.5) if rough else (1e-3, 1e-3)
    if torch.allclose(whole, continued, rtol=rtol, atol=atol, equal_nan=True):
        return None
    return "going on from its keys and values gives other likelihoods than the whole text"


def _selected(cache: Any, rows: Tensor) -> Any:
    """The keys and values of `rows`, which may repeat, in a cache of their own."""
    own = copy.copy(cache)
    own.layers = [copy.copy(layer) for layer in cache.layers]
    own.batch_select_indices(rows)
    return own


def _sum_of(scores: Tensor, wanted: Tensor) -> Tensor:
    """Of scores (r, t, v) for the next word the log-likelihood of `wanted` (r, t), summed where it is not ABSENT."""
    logs = torch.log_softmax(scores.float(), dim=-1)
    found = logs.gather(2, wanted.clamp(min=0)[:, :, None])[:, :, 0]
    return found.double().masked_fill(wanted == ABSENT, 0).sum(dim=1)


def _scores(outputs: Any) -> Tensor:
    """The (r, t, v) scores that a causal model gives for every next word."""
    found = getattr(outputs, "logits", None)
    if not isinstance(found, Tensor) or found.dim() != 3:
        told = type(outputs).__name__ if not isinstance(found, Tensor) else str(tuple(found.shape))
        raise ModelError(
            f"the model gives no scores for the next token but {told}",
            hint="choices are scored by causal language models",
        )
    return found


def _columns(rows: Sequence[Sequence[int]], like: Tensor) -> Iterator[Tensor]:
    """The columns of one or more `rows` as int64 tensors."""
    return iter(torch.tensor(rows, dtype=torch.int64, device=like.device).unbind(dim=1))


def _column(values: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device)[:, None]
