"""Rows of tokens → batches: filled up on the right, and taken apart again where one pass would hold too much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError
from forgetaudit.tasks.task import Tokens
from forgetaudit.tasks.token_scores import IGNORED

__all__ = ["TokenRow", "as_batch", "in_parts", "texts_of"]

MOST_SCORE_BYTES = 512 * 2**20
"""What the scores of one pass may take for each variant, in float32."""

# What a pass costs beside its tokens, in tokens: why rows are not all passed one by one.
PASS_COST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """What the model reads at once: `ids`, and by place the token that is asked there. `group` is the example."""

    id: str
    group: str
    ids: Sequence[int]
    asked: Mapping[int, int]


def texts_of(examples: Sequence[Example], name: str) -> list[str]:
    """The examples' texts. DataError where one is an image or array, or a pair of texts."""
    for example in examples:
        if isinstance(example.input, tuple):
            raise DataError(
                f"the data hold pairs of texts, and {name} reads one text at a time",
                hint="name the column of the text with --input-column",
            )
        if not isinstance(example.input, str):
            raise DataError(
                f"the data hold images or arrays, and {name} reads text",
                hint="pass data with a column of text",
            )
    return [str(example.input) for example in examples]


def as_batch(rows: Sequence[TokenRow], tokens: Tokens) -> Batch:
    """One batch with only what the network takes beside ids; `labels` (n, t) as in transformers, `mask` (n, t)."""
    width = max((len(row.ids) for row in rows), default=0)
    ids = torch.full((len(rows), width), tokens.pad)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids, dtype=torch.int64)
        mask[number, : len(row.ids)] = 1
        for place, token in row.asked.items():
            labels[number, place] = token
    # token_type_ids are never among them: a GPT-2 adds an embedding for them to every place without a word.
    beside: dict[str, Any] = {"attention_mask": mask, "use_cache": False}
    return Batch(
        ids=tuple(row.id for row in rows),
        kwargs={"input_ids": ids, **{name: beside[name] for name in beside if name in tokens.arguments}},
        labels=labels,
        mask=mask,
        groups=tuple(row.group for row in rows),
    )


def in_parts(batch: Batch, vocabulary: int) -> Iterator[Batch]:
    """The batch's rows in their order, in parts that are no wider than their longest row, and not too large.

    A part has at most as many rows as the batch has examples, and its scores at most `MOST_SCORE_BYTES`, unless one
    row alone has more. Parts are cut where that saves more filling than another pass costs. None for no rows.
    """
    if batch.mask is None or batch.groups is None or not len(batch):
        return
    lengths = batch.mask.sum(dim=1).tolist()
    most_rows = len(set(batch.groups))
    for start, stop in _cuts(lengths, most_rows, MOST_SCORE_BYTES // (4 * vocabulary)):
        yield _part(batch, slice(start, stop), max(lengths[start:stop]))


def _cuts(lengths: Sequence[int], most_rows: int, most_cells: int) -> list[tuple[int, int]]:
    """Where to cut, at the least sum of cells and `PASS_COST` over parts; by dynamic programming from the left."""
    best, before = [0], [0]
    for stop in range(1, len(lengths) + 1):
        width, least, start_of_least = 0, float("inf"), stop - 1
        for start in range(stop - 1, max(-1, stop - 1 - most_rows), -1):
            width = max(width, lengths[start])
            cells = width * (stop - start)
            if cells > most_cells and start < stop - 1:
                break
            if best[start] + cells + PASS_COST < least:
                least, start_of_least = best[start] + cells + PASS_COST, start
        best.append(int(least))
        before.append(start_of_least)
    cuts, stop = [], len(lengths)
    while stop:
        cuts.append((before[stop], stop))
        stop = before[stop]
    return cuts[::-1]


def _part(batch: Batch, rows: slice, width: int) -> Batch:
    """In fresh tensors: a view's alignment changes the last bits of a matmul."""
    return batch.cut(rows, lambda tensor: tensor[rows, :width].clone())
