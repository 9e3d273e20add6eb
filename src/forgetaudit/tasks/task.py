"""What "right" means: a task makes batches of examples, and judges what a model answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.gaps import Notes

__all__ = ["Encode", "FinalAnswers", "Outcomes", "Sentences", "Setting", "Task", "Tokens"]

# n texts, or n pairs of texts -> the model's arguments by name, each (n, t), attention_mask among them.
Encode = Callable[[Sequence[str] | Sequence[tuple[str, str]]], Mapping[str, Tensor]]


class Tokens(Protocol):
    """How base's tokenizer reads text, and what its network takes beside ids.

    `longest` is the most tokens of one row, `vocabulary` how many scores the network gives for one place. `pad` fills
    up rows (any id: what stands there is masked), `start` is what the tokenizer puts before every text or, failing
    that, its token for an end, None without one; `mask` is the token that stands for a hidden one, `special` are all
    that are no text. `arguments` are the names that the network's forward takes.
    """

    longest: int
    vocabulary: int
    pad: int
    start: int | None
    mask: int | None
    special: frozenset[int]
    arguments: frozenset[str]

    def read(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[int]]:
        """The ids of each text, whole, however long; with what the tokenizer puts around a text, or without."""
        ...


class Sentences(Protocol):
    """How base's files say that the tokens of a text become one embedding, and embeddings are compared.

    The prompts are put before queries and documents; `similarity` is "cosine" or "dot". `said` is for the report.
    """

    query_prompt: str
    document_prompt: str
    similarity: str
    said: tuple[str, ...]

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Of hidden (n, t, d) under mask (n, t), 1 for real tokens -> (n, d) float32."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What one variant answered to n questions, choosing among `n_classes` (at most, where that differs).

    A question is an example, or a token of one. `predicted` (n,) int64, -1 where the answer is none; `correct` (n,)
    bool; `nll` (n,) float64, nats, NaN where there is no answer. `wanted` (n,) int64 are the right answers where they
    are no classes of the data; None: the labels of the batch. `row` (n,) int64 ascending is the row of the batch that
    each question belongs to, the same for every variant; None: one question a row. `guess` is the mean share that
    guessing gets right; None: 1 in `n_classes`. `confidence` (n,) is the probability that the answer was given, NaN
    without one; None where the task has none. `margin` (n,) is by how much the right answer's score leads the best
    other one's, in nats, negative where that is higher; None likewise. `scores` are further measures of every question
    by their name, each (n,) float64: `acc_norm`, `recall@10`.
    """

    predicted: NDArray[np.int64]
    correct: NDArray[np.bool_]
    nll: NDArray[np.float64]
    n_classes: int
    wanted: NDArray[np.int64] | None = None
    row: NDArray[np.int64] | None = None
    guess: float | None = None
    confidence: NDArray[np.float64] | None = None
    margin: NDArray[np.float64] | None = None
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswers:
    """What every variant answered to all n questions, for a task that can only tell at the end.

    `asked` are the examples that asked each of the n questions, `outcomes` by variant, `soft` by tuned variant: see
    `Task`.
    """

    asked: tuple[Example, ...]
    outcomes: Mapping[str, Outcomes]
    soft: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a task is made from: what the data hold, and how the model takes it.

    Of the data called `data`: their classes, in the order of the labels, and the labels that examples have. Of the
    `model`: the task it was made for, its classes in the order of the scores, what makes an image or array one
    tensor, what makes texts arguments, what reads text token by token, and what makes tokens an embedding. None where
    nothing says so.
    """

    data: str
    model: str
    model_task: str | None = None
    of_text: bool = False
    of_choices: bool = False
    labelled: bool = True
    decisions: Notes = ()
    class_names: tuple[str, ...] | None = None
    labels_present: frozenset[int] = frozenset()
    model_class_names: tuple[str, ...] | None = None
    preprocess: Callable[[Any], Any] | None = None
    encode: Encode | None = None
    tokens: Tokens | None = None
    sentences: Sentences | None = None


class Task(Protocol):
    """Turns examples into what the model takes, and what the model gives into right and wrong.

    A task may also have, each looked for by its name:

    - `unit`, what a question is: "token", "question", "query" ("example" without it);
    - `metric`, what the share of right answers is called ("accuracy" without it): "recall@1";
    - `forward(model, *args, **kwargs)`, which runs the model on a batch where that is more than one call;
    - `soft(base, tuned, batch)`, by name the (n,) float64 measures of what changed between the outputs of two
      variants, beside right and wrong: `kl` in nats, `overlap@10`;
    - `loss(outputs, batch)`, the log loss of a batch, summed over its questions, in nats, as a tensor that has a
      gradient by the outputs: what `score` gives as `nll`. `locate --preview` needs it;
    - `keep(outputs, batch)` and `settle() -> Settled`, where no question can be answered before all examples have
      been seen: then `keep` takes every variant's outputs for a batch instead of `score`;
    - `parts(batch)`, the batch in parts that fit in memory, its rows in their order; none where nothing is asked.
    """

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

    def decisions(self) -> Notes:
        """What was done to the examples so far, for the report: converted, cut; as a gap where a reader has to know."""
        ...
