"""Multiple choice: which of the texts goes on from a context, by their log-likelihoods under a causal model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Choices, Example
from forgetaudit.errors import DataError
from forgetaudit.gaps import Notes
from forgetaudit.tasks.choice_encoding import Question, encode_questions
from forgetaudit.tasks.choice_likelihoods import ABSENT, ChoiceLikelihoods
from forgetaudit.tasks.scoring import labels_of, score_classes
from forgetaudit.tasks.task import Outcomes, Setting, Tokens
from forgetaudit.tasks.unread import texts_cut

__all__ = ["MultipleChoice", "multiple_choice", "multiple_choice_normalised"]

NO_ANSWER = -1


class MultipleChoice:
    """The likeliest choice is the answer: by the sum of its tokens' log-likelihoods, as lm-eval's acc.

    With `normalised` by that sum over the number of characters of the choice, as lm-eval's acc_norm; the other of
    the two is told as a score. The log loss is that of choosing: −log softmax over the sums at the right choice, so
    that it is comparable with log k, where lm-eval logs the likelihood of the right text alone.
    """

    class_names = None
    unit = "question"

    def __init__(self, tokens: Tokens, *, normalised: bool = False) -> None:
        self._tokens = tokens
        self._normalised = normalised
        self._likelihoods = ChoiceLikelihoods(tokens)
        self._n_cut = self._n_seen = 0

    def collate(self, examples: list[Example]) -> Batch:
        """`context` (n, t) padded left with `mask`, `endings` (n, k, t) and their `n_characters` (n, k).

        DataError where an example is no context with choices, or cannot be scored.
        """
        questions = encode_questions(examples, self._tokens)
        self._n_seen += len(questions)
        self._n_cut += sum(question.cut for question in questions)
        context, mask = _contexts(questions, self._tokens.pad)
        return Batch(
            ids=tuple(example.id for example in examples),
            kwargs={
                "context": context,
                "mask": mask,
                "endings": _endings(questions),
                "n_characters": _n_characters([example.input for example in examples]),
            },
            labels=labels_of(examples),
            mask=mask,
        )

    def forward(self, model: Any, *, context: Tensor, mask: Tensor, endings: Tensor, **_: Tensor) -> Tensor:
        """The log-likelihoods (n, k) of all choices, −∞ where a question has no such choice."""
        return self._likelihoods(model, context, mask, endings)

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        """Outcomes of the log-likelihoods; DataError where there are no answers, or one names no choice."""
        plain = score_classes(outputs, batch)
        wanted: NDArray[np.int64] = batch.wanted.cpu().numpy()
        n_characters = batch.kwargs["n_characters"].cpu().numpy()
        shares = outputs.cpu().double().numpy() / np.maximum(n_characters, 1)
        by_length = np.where(plain.predicted == NO_ANSWER, NO_ANSWER, shares.argmax(axis=1))
        right = {"acc": plain.correct, "acc_norm": by_length == wanted}
        judged, told = ("acc_norm", "acc") if self._normalised else ("acc", "acc_norm")
        return replace(
            plain,
            predicted=by_length if self._normalised else plain.predicted,
            correct=right[judged],
            wanted=wanted,
            # The softmax is over the sums, and says nothing of an answer by length.
            confidence=None if self._normalised else plain.confidence,
            margin=None if self._normalised else plain.margin,
            guess=float((1 / (n_characters > 0).sum(axis=1)).mean()),
            scores={told: right[told].astype(np.float64)},
        )

    def decisions(self) -> Notes:
        """By what a choice is judged, how the model was run, and how many questions were too long for it."""
        by = (
            "log-likelihood per character (lm-eval's acc_norm)"
            if self._normalised
            else "log-likelihood (lm-eval's acc)"
        )
        limit = f"the {self._tokens.longest:,} tokens that the model reads"
        cut = texts_cut(self._n_cut, self._n_seen, limit, noun="question", lost="lost their beginning")
        judged = f"a choice is judged by its {by}, after one space"
        run = self._likelihoods.said
        return (judged, *([run] if run else []), *cut)


def multiple_choice(setting: Setting) -> MultipleChoice:
    """The task for contexts with choices. DataError where the data are none, or the model is no causal one."""
    return MultipleChoice(_tokens(setting))


def multiple_choice_normalised(setting: Setting) -> MultipleChoice:
    """The same, judged by likelihood per character."""
    return MultipleChoice(_tokens(setting), normalised=True)


def _tokens(setting: Setting) -> Tokens:
    if not setting.of_choices:
        raise DataError(
            f"{setting.data} holds no contexts with choices",
            hint="name the columns: --input-column question --input-column choices",
        )
    if setting.model_task not in ("causal-lm", None):
        raise DataError(
            f"{setting.data} holds contexts with choices, and {setting.model} was made for {setting.model_task}",
            details=["which choice goes on from a context is what a causal language model can tell"],
            hint="pass a causal language model, or data for this one",
        )
    if setting.tokens is None:
        raise DataError(
            f"{setting.data} holds contexts with choices, and {setting.model} has no tokenizer",
            hint="pass a causal language model that was saved with its tokenizer",
        )
    if not setting.labelled:
        raise DataError(
            f"{setting.data} does not say which choice is right",
            hint="name the column of answers with --label-column",
        )
    return setting.tokens


def _contexts(questions: Sequence[Question], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and mask (n, t), padded left: all rows end where their endings go on."""
    width = max(len(question.context) for question in questions)
    ids = torch.full((len(questions), width), pad, dtype=torch.int64)
    mask = torch.zeros(len(questions), width, dtype=torch.int64)
    for row, question in enumerate(questions):
        ids[row, width - len(question.context) :] = torch.tensor(question.context)
        mask[row, width - len(question.context) :] = 1
    return ids, mask


def _endings(questions: Sequence[Question]) -> Tensor:
    """Ids (n, k, t), padded right with ABSENT."""
    k = max(len(question.endings) for question in questions)
    width = max(len(ending) for question in questions for ending in question.endings)
    ids = torch.full((len(questions), k, width), ABSENT, dtype=torch.int64)
    for row, question in enumerate(questions):
        for choice, ending in enumerate(question.endings):
            ids[row, choice, : len(ending)] = torch.tensor(ending)
    return ids


def _n_characters(inputs: Sequence[Any]) -> Tensor:
    """(n, k), 0 where a question has no such choice."""
    held = [[len(choice) for choice in content.choices] for content in inputs if isinstance(content, Choices)]
    k = max(map(len, held))
    return torch.tensor([row + [0] * (k - len(row)) for row in held])
