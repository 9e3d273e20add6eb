from dataclasses import replace

import numpy as np
import pytest
import torch

from forgetaudit.data.batches import Batch, in_batches
from forgetaudit.data.examples import Example


def some_examples(n: int) -> list[Example]:
    return [Example(id=f"{i}", input=np.full(3, i, dtype=np.float32), label=i) for i in range(n)]


def collate(examples: list[Example]) -> Batch:
    return Batch(
        ids=tuple(example.id for example in examples),
        args=(torch.stack([torch.as_tensor(example.input) for example in examples]),),
        labels=torch.tensor([example.label for example in examples]),
    )


def test_batches_keep_every_example_in_order_and_the_last_may_be_smaller() -> None:
    batches = list(in_batches(some_examples(7), 3, collate))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert [i for batch in batches for i in batch.ids] == [str(i) for i in range(7)]


def test_an_exact_multiple_leaves_no_empty_batch() -> None:
    assert [len(batch) for batch in in_batches(some_examples(6), 3, collate)] == [3, 3]


def test_examples_are_read_only_when_their_batch_is_asked_for() -> None:
    read = []

    def reading() -> object:
        for example in some_examples(6):
            read.append(example.id)
            yield example

    batches = in_batches(reading(), 2, collate)
    assert read == []
    next(batches)
    assert read == ["0", "1"]


def test_halves_hold_every_example_once_in_memory_of_their_own() -> None:
    batch = collate(some_examples(5))
    first, second = batch.halves()
    assert first.ids + second.ids == batch.ids
    assert torch.equal(torch.cat([first.args[0], second.args[0]]), batch.args[0])
    assert all(half.args[0].untyped_storage().data_ptr() % 64 == 0 for half in (first, second))


def test_rows_that_a_variant_takes_otherwise_are_cut_and_cast_along() -> None:
    other = collate(some_examples(5))
    batch = replace(collate(some_examples(5)), own={"tuned": replace(other, args=(other.args[0] + 1,))})
    first, second = batch.with_floats(torch.float64).to(torch.device("cpu")).halves()
    assert first.of("base") is first
    found = torch.cat([half.of("tuned").args[0] for half in (first, second)])
    assert found.dtype == torch.float64
    assert torch.equal(found, batch.args[0].double() + 1)
    assert first.of("tuned").ids + second.of("tuned").ids == batch.ids


def test_what_is_wanted_of_a_batch_are_its_labels_and_of_none_there_is_nothing() -> None:
    labels = torch.tensor([1, 0])
    assert Batch(ids=("a", "b"), labels=labels).wanted is labels
    with pytest.raises(ValueError, match="nothing says what is right"):
        _ = Batch(ids=("a", "b")).wanted
