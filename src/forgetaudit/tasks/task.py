"""What "right" means: a task makes batches of examples, and judges what a model answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example

__all__ = ["Encode", "Outcomes", "Setting", "Task"]

# n texts, or n pairs of texts -> the model's arguments by name, each (n, t), attention_mask among them.
Encode = Callable[[Sequence[str] | Sequence[tuple[str, str]]], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What one variant answered to n examples, choosing among `n_classes`.

    `predicted` (n,) int64, -1 where the answer is none; `correct` (n,) bool; `nll` (n,) float64, nats, NaN where
    there is no answer.
    """

    predicted: NDArray[np.int64]
    correct: NDArray[np.bool_]
    nll: NDArray[np.float64]
    n_classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a task is made from: what the data hold, and how the model takes it.

    Of the data called `data`: their classes, in the order of the labels, and the labels that examples have. Of the
    `model`: its classes in the order of the scores, what makes an image or array one tensor, and what makes
    texts arguments. None where nothing says so.
    """

    data: str
    model: str
    of_text: bool = False
    class_names: tuple[str, ...] | None = None
    labels_present: frozenset[int] = frozenset()
    model_class_names: tuple[str, ...] | None = None
    preprocess: Callable[[Any], Any] | None = None
    encode: Encode | None = None


class Task(Protocol):
    """Turns examples into what the model takes, and what the model gives into right and wrong."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the labels in its batches, in their order; None where they have none."""
        ...

    def collate(self, examples: list[Example]) -> Batch:
        """One batch in fresh tensors, the examples along the first dimension; DataError where they do not fit."""
        ...

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """What `outputs`, as the model returned them for `batch`, are worth; ModelError where they are none."""
        ...

    def decisions(self) -> tuple[str, ...]:
        """Sentences on what was done to the examples so far, for the report: converted, cut."""
        ...
