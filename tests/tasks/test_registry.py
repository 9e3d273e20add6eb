from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.tasks.letters import Letters
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError, UsageError
from forgetaudit.tasks.classification import Classification
from forgetaudit.tasks.registry import TASKS, find_task, make_task
from forgetaudit.tasks.task import Setting
from forgetaudit.tasks.text_classification import TextClassification


def encode(texts: Sequence[Any]) -> dict[str, Tensor]:
    return {"input_ids": torch.ones(len(texts), 2, dtype=torch.int64)}


def setting(**given: Any) -> Setting:
    return Setting(data="src_val", model="net.py:build", **given)


def test_every_task_of_our_own_can_be_made_and_says_that_it_was_asked_for() -> None:
    of_language = {"of_text": True, "tokens": Letters()}
    needed: dict[str, dict[str, Any]] = {
        "causal-lm": of_language,
        "masked-lm": of_language,
        "embedding": {"of_text": True, "encode": encode, "labelled": False},
        "multiple-choice": {**of_language, "of_text": False, "of_choices": True, "labelled": True},
        "multiple-choice-normalised": {**of_language, "of_text": False, "of_choices": True, "labelled": True},
    }
    for name in TASKS:
        chosen = make_task(name, setting(**needed.get(name, {})))
        assert (chosen.name, chosen.decision) == (name, f"task {name}: asked for, built in")


def test_texts_are_classified_as_texts_and_the_rest_as_images() -> None:
    texts = make_task(None, setting(of_text=True, encode=encode))
    assert isinstance(texts.task, TextClassification)
    assert texts.decision == "task classification: the texts have labels"
    images = make_task(None, setting())
    assert isinstance(images.task, Classification)
    assert images.decision == "task classification: the data have labels"


def test_a_model_that_takes_both_is_asked_for_what_the_data_hold() -> None:
    both = {"encode": encode, "preprocess": lambda image: torch.zeros(3)}
    assert isinstance(make_task(None, setting(of_text=True, **both)).task, TextClassification)
    assert isinstance(make_task(None, setting(**both)).task, Classification)


def test_a_function_of_the_users_own_may_prepare_text() -> None:
    task = make_task(None, setting(of_text=True, preprocess=lambda text: torch.tensor([len(text)]))).task
    assert task.collate([Example(id="0", input="abc", label=0)]).args[0].tolist() == [[3]]


def test_text_for_a_model_of_images_is_refused_and_the_other_way_round() -> None:
    with pytest.raises(DataError) as refusal:
        make_task(None, setting(of_text=True))
    assert refusal.value.fact == "src_val holds text, and net.py:build takes images or arrays"
    assert refusal.value.hint == "pass a model that was saved with its tokenizer, or data of images"
    with pytest.raises(DataError) as refusal:
        make_task(None, setting(encode=encode))
    assert refusal.value.fact == "src_val holds images or arrays, and net.py:build takes text"


def test_the_matching_of_classes_is_told_and_used() -> None:
    chosen = make_task(
        None,
        setting(
            of_text=True,
            encode=encode,
            class_names=("pos", "neg"),
            labels_present=frozenset({0, 1}),
            model_class_names=("NEG", "POS"),
        ),
    )
    labels = chosen.task.collate([Example(id="0", input="a", label=0)]).labels
    assert labels is not None
    assert (labels.tolist(), chosen.task.class_names) == ([1], ("NEG", "POS"))
    assert chosen.task.decisions() == (
        "labels by name: the model's 2 classes, renumbered pos 0 → 1, neg 1 → 0",
    )


def test_images_that_lost_something_are_told_once_they_came() -> None:
    task = make_task(None, setting()).task
    before = task.decisions()
    task.collate([Example(id=f"{n}", input=Image.new("RGBA", (2, 2)), label=0) for n in range(3)])
    assert task.decisions() == (*before, "3 images of mode RGBA: alpha dropped")


def test_an_unknown_task_is_refused_with_those_known() -> None:
    with pytest.raises(UsageError) as refusal:
        find_task("clasification")
    assert refusal.value.fact == "--task clasification is not known"
    assert refusal.value.details == (f"known: {', '.join(TASKS)}",)
    assert refusal.value.hint == "did you mean classification?"


OWN_TASKS = """
from forgetaudit.tasks.classification import Classification

class Halved(Classification):
    "Every second class is the same."
    def __init__(self, setting):
        super().__init__(("even", "odd"), label_map=[0, 1] * 5)
        self.data = setting.data

ready = Classification()
def forgetful(setting): return [setting.data]
number = 5
"""


def test_a_task_of_the_users_own_is_made_from_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tasks.py").write_text(OWN_TASKS)
    monkeypatch.chdir(tmp_path)
    chosen = make_task("own_tasks.py:Halved", setting())
    batch = chosen.task.collate([Example(id="0", input=Image.new("L", (2, 2)), label=7)])
    assert isinstance(batch, Batch)
    assert batch.labels is not None
    assert batch.labels.tolist() == [1]
    assert chosen.decision == "task own_tasks.py:Halved: asked for, pointed at"
    ready = make_task("own_tasks.py:ready", setting()).task
    assert (ready.class_names, ready.decisions()) == (None, ())


@pytest.mark.parametrize(
    ("name", "kind"), [("own_tasks.py:forgetful", "list"), ("own_tasks.py:number", "int")]
)
def test_what_makes_no_task_is_refused_with_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    (tmp_path / "own_tasks.py").write_text(OWN_TASKS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refusal:
        make_task(name, setting())
    assert refusal.value.fact == f"--task {name} is no task but {kind}"
    assert refusal.value.details == ("it lacks collate, score, decisions, class_names",)


def test_a_task_that_cannot_be_made_is_told_with_what_it_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_tasks.py").write_text("def task(setting): return setting.nothing\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refusal:
        make_task("own_tasks.py:task", setting())
    assert refusal.value.fact == "--task own_tasks.py:task raised an error"
    assert refusal.value.details == ("AttributeError: 'Setting' object has no attribute 'nothing'",)
