"""A task's log loss with its gradient is what it scores: the same sum, and softmax less one at the right answer."""

from typing import Any

import pytest
import torch
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError, ModelError, UsageError
from forgetaudit.tasks.classification import Classification
from forgetaudit.tasks.own_task import OwnTask
from forgetaudit.tasks.scoring import class_loss, score_classes
from forgetaudit.tasks.token_scores import IGNORED, score_tokens, token_loss


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labelled(labels: Tensor) -> Batch:
    return Batch(ids=tuple(map(str, range(len(labels)))), labels=labels)


def tokens() -> Batch:
    """Three rows of six places; the first place is never asked, nor some others."""
    labels = torch.randint(0, 23, (3, 6), generator=torch.Generator().manual_seed(0))
    labels[:, 0] = labels[1, 3:] = labels[2, 1] = IGNORED
    return labelled(labels)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_loss_of_classes_is_the_sum_of_what_is_scored(dtype: torch.dtype) -> None:
    scores, batch = drawn(9, 5).to(dtype), labelled(torch.arange(9) % 5)
    loss = class_loss({"logits": scores}, batch)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    assert float(loss) == pytest.approx(score_classes(scores, batch).nll.sum(), rel=1e-6)


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_loss_of_tokens_is_the_sum_of_what_is_scored(ahead: int) -> None:
    scores, batch = drawn(3, 6, 23), tokens()
    wanted = score_tokens(scores, batch, ahead=ahead).nll.sum()
    assert float(token_loss(scores, batch, ahead=ahead)) == pytest.approx(wanted, rel=1e-6)


def test_its_gradient_is_what_is_believed_less_what_is_right() -> None:
    scores, batch = drawn(9, 5).double().requires_grad_(), labelled(torch.arange(9) % 5)
    class_loss(scores, batch).backward()
    assert batch.labels is not None
    wanted = scores.detach().softmax(dim=1) - torch.eye(5)[batch.labels]
    assert torch.allclose(scores.grad, wanted, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("ahead", [0, 1])
def test_places_that_answer_nothing_have_no_gradient(ahead: int) -> None:
    scores, batch = drawn(3, 6, 23).requires_grad_(), tokens()
    token_loss(scores, batch, ahead=ahead).backward()
    assert batch.labels is not None
    assert scores.grad is not None
    asked = (batch.labels != IGNORED).roll(-ahead, dims=1)
    assert torch.equal(scores.grad.ne(0).any(dim=2), asked)


def test_nothing_asked_is_no_loss() -> None:
    nothing = labelled(torch.full((3, 6), IGNORED))
    assert float(token_loss(drawn(3, 6, 23), nothing, ahead=1)) == 0


def test_a_row_without_an_answer_leaves_no_number() -> None:
    scores = drawn(2, 3)
    scores[1, 2] = torch.nan
    assert class_loss(scores, labelled(torch.tensor([0, 1]))).isnan()


def test_what_cannot_be_scored_has_no_loss_either() -> None:
    with pytest.raises(DataError, match="the model knows 3 classes"):
        class_loss(drawn(2, 3), labelled(torch.tensor([0, 3])))
    with pytest.raises(ModelError, match="returned no scores but str"):
        class_loss("nothing", labelled(torch.tensor([0, 1])))


def test_a_task_of_ones_own_may_bring_its_loss_and_its_errors_are_told() -> None:
    def loss(self: object, outputs: Any, batch: Batch) -> Tensor:
        raise KeyError("logits")

    examples = [Example(id="a", input=drawn(3).numpy(), label=0)]
    kept = OwnTask("mine:Task", Classification())
    batch = kept.collate(examples)
    assert float(kept.loss(drawn(1, 3), batch)) > 0  # type: ignore[attr-defined]
    broken = OwnTask("mine:Task", type("Mine", (Classification,), {"loss": loss})())
    with pytest.raises(UsageError, match="--task mine:Task: loss raised an error"):
        broken.loss(drawn(1, 3), batch)  # type: ignore[attr-defined]
