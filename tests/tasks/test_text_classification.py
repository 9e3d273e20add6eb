from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from forgetaudit.data.examples import Example, Input
from forgetaudit.errors import DataError, ModelError
from forgetaudit.tasks.classification import Classification
from forgetaudit.tasks.text_classification import TextClassification


class Letters:
    """Each letter is a token, its code point the id; longer texts are cut, and counted. A pair is joined by 0."""

    longest = 5

    def __init__(self) -> None:
        self.n_truncated = 0
        self.storage = torch.zeros(1000, dtype=torch.int64)

    def __call__(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        spelt = [text if isinstance(text, str) else "\0".join(text) for text in texts]
        self.n_truncated += sum(len(text) > self.longest for text in spelt)
        ids = [[ord(letter) for letter in text[: self.longest]] for text in spelt]
        width = max(map(len, ids))
        # A view into memory that is used again: what a batch must not keep.
        together = self.storage[1 : 1 + len(ids) * width].view(len(ids), width)
        together[:] = torch.tensor([row + [0] * (width - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        return {"input_ids": together, "attention_mask": mask}


def examples(*inputs: Input, labels: Sequence[int | None] = ()) -> list[Example]:
    return [
        Example(id=f"id{n}", input=content, label=labels[n] if labels else 0)
        for n, content in enumerate(inputs)
    ]


def test_texts_become_named_arguments_padded_to_the_longest() -> None:
    batch = TextClassification(("a", "b"), Letters()).collate(examples("abc", "a", labels=[1, 0]))
    assert batch.args == ()
    assert batch.kwargs["input_ids"].tolist() == [[97, 98, 99], [97, 0, 0]]
    assert batch.mask is not None
    assert batch.mask.tolist() == batch.kwargs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.labels is not None
    assert (batch.ids, batch.labels.tolist()) == (("id0", "id1"), [1, 0])


def test_pairs_reach_the_tokenizer_as_pairs() -> None:
    batch = TextClassification(None, Letters()).collate(examples(("a", "b"), ("c", "d")))
    assert batch.kwargs["input_ids"].tolist() == [[97, 0, 98], [99, 0, 100]]


def test_a_batch_keeps_none_of_the_tokenizers_memory() -> None:
    encode = Letters()
    batch = TextClassification(None, encode).collate(examples("ab"))
    encode.storage.fill_(7)
    assert batch.kwargs["input_ids"].tolist() == [[97, 98]]
    assert batch.kwargs["input_ids"].data_ptr() % 64 == 0


def test_labels_are_brought_to_the_models_classes() -> None:
    held = examples("a", "b", "c", labels=[0, 1, 0])
    for task in (
        TextClassification(("x", "y", "z"), Letters(), label_map=(2, 0)),
        Classification(("x", "y", "z"), lambda text: torch.zeros(1), label_map=(2, 0)),
    ):
        labels = task.collate(held).labels
        assert labels is not None
        assert labels.tolist() == [2, 0, 2]


def test_texts_and_images_are_scored_alike() -> None:
    scores = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    held = examples(*["a"] * 40, labels=[n % 5 for n in range(40)])
    task = TextClassification(None, Letters())
    batch = task.collate(held)
    one, other = task.score(scores, batch), Classification().score(scores, batch)
    assert one.nll.tolist() == other.nll.tolist()
    assert one.correct.tolist() == other.correct.tolist()


def test_texts_that_were_cut_are_counted_and_others_are_not() -> None:
    task = TextClassification(None, Letters())
    task.collate(examples("abcde", "abc"))
    assert task.decisions() == ()
    task.collate(examples("abcdef", "abc"))
    assert tuple(map(str, task.decisions())) == (
        "1 of 4 texts were longer than the 5 tokens that the model reads, and cut",
    )


def test_what_was_cut_of_another_data_set_is_not_counted_here() -> None:
    encode = Letters()
    first, second = (TextClassification(None, encode, said=("by name",)) for _ in range(2))
    first.collate(examples("abcdefgh", "abcdefgh"))
    second.collate(examples("abc"))
    second.collate(examples("abcdefgh"))
    first.collate(examples("abc"))
    assert [str(task.decisions()[1])[:8] for task in (first, second)] == ["2 of 3 t", "1 of 2 t"]
    assert TextClassification(None, encode, said=("by name",)).decisions() == ("by name",)


def test_a_tokenizer_that_counts_nothing_is_no_reason_to_say_something() -> None:
    task = TextClassification(None, lambda texts: {"input_ids": torch.ones(len(texts), 2, dtype=torch.int64)})
    batch = task.collate(examples("abc"))
    assert (batch.mask, task.decisions()) == (None, ())


def test_what_is_no_text_is_refused() -> None:
    for held in ([torch.zeros(2).numpy()], ["a", ("a", "b")]):
        with pytest.raises(DataError, match="something else than texts, and the model takes text"):
            TextClassification(None, Letters()).collate(examples(*held))


@pytest.mark.parametrize(
    ("encoded", "told"),
    [
        ({}, "nothing"),
        ({"input_ids": torch.zeros(3)}, r"input_ids \(3\)"),
        ({"input_ids": torch.zeros(2, 4)}, r"input_ids \(2, 4\)"),
    ],
)
def test_an_encoding_of_another_shape_is_refused_with_it(encoded: dict[str, Tensor], told: str) -> None:
    with pytest.raises(ModelError, match=f"3 texts were encoded as {told}\n"):
        TextClassification(None, lambda texts: encoded).collate(examples("a", "b", "c"))
