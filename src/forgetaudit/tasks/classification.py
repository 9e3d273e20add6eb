"""Classification: one label for each image or array, the highest score is the answer."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example, Input
from forgetaudit.errors import DataError, ModelError, listing
from forgetaudit.tasks.pixels import conversion, pixels
from forgetaudit.tasks.task import Outcomes

__all__ = ["Classification"]

NO_ANSWER = -1
TEXT_HINT = "pass a model that was saved with its tokenizer, or data of images"


class Classification:
    """Which of k classes an image or array belongs to.

    `class_names` are the data's classes, in the order of the labels, where they are known. `preprocess` takes
    an image or array and gives what one example is to the model, as a tensor or array; without it images
    become float32 (c, h, w) in [0, 1] of their own size, and arrays float32 as they are. `conversions` counts
    the images that had to be brought to grey or RGB, by what was done to them.
    """

    def __init__(
        self,
        class_names: Sequence[str] | None = None,
        preprocess: Callable[[Input], Tensor | NDArray[Any]] | None = None,
    ) -> None:
        self.class_names = None if class_names is None else tuple(class_names)
        self.conversions: Counter[str] = Counter()
        self._preprocess = preprocess or self._as_float32

    def collate(self, examples: list[Example]) -> Batch:
        """One argument (n, …), float32 unless `preprocess` says otherwise. DataError where shapes differ."""
        inputs = [torch.as_tensor(self._preprocess(example.input)) for example in examples]
        _refuse_ragged(examples, inputs)
        # Written into memory that torch allocated: an unaligned tensor changes the last bits of a matmul.
        together = torch.empty((len(inputs), *inputs[0].shape), dtype=inputs[0].dtype)
        for row, values in enumerate(inputs):
            together[row] = values
        return Batch(ids=tuple(e.id for e in examples), args=(together,), labels=_labels(examples))

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """Scores (n, k) -> outcomes: the first of the highest scores is predicted; −log softmax in float64.

        A row with a NaN or +∞, or of −∞ alone, has no answer: predicted −1, not correct, nll NaN. (−∞ beside
        finite scores is how a model rules a class out.) ModelError where the outputs hold no (n, k) scores;
        DataError where a label is none of the k classes, or there is none.
        """
        scores = _scores(outputs, len(batch))
        labels = _checked_labels(batch, k=scores.shape[1])
        answered = ~np.isnan(scores).any(axis=1) & np.isfinite(scores.max(axis=1))
        predicted = np.where(answered, scores.argmax(axis=1), NO_ANSWER)
        nll = np.full(len(scores), np.nan)
        nll[answered] = _nll_nats(scores[answered], labels[answered])
        return Outcomes(predicted=predicted, correct=predicted == labels, nll=nll, n_classes=scores.shape[1])

    def _as_float32(self, content: Input) -> NDArray[np.float32]:
        if isinstance(content, np.ndarray):
            return content.astype(np.float32)
        if not isinstance(content, Image.Image):
            raise DataError("the data hold text, and the network takes images or arrays", hint=TEXT_HINT)
        if (done := conversion(content.mode)) is not None:
            self.conversions[f"{content.mode}: {done}"] += 1
        return pixels(content)


def _refuse_ragged(examples: Sequence[Example], inputs: Sequence[Tensor]) -> None:
    first = inputs[0].shape
    other = next((row for row, values in enumerate(inputs) if values.shape != first), None)
    if other is not None:
        raise DataError(
            f"the examples differ in shape: {_told(first)} and {_told(inputs[other].shape)}",
            details=[f"examples {examples[0].id} and {examples[other].id}"],
            hint="bring all to one size and one number of channels, or pass a preprocess that does",
        )


def _labels(examples: Sequence[Example]) -> Tensor | None:
    labels = [example.label for example in examples if example.label is not None]
    if not labels:
        return None
    if len(labels) < len(examples):
        n_without = len(examples) - len(labels)
        raise DataError(
            f"{n_without} of {len(examples)} examples have no label", hint="label all or leave out"
        )
    return torch.tensor(labels, dtype=torch.int64)


def _scores(outputs: Any, n: int) -> NDArray[np.float64]:
    """The (n, k) scores among what a model returned: itself, `.logits`, or the first of a tuple."""
    found = _tensor_in(outputs)
    if found is None:
        told = type(outputs).__name__
        raise ModelError(
            f"the model returned no scores but {told}",
            hint="a classifier returns a tensor (n, k), or an object with .logits",
        )
    if found.ndim != 2 or found.shape[0] != n or found.shape[1] < 2 or found.is_complex():
        raise ModelError(
            f"the model returned {_told(found.shape)} for {n} examples",
            hint=f"a classifier returns scores ({n}, k), one for each of k ≥ 2 classes",
        )
    scores: NDArray[np.float64] = found.detach().cpu().double().numpy()
    return scores


def _tensor_in(outputs: Any) -> Tensor | None:
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
    if batch.labels is None:
        raise DataError("the examples have no labels", hint="name their column with --label-column")
    labels: NDArray[np.int64] = batch.labels.cpu().numpy()
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


def _told(shape: Sequence[int]) -> str:
    return f"({', '.join(str(side) for side in shape)})"
