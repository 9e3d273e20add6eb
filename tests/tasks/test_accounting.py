"""Every task: each example that goes in is asked something, or counted in a gap; and a text that is cut is counted, too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.letters import Letters
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Choices, Example, Input
from forgetaudit.gaps import gaps_in
from forgetaudit.tasks.registry import TASKS, make_task
from forgetaudit.tasks.task import Setting

LONGEST = 8


class Encoded:
    """Texts as letters, cut to the longest and counted, as the tokenizers of transformers are used."""

    longest = LONGEST

    def __init__(self) -> None:
        self.n_truncated = 0

    def __call__(self, texts: Sequence[Any]) -> dict[str, Tensor]:
        self.n_truncated += sum(len(text) > LONGEST for text in texts)
        ids = torch.ones(len(texts), LONGEST, dtype=torch.int64)
        return {"input_ids": ids, "attention_mask": ids.clone()}


@dataclass(frozen=True)
class Given:
    """What a task is made from and shown, and how many of the texts are too long for it."""

    setting: dict[str, Any]
    inputs: Sequence[Input]
    n_cut: int = 0


TEXTS = ["abcdef", "", "a", "abcdefghijkl", "abcd"]
QUESTIONS = [Choices(context="abc", choices=("d", "e")), Choices(context="abcdefghijk", choices=("d", "e"))]
LANGUAGE = {"of_text": True, "tokens": Letters(longest=LONGEST)}
GIVEN: dict[str, Callable[[], Given]] = {
    "classification": lambda: Given({}, [np.zeros((2, 3)), np.ones((2, 3))]),
    "classification of texts": lambda: Given({"of_text": True, "encode": Encoded()}, TEXTS, n_cut=1),
    "causal-lm": lambda: Given(LANGUAGE, TEXTS),
    "masked-lm": lambda: Given(LANGUAGE, TEXTS),
    "embedding": lambda: Given(
        {"of_text": True, "encode": Encoded(), "labelled": False},
        [("abc", "bcd"), ("cde", "abcdefghijkl"), ("abc", "xyz")],
        n_cut=1,
    ),
    "multiple-choice": lambda: Given({"tokens": Letters(), "of_choices": True}, QUESTIONS, n_cut=1),
    "multiple-choice-normalised": lambda: Given(
        {"tokens": Letters(), "of_choices": True}, QUESTIONS, n_cut=1
    ),
}


def unaccounted(task: Any, inputs: Sequence[Input], *, settle: bool = False) -> tuple[int, int]:
    """How many examples were neither asked nor counted as left, and how many were counted as cut."""
    examples = [Example(id=f"id{row}", input=content, label=0, row=row) for row, content in enumerate(inputs)]
    batches: list[Batch] = [task.collate(examples[:2])]
    if examples[2:]:
        batches.append(task.collate(examples[2:]))
    if settle:
        for batch in batches:
            n, t = batch.kwargs["input_ids"].shape
            task.keep({"base": torch.rand(n, t, 4)}, batch)
        asked = {example.id for example in task.settle().asked}
        # A query that was asked before is one with it: its document is another right one.
        asked |= {
            example.id for example in examples if example.input[0] in {e.input[0] for e in examples[:2]}
        }  # type: ignore[index]
    else:
        asked = {name for batch in batches for name in (batch.groups or batch.ids)}
    gaps = gaps_in(task.decisions())
    left = sum(gap.evidence.get("n_left", 0) for gap in gaps)
    return len(examples) - len(asked) - left, sum(gap.evidence.get("n_cut", 0) for gap in gaps)


def test_every_task_is_walked() -> None:
    assert {name.partition(" ")[0] for name in GIVEN} == set(TASKS)


@pytest.mark.parametrize("name", GIVEN)
def test_what_goes_into_a_task_is_asked_or_counted_as_left(name: str) -> None:
    given = GIVEN[name]()
    setting = Setting(data="val", model="net", labels_present=frozenset({0}), **given.setting)
    task = make_task(name.partition(" ")[0], setting).task
    assert unaccounted(task, given.inputs, settle=name == "embedding") == (0, given.n_cut)


def test_a_task_that_drops_an_example_without_a_word_is_found_out() -> None:
    task = make_task("causal-lm", Setting(data="val", model="net", **LANGUAGE)).task

    class Forgetful:
        decisions = task.decisions

        def collate(self, examples: list[Example]) -> Batch:
            return task.collate(examples[1:])

    assert unaccounted(Forgetful(), TEXTS)[0] > 0
