import math
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from tests.reference.classification import log_loss

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example, Input
from forgetaudit.errors import DataError, ModelError
from forgetaudit.tasks.classification import Classification


def scan(number: int = 0) -> Image.Image:
    return Image.fromarray(np.rint(load_digits().images[number] * 255 / 16).astype(np.uint8))


def as_examples(*inputs: Input, labels: list[int | None] | None = None) -> list[Example]:
    given_labels = labels or [0] * len(inputs)
    return [
        Example(id=f"id{n}", input=i, label=label)
        for n, (i, label) in enumerate(zip(inputs, given_labels, strict=True))
    ]


def batch_of(labels: list[int] | None, n: int | None = None) -> Batch:
    n = len(labels) if labels is not None else n or 1
    return Batch(
        ids=tuple(str(row) for row in range(n)), labels=None if labels is None else torch.tensor(labels)
    )


def test_grey_scans_become_one_channel_between_zero_and_one() -> None:
    batch = Classification().collate(as_examples(scan(0), scan(1), labels=[3, 5]))
    (images,) = batch.args
    assert (images.shape, images.dtype) == ((2, 1, 8, 8), torch.float32)
    assert np.array_equal(images[0, 0].numpy(), np.asarray(scan(0)).astype(np.float32) / np.float32(255))
    assert batch.labels is not None
    assert (batch.ids, batch.labels.tolist(), batch.labels.dtype) == (("id0", "id1"), [3, 5], torch.int64)


def test_batches_lie_in_aligned_memory_of_their_own() -> None:
    values = np.arange(33, dtype=np.float32)[1:]
    batch = Classification().collate(as_examples(values))
    values[:] = -1
    assert batch.args[0].data_ptr() % 64 == 0
    assert batch.args[0].min() == 1


def test_colours_keep_their_channels_in_order() -> None:
    image = Image.new("RGB", (3, 2), (255, 51, 0))
    (images,) = Classification().collate(as_examples(image)).args
    assert images.shape == (1, 3, 2, 3)
    assert images[0, :, 0, 0].tolist() == pytest.approx([1, 0.2, 0])


def test_arrays_stay_as_they_are_but_for_float32() -> None:
    values = np.array([[0, 255], [-7, 3]], dtype=np.int16)
    (arrays,) = Classification().collate(as_examples(values)).args
    assert arrays.dtype == torch.float32
    assert arrays[0].tolist() == values.tolist()


def test_examples_without_labels_make_a_batch_without_labels() -> None:
    assert Classification().collate(as_examples(scan(), labels=[None])).labels is None
    with pytest.raises(DataError, match="1 of 2 examples have no label"):
        Classification().collate(as_examples(scan(0), scan(1), labels=[None, 1]))


def test_a_preprocess_is_used_and_nothing_else_is_done() -> None:
    task = Classification(
        preprocess=lambda image: torch.full((2,), float(image.size[0]), dtype=torch.float64)
    )
    batch = task.collate(as_examples(scan(), scan()))
    assert batch.args[0].tolist() == [[8.0, 8.0], [8.0, 8.0]]
    assert batch.args[0].dtype == torch.float64
    assert not task.conversions


def test_shapes_that_differ_are_refused_with_both() -> None:
    with pytest.raises(DataError) as refusal:
        Classification().collate(as_examples(scan(0), scan(1), scan(2).convert("RGB")))
    assert refusal.value.fact == "the examples differ in shape: (1, 8, 8) and (3, 8, 8)"
    assert refusal.value.details == ("examples id0 and id2",)


def test_what_a_mode_loses_is_counted_and_the_usual_modes_are_not() -> None:
    task = Classification()
    task.collate(as_examples(scan(0).convert("RGBA"), scan(1).convert("RGBA")))
    task.collate(as_examples(scan(0)))
    assert dict(task.conversions) == {"RGBA: alpha dropped": 2}


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4), min_size=1, max_size=6),
    st.data(),
)
def test_log_loss_agrees_with_the_sum_written_out(rows: list[list[float]], data: st.DataObject) -> None:
    labels = [data.draw(st.integers(0, 3)) for _ in rows]
    outcomes = Classification().score(torch.tensor(rows, dtype=torch.float32), batch_of(labels))
    expected = [log_loss(row, label) for row, label in zip(rows, labels, strict=True)]
    assert outcomes.nll == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert outcomes.nll.dtype == np.float64


def test_log_loss_is_taken_in_float64_and_never_overflows() -> None:
    outcomes = Classification().score(torch.tensor([[30.0, 0.0], [3e38, -3e38]]), batch_of([0, 0]))
    assert outcomes.nll[0] == pytest.approx(math.log1p(math.exp(-30)), rel=1e-2)
    assert outcomes.nll[0] > 0
    assert outcomes.nll[1] == 0


def test_ties_go_to_the_first_class() -> None:
    outcomes = Classification().score(torch.zeros(2, 10), batch_of([0, 3]))
    assert outcomes.predicted.tolist() == [0, 0]
    assert outcomes.correct.tolist() == [True, False]
    assert outcomes.nll == pytest.approx(math.log(10))


def test_a_class_ruled_out_with_minus_infinity_is_no_broken_answer() -> None:
    outcomes = Classification().score(
        torch.tensor([[0.0, -math.inf], [-math.inf, -math.inf]]), batch_of([0, 0])
    )
    assert outcomes.predicted.tolist() == [0, -1]
    assert outcomes.nll[0] == 0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_row_without_finite_scores_is_no_answer_and_harms_no_other(broken: float) -> None:
    outcomes = Classification().score(torch.tensor([[0.0, broken], [0.0, 1.0]]), batch_of([0, 1]))
    assert outcomes.predicted.tolist() == [-1, 1]
    assert outcomes.correct.tolist() == [False, True]
    assert np.isnan(outcomes.nll).tolist() == [True, False]
    assert outcomes.predicted.dtype == np.int64


@pytest.mark.parametrize(
    "wrap",
    [
        lambda scores: scores,
        lambda scores: SimpleNamespace(logits=scores),
        lambda scores: OrderedDict(loss=torch.zeros(()), logits=scores),
        lambda scores: {"out": scores},
        lambda scores: (scores, torch.zeros(2, 7)),
        lambda scores: [scores],
        lambda scores: scores.bfloat16(),
        lambda scores: scores.clone().requires_grad_(),
    ],
)
def test_scores_are_found_however_the_model_returns_them(wrap: Any) -> None:
    outcomes = Classification().score(wrap(torch.tensor([[0.0, 1.0], [1.0, 0.0]])), batch_of([1, 1]))
    assert outcomes.predicted.tolist() == [1, 0]


@pytest.mark.parametrize(
    "outputs", [None, "logits", {}, (), {"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)}]
)
def test_outputs_without_scores_are_refused(outputs: object) -> None:
    with pytest.raises(ModelError, match=f"the model returned no scores but {type(outputs).__name__}"):
        Classification().score(outputs, batch_of([0, 0]))


@pytest.mark.parametrize("shape", [(2,), (3, 4), (2, 1), (2, 4, 8, 8)])
def test_scores_of_another_shape_are_refused_with_it(shape: tuple[int, ...]) -> None:
    told = ", ".join(str(side) for side in shape)
    with pytest.raises(ModelError) as refusal:
        Classification().score(torch.zeros(shape), batch_of([0, 0]))
    assert refusal.value.fact.startswith(f"the model returned ({told}) for 2 examples")
    assert refusal.value.details == ("a classifier returns scores (2, k), one for each of k ≥ 2 classes",)
    assert "--task module:object" in str(refusal.value.hint)


def test_labels_that_the_model_does_not_know_are_refused_with_k() -> None:
    with pytest.raises(DataError) as refusal:
        Classification().score(torch.zeros(3, 4), batch_of([0, 4, 9]))
    assert refusal.value.fact == "the model knows 4 classes, 0 to 3, and the data have others"
    assert refusal.value.details == ("labels (2): 4, 9",)
    with pytest.raises(DataError, match=r"labels \(1\): -2"):
        Classification().score(torch.zeros(1, 4), batch_of([-2]))


def test_without_labels_only_what_was_predicted_is_known() -> None:
    outcomes = Classification().score(torch.tensor([[0.0, 3.0, 1.0, 0.0]]), batch_of(None))
    assert (outcomes.predicted.tolist(), outcomes.correct.tolist()) == ([1], [False])
    assert np.isnan(outcomes.nll).all()
