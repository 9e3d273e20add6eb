from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError, UsageError
from forgetaudit.tasks.classification import Classification
from forgetaudit.tasks.own_task import OwnTask
from forgetaudit.tasks.task import Outcomes

EXAMPLES = [Example(id=f"id{n}", input=np.ones(3), label=n) for n in range(2)]


def own(**methods: Any) -> OwnTask:
    """A task of somebody's own: classification, but for these methods."""
    return OwnTask("mine:Task", type("Mine", (Classification,), methods)())


def refusal_of(task: OwnTask) -> UsageError:
    with pytest.raises(UsageError) as refusal:
        task.score(torch.zeros(2, 3), task.collate(EXAMPLES))
    return refusal.value


def test_a_task_that_keeps_its_promises_is_passed_on_as_it_is() -> None:
    task, plain = own(), Classification()
    batch = task.collate(EXAMPLES)
    assert torch.equal(batch.args[0], plain.collate(EXAMPLES).args[0])
    assert task.score(torch.eye(2, 3), batch).correct.tolist() == [True, True]
    assert (task.class_names, task.decisions()) == (None, ())


def test_an_error_of_a_task_is_told_with_its_place() -> None:
    def collate(self: object, examples: list[Example]) -> Batch:
        raise KeyError("text")

    refusal = refusal_of(own(collate=collate))
    assert refusal.fact == "--task mine:Task: collate raised an error"
    assert refusal.details == ("KeyError: 'text'",)
    assert refusal.hint is not None
    assert "test_own_task.py:" in refusal.hint


def test_a_refusal_of_a_task_stays_its_own() -> None:
    with pytest.raises(DataError, match="the examples differ in shape"):
        own().collate([EXAMPLES[0], replace(EXAMPLES[1], input=np.ones(4))])


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (None, "something else than a Batch of these examples, in their order"),
        (Batch(ids=("id1", "id0"), labels=torch.tensor([0, 1])), "something else than a Batch of these"),
        (Batch(ids=("id0", "id1")), "a Batch without one label for each example"),
        (Batch(ids=("id0", "id1"), labels=torch.zeros(2, 1)), "a Batch without one label for each example"),
    ],
)
def test_another_batch_than_promised_is_refused(made: Batch | None, told: str) -> None:
    assert (
        f"--task mine:Task: collate returned {told}" in refusal_of(own(collate=lambda self, held: made)).fact
    )


def test_outcomes_of_another_shape_are_refused() -> None:
    scalar = Outcomes(
        predicted=np.zeros(2, np.int64), correct=np.ones(2, np.bool_), nll=np.zeros(1), n_classes=2
    )
    refusal = refusal_of(own(score=lambda self, outputs, batch: scalar))
    assert refusal.fact == "--task mine:Task: score returned outcomes that are not of shape (2,)"
    refusal = refusal_of(own(score=lambda self, outputs, batch: outputs))
    assert refusal.details == ("AttributeError: 'Tensor' object has no attribute 'predicted'",)
