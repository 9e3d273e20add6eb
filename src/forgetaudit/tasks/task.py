"""What "right" means: a task makes batches of examples, and judges what a model answered."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example

__all__ = ["Outcomes", "Task"]


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


class Task(Protocol):
    """Turns examples into what the model takes, and what the model gives into right and wrong."""

    def collate(self, examples: list[Example]) -> Batch:
        """One batch in fresh tensors, the examples along the first dimension; DataError where they do not fit."""
        ...

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """What `outputs`, as the model returned them for `batch`, are worth; ModelError where they are none."""
        ...
