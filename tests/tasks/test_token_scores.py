import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.reference import language as reference
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from forgetaudit.data.batches import Batch
from forgetaudit.errors import ModelError
from forgetaudit.tasks import token_scores
from forgetaudit.tasks.token_scores import IGNORED, score_tokens, token_kl

V = 23


def batch(labels: Tensor) -> Batch:
    return Batch(ids=tuple(map(str, range(len(labels)))), labels=labels)


@pytest.fixture
def asked() -> Batch:
    """Three rows of six places; the first place is never asked."""
    labels = torch.randint(0, V, (3, 6), generator=torch.Generator().manual_seed(0))
    labels[:, 0] = labels[1, 3:] = labels[2, 1] = IGNORED
    return batch(labels)


def scores(seed: int, spread: float = 3.0) -> Tensor:
    return spread * torch.randn(3, 6, V, generator=torch.Generator().manual_seed(seed))


def answering(logits: Tensor, held: Batch, ahead: int) -> list[tuple[int, list[float], int]]:
    """By question its row, the scores that answer it, and the right answer."""
    assert held.labels is not None
    return [
        (row, logits[row, place - ahead].tolist(), int(held.labels[row, place]))
        for row in range(3)
        for place in range(6)
        if held.labels[row, place] != IGNORED
    ]


@pytest.mark.parametrize("ahead", [0, 1])
def test_log_loss_and_answers_are_those_of_a_plain_loop(asked: Batch, ahead: int) -> None:
    logits = scores(1)
    found, wanted = score_tokens(logits, asked, ahead=ahead), answering(logits, asked, ahead)
    assert found.row is not None
    assert found.wanted is not None
    assert [*zip(found.row, found.wanted, strict=True)] == [(row, right) for row, _, right in wanted]
    assert found.predicted.tolist() == [one.index(max(one)) for _, one, _ in wanted]
    assert found.correct.tolist() == [one.index(max(one)) == right for _, one, right in wanted]
    assert found.nll == pytest.approx([reference.log_loss(one, right) for _, one, right in wanted], abs=1e-12)
    assert (found.n_classes, found.nll.dtype, found.guess) == (V, np.float64, None)


@pytest.mark.parametrize("spread", [1e-3, 3.0, 200.0])
@pytest.mark.parametrize("step", [1e-6, 0.1, 5.0])
def test_kl_is_that_of_a_plain_loop_and_never_negative(asked: Batch, spread: float, step: float) -> None:
    base = scores(1, spread)
    tuned = base + step * scores(2) + 17
    found = token_kl(base, tuned, asked, ahead=1)
    wanted = [
        reference.kl(one, other)
        for (_, one, _), (_, other, _) in zip(
            answering(base, asked, 1), answering(tuned, asked, 1), strict=True
        )
    ]
    assert found == pytest.approx(wanted, abs=1e-9)
    assert (found > -1e-12).all()


def test_kl_is_of_tuned_from_base_and_not_the_other_way_round(asked: Batch) -> None:
    base, tuned = scores(1), scores(2)
    assert not np.allclose(token_kl(base, tuned, asked, ahead=1), token_kl(tuned, base, asked, ahead=1))


def test_equal_scores_have_no_kl_at_all(asked: Batch) -> None:
    assert token_kl(scores(1), scores(1), asked, ahead=1).tolist() == [0.0] * 11


@pytest.mark.parametrize(
    "outputs",
    [lambda t: t, lambda t: (t, "cache"), lambda t: SimpleNamespace(logits=t), lambda t: {"logits": t}],
)
def test_scores_are_found_in_whatever_a_model_returns(asked: Batch, outputs: Any) -> None:
    found = score_tokens(outputs(scores(1)), asked, ahead=1)
    assert found.nll.tolist() == score_tokens(scores(1), asked, ahead=1).nll.tolist()


def test_the_first_of_equal_scores_is_the_answer(asked: Batch) -> None:
    assert set(score_tokens(torch.zeros(3, 6, V), asked, ahead=1).predicted.tolist()) == {0}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_place_without_finite_scores_has_no_answer_and_spoils_no_other(asked: Batch, bad: float) -> None:
    logits, base = scores(1), scores(2)
    logits[0, 0, 5] = bad
    found, plain = score_tokens(logits, asked, ahead=1), score_tokens(scores(1), asked, ahead=1)
    assert (found.predicted[0], found.correct[0], math.isnan(found.nll[0])) == (-1, False, True)
    assert found.nll[1:].tolist() == plain.nll[1:].tolist()
    for kl in (token_kl(logits, base, asked, ahead=1), token_kl(base, logits, asked, ahead=1)):
        assert math.isnan(kl[0])
        assert np.isfinite(kl[1:]).all()


def test_all_scores_ruled_out_is_no_answer_but_some_are_how_a_vocabulary_is_padded(asked: Batch) -> None:
    logits, tuned = scores(1), scores(2)
    logits[..., 20:] = tuned[..., 20:] = -math.inf
    held = batch(torch.where(asked.labels == IGNORED, IGNORED, asked.labels % 20))  # type: ignore[operator]
    without = score_tokens(logits[..., :20], held, ahead=1)
    assert score_tokens(logits, held, ahead=1).nll.tolist() == pytest.approx(without.nll.tolist(), abs=1e-12)
    expected = token_kl(logits[..., :20], tuned[..., :20], held, ahead=1)
    assert token_kl(logits, tuned, held, ahead=1) == pytest.approx(expected, abs=1e-12)
    logits[0, 0] = -math.inf
    assert score_tokens(logits, held, ahead=1).predicted[0] == -1


def test_scores_of_half_precision_are_read_as_the_numbers_they_are(asked: Batch) -> None:
    half = scores(1).bfloat16()
    found, same = score_tokens(half, asked, ahead=1), score_tokens(half.float(), asked, ahead=1)
    assert found.nll.tolist() == same.nll.tolist()


def test_how_many_are_worked_on_at_once_changes_no_number(
    asked: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, kl = score_tokens(scores(1), asked, ahead=1), token_kl(scores(1), scores(2), asked, ahead=1)
    monkeypatch.setattr(token_scores, "CHUNK", 3 * V)
    other, other_kl = score_tokens(scores(1), asked, ahead=1), token_kl(scores(1), scores(2), asked, ahead=1)
    assert one.nll.tolist() == other.nll.tolist()
    assert one.predicted.tolist() == other.predicted.tolist()
    assert kl.tolist() == other_kl.tolist()


class Largest(TorchDispatchMode):
    """The most bytes that any tensor took, those that were `there` before apart."""

    def __init__(self, *there: Tensor) -> None:
        super().__init__()
        self.n_bytes = 0
        self._there = {tensor.untyped_storage().data_ptr() for tensor in there}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.untyped_storage().data_ptr() not in self._there:
            self.n_bytes = max(self.n_bytes, made.untyped_storage().nbytes())
        return made


def test_memory_is_three_chunks_and_not_the_outputs_over_again() -> None:
    labels = torch.randint(0, 4000, (4, 400))
    base, tuned = torch.randn(4, 400, 4000), torch.randn(4, 400, 4000)
    with Largest(base, tuned) as largest:
        score_tokens(base, batch(labels), ahead=0)
        token_kl(base, tuned, batch(labels), ahead=0)
    # Base and tuned in float64, and what lies between them.
    assert 16 * token_scores.CHUNK < largest.n_bytes <= 24 * token_scores.CHUNK < base.nbytes / 4


def test_no_question_is_no_outcome(asked: Batch) -> None:
    assert asked.labels is not None
    none = batch(torch.full_like(asked.labels, IGNORED))
    assert len(score_tokens(scores(1), none, ahead=1).nll) == 0
    assert len(token_kl(scores(1), scores(2), none, ahead=1)) == 0


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (torch.zeros(3, 5), r"returned \(3, 5\) for 3 rows of 6 tokens"),
        (torch.zeros(3, 7, V), r"returned \(3, 7, 23\) for 3 rows of 6 tokens"),
        (torch.zeros(3, 6, V, dtype=torch.int64), r"returned \(3, 6, 23\)"),
        ("words", "returned no scores but str"),
    ],
)
def test_outputs_that_are_no_scores_of_a_vocabulary_are_refused(
    asked: Batch, outputs: Any, told: str
) -> None:
    with pytest.raises(ModelError, match=told) as refusal:
        score_tokens(outputs, asked, ahead=1)
    assert refusal.value.hint is not None
    assert refusal.value.hint.startswith("a language model returns")
