"""Text classification: one label for each text, or for two texts that are judged together."""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.errors import DataError, ModelError
from forgetaudit.gaps import Notes
from forgetaudit.tasks.scoring import class_loss, labels_of, score_classes, shape_text
from forgetaudit.tasks.task import Encode, Outcomes
from forgetaudit.tasks.unread import ends_overlooked, texts_cut

__all__ = ["TextClassification"]

MASK = "attention_mask"


class TextClassification:
    """Which of k classes a text, or a pair of texts, belongs to.

    `class_names`, `label_map` and `said` as in `Classification`. `encode` tokenises n texts or pairs at once; where it
    counts the texts that it cut (`n_truncated`), the count of those cut here is told.
    """

    def __init__(
        self,
        class_names: Sequence[str] | None,
        encode: Encode,
        *,
        label_map: Sequence[int] | None = None,
        said: Sequence[str] = (),
    ) -> None:
        self._said = tuple(said)
        self.class_names = None if class_names is None else tuple(class_names)
        self._encode = encode
        self._label_map = label_map
        self._n_seen = 0
        self._n_cut = self._n_shortened = 0

    def collate(self, examples: list[Example]) -> Batch:
        """Arguments by name, each (n, t), t the longest text's; `mask` is the attention mask.

        DataError where an example is no text; ModelError where `encode` gives something else than (n, t).
        """
        # One tokenizer may serve several data sets, in turns.
        n_cut_before, n_shortened_before = self._count_cut(), self._count_shortened()
        encoded = {name: tensor.clone() for name, tensor in self._encode(_texts(examples)).items()}
        self._n_cut += self._count_cut() - n_cut_before
        self._n_shortened += self._count_shortened() - n_shortened_before
        _refuse_misshapen(encoded, len(examples))
        self._n_seen += len(examples)
        return Batch(
            ids=tuple(example.id for example in examples),
            kwargs=encoded,
            labels=labels_of(examples, self._label_map),
            mask=encoded.get(MASK, getattr(self._encode, "mask", None)),
        )

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """See `forgetaudit.tasks.scoring.score_classes`."""
        return score_classes(outputs, batch)

    def loss(self, outputs: Any, batch: Batch) -> Tensor:
        """The log loss of all rows, in nats, differentiable: the sum of what `score` gives."""
        return class_loss(outputs, batch)

    def decisions(self) -> Notes:
        """What was `said` beforehand, and how many of the texts that came were longer than the model reads."""
        longest = getattr(self._encode, "longest", None)
        limit = "the model reads" if longest is None else f"the {longest:,} tokens that the model reads"
        return (
            *self._said,
            *texts_cut(self._n_cut, self._n_seen, limit),
            *ends_overlooked(self._n_shortened, self._n_seen),
        )

    def _count_shortened(self) -> int:
        return int(getattr(self._encode, "n_shortened", 0))

    def _count_cut(self) -> int:
        return int(getattr(self._encode, "n_truncated", 0))


def _texts(examples: Sequence[Example]) -> Sequence[str] | Sequence[tuple[str, str]]:
    inputs = [example.input for example in examples]
    if all(isinstance(content, str) for content in inputs):
        return cast("list[str]", inputs)
    if all(isinstance(content, tuple) for content in inputs):
        return cast("list[tuple[str, str]]", inputs)
    raise DataError(
        "the data hold something else than texts, and the model takes text",
        hint="name the column of text with --input-column",
    )


def _refuse_misshapen(encoded: dict[str, Tensor], n: int) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in encoded.items()}
    if not shapes or any(len(shape) != 2 or shape[0] != n for shape in shapes.values()):
        told = ", ".join(f"{name} {shape_text(shape)}" for name, shape in shapes.items())
        raise ModelError(
            f"{n} texts were encoded as {told or 'nothing'}",
            hint=f"encode gives tensors of shape ({n}, t), one row for each text",
        )
