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
        (Batch(ids=("id0", "id1"), labels=torch.zeros(2, 1)), "a Batch without one label for each row"),
        (Batch(ids=("id1.0", "id0.0"), groups=("id1", "id0")), "something else than a Batch of these"),
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
    assert refusal.details == ("AttributeError: 'Tensor' object has no attribute 'wanted'",)


def test_a_batch_without_labels_needs_outcomes_that_say_what_is_right() -> None:
    unlabelled = own(collate=lambda self, held: Batch(ids=("id0", "id1")))
    right = np.zeros(2, np.int64)
    says_nothing = Outcomes(predicted=right, correct=right == 0, nll=np.zeros(2), n_classes=2)
    silent = own(collate=lambda self, held: Batch(ids=("id0", "id1")), score=lambda self, *_: says_nothing)
    assert "score says no right answers (wanted)" in refusal_of(silent).fact
    telling = own(
        collate=lambda self, held: Batch(ids=("id0", "id1")),
        score=lambda self, *_: replace(says_nothing, wanted=right),
    )
    assert telling.score(None, telling.collate(EXAMPLES)).correct.all()
    assert not hasattr(unlabelled, "soft")


def test_rows_may_be_pieces_of_the_examples_with_questions_of_their_own() -> None:
    rows = Batch(ids=("id0.0", "id0.1", "id1.0"), groups=("id0", "id0", "id1"))
    words = np.array([3, 3, 5, 7])
    outcomes = Outcomes(
        predicted=words,
        correct=words > 3,
        nll=np.zeros(4),
        n_classes=9,
        wanted=words,
        row=np.array([0, 1, 1, 2]),
    )
    task = own(collate=lambda self, held: rows, score=lambda self, *_: outcomes, unit="word")
    assert task.score(None, task.collate(EXAMPLES)) is outcomes
    assert task.unit == "word"


def test_an_error_in_what_a_task_may_have_is_told_with_its_place_too() -> None:
    def soft(self: object, base: object, tuned: object, batch: Batch) -> None:
        raise ZeroDivisionError("nothing moved")

    with pytest.raises(UsageError, match="soft raised an error") as refusal:
        own(soft=soft).soft(None, None, None)
    assert refusal.value.details == ("ZeroDivisionError: nothing moved",)
