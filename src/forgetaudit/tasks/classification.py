"""Classification: one label for each image or array, the highest score is the answer."""

import inspect
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example, Input
from forgetaudit.errors import AuditError, DataError, ModelError
from forgetaudit.gaps import Notes
from forgetaudit.tasks.input_range import InputRange
from forgetaudit.tasks.pixels import conversion, pixels
from forgetaudit.tasks.scoring import class_loss, labels_of, score_classes, shape_text
from forgetaudit.tasks.task import Outcomes

__all__ = ["Classification"]

TEXT_HINT = "pass a model that was saved with its tokenizer, or data of images"


class Classification:
    """Which of k classes an image or array belongs to.

    `class_names` are the classes in the order of the scores, where they are known; `label_map` gives the place
    there of each of the data's classes (None: the same). `preprocess` takes an image or array and gives what
    one example is to the model, as a tensor or array; without it images become float32 (c, h, w) in [0, 1] of
    their own size, and arrays float32 as they are. `conversions` counts the images that had to be brought to
    grey or RGB, by what was done to them. `said` are decisions that made it.
    """

    def __init__(
        self,
        class_names: Sequence[str] | None = None,
        preprocess: Callable[[Input], Tensor | NDArray[Any]] | None = None,
        *,
        label_map: Sequence[int] | None = None,
        said: Sequence[str] = (),
    ) -> None:
        self._said = tuple(said)
        self._label_map = label_map
        self.class_names = None if class_names is None else tuple(class_names)
        self.conversions: Counter[str] = Counter()
        self._range = InputRange()
        self._preprocess = preprocess or self._as_float32

    def collate(self, examples: list[Example]) -> Batch:
        """One argument (n, …), float32 unless `preprocess` says otherwise.

        DataError where shapes differ; ModelError where `preprocess` raises, or gives neither tensor nor array.
        """
        inputs = [_tensor(self._preprocess, example) for example in examples]
        for example, given in zip(examples, inputs, strict=True):
            self._range.look(example.input, given)
        _refuse_ragged(examples, inputs)
        # Written into memory that torch allocated: an unaligned tensor changes the last bits of a matmul.
        together = torch.empty((len(inputs), *inputs[0].shape), dtype=inputs[0].dtype)
        for row, values in enumerate(inputs):
            together[row] = values
        return Batch(
            ids=tuple(e.id for e in examples), args=(together,), labels=labels_of(examples, self._label_map)
        )

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """See `forgetaudit.tasks.scoring.score_classes`."""
        return score_classes(outputs, batch)

    def loss(self, outputs: Any, batch: Batch) -> Tensor:
        """The log loss of all rows, in nats, differentiable: the sum of what `score` gives."""
        return class_loss(outputs, batch)

    def decisions(self) -> Notes:
        """What was `said` beforehand, what was done to the images that came, and a range few networks know."""
        converted = (
            f"{count:,} {'image' if count == 1 else 'images'} of mode {done}"
            for done, count in sorted(self.conversions.items())
        )
        return (*self._said, *converted, *self._range.gaps())

    def _as_float32(self, content: Input) -> NDArray[np.float32]:
        if isinstance(content, np.ndarray):
            return content.astype(np.float32)
        if not isinstance(content, Image.Image):
            raise DataError("the data hold text, and the network takes images or arrays", hint=TEXT_HINT)
        if (done := conversion(content.mode)) is not None:
            self.conversions[f"{content.mode}: {done}"] += 1
        return pixels(content)


def _tensor(preprocess: Callable[[Input], Tensor | NDArray[Any]], example: Example) -> Tensor:
    try:
        prepared = preprocess(example.input)
    except AuditError:
        raise
    # Also where the user's code leaves by sys.exit: its code is not this program's.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the model's preprocess raised an error on example {example.id}",
            details=[f"{type(error).__name__}: {error}"],
            hint=_place(error.__traceback__),
        ) from error
    try:
        return torch.as_tensor(prepared)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the model's preprocess returned a {type(prepared).__name__}, which is no tensor or array",
            details=[f"example {example.id}"],
            hint=f"return one tensor for one image or array{_home(preprocess)}",
        ) from error


def _place(trace: TracebackType | None) -> str:
    """Where the code raised that is neither installed nor this module's, as an editor understands it."""
    own = [
        frame
        for frame in traceback.extract_tb(trace)
        if frame.filename != __file__ and "site-packages" not in frame.filename
    ]
    return f"see {own[-1].filename}:{own[-1].lineno}" if own else "try it on one example first"


def _home(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "" if code is None else f"; see {code.co_filename}:{code.co_firstlineno}"


def _refuse_ragged(examples: Sequence[Example], inputs: Sequence[Tensor]) -> None:
    first = inputs[0].shape
    other = next((row for row, values in enumerate(inputs) if values.shape != first), None)
    if other is not None:
        raise DataError(
            f"the examples differ in shape: {shape_text(first)} and {shape_text(inputs[other].shape)}",
            details=[f"examples {examples[0].id} and {examples[other].id}"],
            hint="bring all to one size and one number of channels, or pass a preprocess that does",
        )
