from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.tasks.letters import PAD, Letters, shown, spelt

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example, Input
from forgetaudit.errors import DataError
from forgetaudit.tasks import token_rows
from forgetaudit.tasks.token_rows import TokenRow, as_batch, in_parts, texts_of
from forgetaudit.tasks.token_scores import IGNORED


def rows(*texts: str, examples: str = "") -> list[TokenRow]:
    groups = examples or "abcdefghijklmnopqrstuvwxyz"
    return [
        TokenRow(id=f"{number}", group=groups[number], ids=spelt(text), asked={0: spelt(text)[0]})
        for number, text in enumerate(texts)
    ]


def widths(batch: Batch, vocabulary: int = 30) -> list[tuple[int, int]]:
    parts = [*in_parts(batch, vocabulary)]
    assert [name for part in parts for name in part.ids] == [*batch.ids]
    return [tuple(part.kwargs["input_ids"].shape) for part in parts]


def test_rows_are_filled_up_on_the_right_and_masked_there() -> None:
    batch = as_batch(rows("abc", "d"), Letters())
    assert [shown(ids) for ids in batch.kwargs["input_ids"].tolist()] == ["abc", "d__"]
    assert batch.mask is not None
    assert batch.mask.tolist() == batch.kwargs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.labels is not None
    assert batch.labels.tolist() == [[4, IGNORED, IGNORED], [7, IGNORED, IGNORED]]
    assert (batch.args, batch.ids, batch.groups) == ((), ("0", "1"), ("a", "b"))


@pytest.mark.parametrize(
    "takes", [{"input_ids"}, {"input_ids", "attention_mask"}, {"input_ids", "use_cache", "token_type_ids"}]
)
def test_only_what_the_network_takes_is_passed_and_never_types_of_tokens(takes: set[str]) -> None:
    batch = as_batch(rows("abc"), Letters(arguments=frozenset(takes)))
    assert set(batch.kwargs) == takes - {"token_type_ids"}
    assert batch.kwargs.get("use_cache") in (None, False)


def test_rows_about_as_long_stay_together_and_a_long_one_does_not_widen_the_short() -> None:
    assert widths(as_batch(rows("abc", "ab", "abcd"), Letters())) == [(3, 4)]
    long = "a" * 2000
    assert widths(as_batch(rows("abc", "ab", long, "a", long), Letters())) == [
        (2, 3),
        (1, 2000),
        (1, 1),
        (1, 2000),
    ]
    assert widths(as_batch(rows("abc", long, long), Letters())) == [(1, 3), (2, 2000)]


def test_a_part_has_no_more_rows_than_the_batch_has_examples() -> None:
    windows = as_batch(rows(*["abcd"] * 7, examples="aaaabbc"), Letters())
    assert widths(windows) in ([(3, 4), (3, 4), (1, 4)], [(1, 4), (3, 4), (3, 4)])


def test_the_scores_of_a_part_fit_in_the_memory_meant_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_rows, "MOST_SCORE_BYTES", 4 * 30 * 8)
    batch = as_batch(rows("abcd", "abcd", "abcd", "ab", "ab", "ab", "a" * 20), Letters())
    assert all(n * t <= 8 or n == 1 for n, t in widths(batch))
    assert (1, 20) in widths(batch)
    # The limit is for the vocabulary that the network has.
    assert widths(batch, vocabulary=3) == [(6, 4), (1, 20)]


def test_a_batch_that_fits_is_one_part_with_everything_in_it() -> None:
    batch = as_batch(rows("abc", "de", "f"), Letters())
    (part,) = in_parts(batch, 30)
    assert part.kwargs.keys() == batch.kwargs.keys()
    assert torch.equal(part.kwargs["input_ids"], batch.kwargs["input_ids"])
    assert part.labels is not None
    assert part.labels.tolist() == batch.labels.tolist()  # type: ignore[union-attr]
    assert part.groups == batch.groups


def test_parts_lose_nothing_but_filling_and_own_their_memory() -> None:
    batch = as_batch(rows("abc", "a" * 2000, "b"), Letters())
    parts = [*in_parts(batch, 30)]
    for part, text in zip(parts, ("abc", "a" * 2000, "b"), strict=True):
        assert part.kwargs["input_ids"].tolist() == [spelt(text)]
        assert part.kwargs["input_ids"].data_ptr() % 64 == 0
    batch.kwargs["input_ids"].fill_(PAD)
    assert parts[0].kwargs["input_ids"].tolist() == [spelt("abc")]


def test_cutting_is_never_dearer_than_leaving_whole() -> None:
    lengths = np.random.default_rng(0).integers(1, 900, 40)
    cuts = token_rows._cuts(lengths.tolist(), 40, 10**9)
    assert (cuts[0][0], cuts[-1][1]) == (0, 40)
    assert all(stop == start for (_, stop), (start, _) in pairwise(cuts))
    cost = sum((stop - start) * max(lengths[start:stop]) + token_rows.PASS_COST for start, stop in cuts)
    assert cost < 40 * max(lengths) + token_rows.PASS_COST
    assert cost < sum(lengths) + 40 * token_rows.PASS_COST


def test_no_row_is_no_part() -> None:
    assert [*in_parts(as_batch([], Letters()), 30)] == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (("a", "b"), "the data hold pairs of texts, and a model reads one text at a time"),
        (np.zeros(3), "the data hold images or arrays, and a model reads text"),
    ],
)
def test_what_is_no_single_text_is_refused_with_what_to_do(content: Input, told: str) -> None:
    with pytest.raises(DataError) as refusal:
        texts_of(
            [Example(id="0", input="a", label=None), Example(id="1", input=content, label=None)], "a model"
        )
    assert refusal.value.fact == told
    assert refusal.value.hint is not None
