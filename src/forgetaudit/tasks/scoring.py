"""From a model's scores for k answers to right and wrong: what every task of choosing among classes shares."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError, ModelError, listing
from forgetaudit.tasks.other_kinds import WAY_OUT
from forgetaudit.tasks.task import Outcomes

__all__ = ["NO_ANSWER", "class_loss", "labels_of", "score_classes", "shape_text", "summed_nats", "tensor_in"]

NO_ANSWER = -1


def labels_of(examples: Sequence[Example], label_map: Sequence[int] | None = None) -> Tensor | None:
    """(n,) the examples' labels; `label_map` gives the model's class for each of the data's.

    None where no example has one; DataError where only some have.
    """
    labels = [example.label for example in examples if example.label is not None]
    if not labels:
        return None
    if len(labels) < len(examples):
        n_without = len(examples) - len(labels)
        raise DataError(
            f"{n_without} of {len(examples)} examples have no label", hint="label all or leave out"
        )
    mapped = labels if label_map is None else [label_map[label] for label in labels]
    return torch.tensor(mapped, dtype=torch.int64)


def score_classes(outputs: Any, batch: Batch) -> Outcomes:
    """Scores (n, k) -> outcomes: the first of the highest scores is predicted; −log softmax in float64.

    A row with a NaN or +∞, or of −∞ alone, has no answer: predicted −1, not correct, nll NaN. (−∞ beside
    finite scores is how a model rules a class out.) ModelError where the outputs hold no (n, k) scores;
    DataError where a label is none of the k classes. Without labels only what was predicted is known: nothing is
    correct, and nll is NaN.
    """
    scores = _scores(outputs, len(batch))
    if batch.labels is None:
        return _unlabelled(scores)
    labels = _checked_labels(batch, k=scores.shape[1])
    answered, predicted = _answers(scores)
    nll = np.full(len(scores), np.nan)
    nll[answered] = _nll_nats(scores[answered], labels[answered])
    confidence = np.full(len(scores), np.nan)
    confidence[answered] = np.exp(-_nll_nats(scores[answered], predicted[answered]))
    return Outcomes(
        predicted=predicted,
        correct=predicted == labels,
        nll=nll,
        n_classes=scores.shape[1],
        confidence=confidence,
        margin=_margins(scores, labels),
    )


def class_loss(outputs: Any, batch: Batch) -> Tensor:
    """The sum over the rows of −log softmax at their labels, in nats, with its gradient.

    That of `score_classes`, and refused as there; NaN where a row has no answer.
    """
    scores = _checked_scores(outputs, len(batch))
    labels = torch.from_numpy(_checked_labels(batch, k=scores.shape[1]))
    return summed_nats(scores, labels.to(scores.device))


def summed_nats(scores: Tensor, wanted: Tensor) -> Tensor:
    """Scores (q, k) and right answers (q,) -> Σ −log softmax there, in float32 or what is finer; differentiable."""
    finer = torch.promote_types(scores.dtype, torch.float32)
    return cross_entropy(scores.to(finer), wanted, reduction="sum")


def _margins(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The score at the label less the best other one; not finite where the scores are not."""
    rows = np.arange(len(scores))
    others = scores.copy()
    others[rows, labels] = -np.inf
    with np.errstate(invalid="ignore"):
        margins: NDArray[np.float64] = scores[rows, labels] - others.max(axis=1)
    return margins


def _unlabelled(scores: NDArray[np.float64]) -> Outcomes:
    answered, predicted = _answers(scores)
    confidence = np.full(len(scores), np.nan)
    confidence[answered] = np.exp(-_nll_nats(scores[answered], predicted[answered]))
    return Outcomes(
        predicted=predicted,
        correct=np.zeros(len(scores), dtype=np.bool_),
        nll=np.full(len(scores), np.nan),
        n_classes=scores.shape[1],
        wanted=np.full(len(scores), NO_ANSWER),
        confidence=confidence,
    )


def _answers(scores: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which rows hold an answer, and the answers."""
    answered = ~np.isnan(scores).any(axis=1) & np.isfinite(scores.max(axis=1))
    return answered, np.where(answered, scores.argmax(axis=1), NO_ANSWER)


def shape_text(shape: Sequence[int]) -> str:
    """(2, 3), as a person writes it."""
    return f"({', '.join(str(side) for side in shape)})"


def _scores(outputs: Any, n: int) -> NDArray[np.float64]:
    """The (n, k) scores among what a model returned, as numbers."""
    scores: NDArray[np.float64] = _checked_scores(outputs, n).detach().cpu().double().numpy()
    return scores


def _checked_scores(outputs: Any, n: int) -> Tensor:
    """The (n, k) scores among what a model returned. ModelError."""
    found = tensor_in(outputs)
    if found is None:
        told = type(outputs).__name__
        raise ModelError(
            f"the model returned no scores but {told}",
            hint="a classifier returns a tensor (n, k), or an object with .logits",
        )
    if found.ndim != 2 or found.shape[0] != n or found.shape[1] < 2 or found.is_complex():
        kind, hint = _other_kind(found, n)
        raise ModelError(
            f"the model returned {shape_text(found.shape)} for {n} examples{kind}",
            details=[f"a classifier returns scores ({n}, k), one for each of k ≥ 2 classes"],
            hint=hint,
        )
    return found


_ONE_LOGIT = (
    "of two classes by one logit s, let build() return torch.cat([torch.zeros_like(s), s], dim=1); a number is judged "
    "by a task of yours: --task module:object"
)


def _other_kind(scores: Tensor, n: int) -> tuple[str, str]:
    """What outputs of another shape are for, and the way out."""
    if scores.is_complex():
        return ", complex numbers", f"a class has no complex score: {WAY_OUT}"
    if scores.shape == (n,) or scores.shape == (n, 1):
        return ": one number for each, as regression and two classes by one logit do", _ONE_LOGIT
    if scores.ndim == 3 and scores.shape[0] == n:
        return ": scores for every place of each, as token classification does", WAY_OUT
    if scores.ndim == 4 and scores.shape[0] == n:
        return ": a map for each, as segmentation does", WAY_OUT
    return "", WAY_OUT


def tensor_in(outputs: Any) -> Tensor | None:
    """The scores among what a model returned: itself, `.logits`, or the first of a tuple; None without any."""
    if isinstance(outputs, Tensor):
        return outputs
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    values = list(outputs.values()) if isinstance(outputs, Mapping) else outputs
    if isinstance(values, list | tuple) and values and (len(values) == 1 or isinstance(outputs, tuple)):
        return values[0] if isinstance(values[0], Tensor) else None
    return None


def _checked_labels(batch: Batch, *, k: int) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = batch.wanted.cpu().numpy()
    strange = sorted({int(label) for label in labels if not 0 <= label < k})
    if strange:
        raise DataError(
            f"the model knows {k} classes, 0 to {k - 1}, and the data have others",
            details=[listing("labels", [str(label) for label in strange], shown=5)],
            hint="pass data with the model's classes, or the right --label-column",
        )
    return labels


def _nll_nats(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """−log softmax at the labels, the largest score taken off first so that nothing overflows."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    of_label = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    nll: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - of_label
    return nll
