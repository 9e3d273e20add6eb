"""Log loss and KL of single tokens, from scores of the whole vocabulary for every place.

Axes: n rows, t places in a row, v tokens of the vocabulary, q questions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.errors import ModelError
from forgetaudit.tasks.scoring import NO_ANSWER, shape_text, summed_nats, tensor_in
from forgetaudit.tasks.task import Outcomes

__all__ = ["IGNORED", "Questions", "questions_of", "score_tokens", "token_kl", "token_loss"]

IGNORED = -100
"""In a batch's labels, where no token is asked: as in transformers."""

# Scores that are worked on at once in float64: what stays in a processor's cache, what fills a GPU.
CHUNK = 2**17
GPU_CHUNK = 2**23


@dataclass(frozen=True, slots=True)
class Questions:
    """Which tokens are asked: by question the row (q,), the place whose scores answer (q,), and the answer (q,)."""

    row: Tensor
    place: Tensor
    wanted: Tensor

    def __len__(self) -> int:
        return len(self.wanted)


def questions_of(batch: Batch, *, ahead: int) -> Questions:
    """The questions in a batch's labels (n, t), row by row; a token is answered `ahead` places before it stands."""
    labels = batch.wanted
    row, place = (labels != IGNORED).nonzero(as_tuple=True)
    return Questions(row, place - ahead, labels[row, place])


def score_tokens(outputs: Any, batch: Batch, *, ahead: int) -> Outcomes:
    """Scores (n, t, v) -> outcomes by token: the highest score is predicted, −log softmax in float64.

    A token whose scores hold a NaN or +∞, or are −∞ alone, has no answer: predicted −1, not correct, nll NaN.
    ModelError where the outputs hold no such scores. Memory: a chunk in float64 beside the outputs.
    """
    asked = questions_of(batch, ahead=ahead)
    logits = _logits(outputs, batch)
    predicted, nll, sure = [_nothing(torch.int64)], [_nothing(torch.float64)], [_nothing(torch.float64)]
    (room,) = _rooms(logits, 1)
    for scores, wanted in _chunks(logits, asked):
        top, below = _shifted(scores, room)
        answered = top.isfinite()
        of_wanted = below.gather(1, wanted[:, None])[:, 0]
        predicted.append(torch.where(answered, scores.argmax(dim=1), NO_ANSWER).cpu())
        total = below.exp_().sum(dim=1)
        nll.append(torch.where(answered, total.log() - of_wanted, torch.nan).cpu())
        sure.append(torch.where(answered, 1 / total, torch.nan).cpu())
    answers = torch.cat(predicted).numpy()
    right = asked.wanted.cpu().numpy()
    return Outcomes(
        predicted=answers,
        correct=answers == right,
        nll=torch.cat(nll).numpy(),
        n_classes=logits.shape[2],
        wanted=right,
        row=asked.row.cpu().numpy(),
        confidence=torch.cat(sure).numpy(),
    )


def token_loss(outputs: Any, batch: Batch, *, ahead: int) -> Tensor:
    """The sum over the tokens asked of −log softmax at the right one, in nats, with its gradient.

    That of `score_tokens`, in float32; NaN where a token has no answer. Memory: three times the scores asked.
    """
    asked, logits = questions_of(batch, ahead=ahead), _logits(outputs, batch)
    at = asked.row * logits.shape[1] + asked.place
    scores = logits.reshape(-1, logits.shape[2])[_span(at.cpu()) if len(at) else at]
    return summed_nats(scores, asked.wanted)


def token_kl(base: Any, tuned: Any, batch: Batch, *, ahead: int) -> NDArray[np.float64]:
    """KL(base‖tuned) of the distributions over the next or hidden token, in nats (q,), in float64.

    0 exactly where the scores are the same; NaN where either side has no answer.
    """
    asked = questions_of(batch, ahead=ahead)
    ours, theirs = (_logits(outputs, batch) for outputs in (base, tuned))
    rooms = _rooms(ours, 3)
    chunks = zip(_chunks(ours, asked), _chunks(theirs, asked), strict=True)
    found = [_nothing(torch.float64), *(_kl(one, other, *rooms).cpu() for (one, _), (other, _) in chunks)]
    values: NDArray[np.float64] = torch.cat(found).numpy()
    return values


def _kl(base: Tensor, tuned: Tensor, *rooms: Tensor) -> Tensor:
    """Σ p (log p − log q), the largest score of either side taken off first so that nothing overflows."""
    (_, x), (_, y) = _shifted(base, rooms[0]), _shifted(tuned, rooms[1])
    log_ratio = torch.sub(x, y, out=rooms[2][: len(x)])
    weight, other = x.exp_(), y.exp_()
    total = weight.sum(dim=1)
    rest = (other.sum(dim=1) / total).log()
    found: Tensor = torch.linalg.vecdot(weight, log_ratio) / total + rest
    if not bool(found.isfinite().all()):
        # A token that both rule out by −∞ adds nothing.
        found = torch.linalg.vecdot(weight, log_ratio.masked_fill_(weight == 0, 0)) / total + rest
    return found


def _shifted(scores: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """The largest score of each row; and in `room` all scores less that, so that no exponential overflows."""
    top = scores.amax(dim=1)
    return top, room[: len(scores)].copy_(scores).sub_(top[:, None])


def _rooms(logits: Tensor, n: int) -> Tensor:
    """Where `n` chunks are worked on in float64: given out once, since fresh memory costs more than the sums."""
    device = "cpu" if logits.device.type == "mps" else logits.device
    return torch.empty(n, _n_together(logits), logits.shape[2], dtype=torch.float64, device=device)


def _n_together(logits: Tensor) -> int:
    return max(1, (GPU_CHUNK if logits.device.type == "cuda" else CHUNK) // logits.shape[2])


def _chunks(logits: Tensor, asked: Questions) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (c, v) that answer the next c questions, and the right answers (c,), where float64 can be had."""
    flat = logits.detach().reshape(-1, logits.shape[2])
    at = (asked.row * logits.shape[1] + asked.place).cpu()
    n_together = _n_together(logits)
    for start in range(0, len(asked), n_together):
        some = slice(start, start + n_together)
        scores, wanted = flat[_span(at[some])], asked.wanted[some]
        yield (scores.cpu(), wanted.cpu()) if scores.device.type == "mps" else (scores, wanted)


def _span(at: Tensor) -> slice | Tensor:
    """Ascending places as a slice where none is left out between them: then nothing needs to be copied."""
    first, last = int(at[0]), int(at[-1])
    return slice(first, last + 1) if last - first + 1 == len(at) else at


def _logits(outputs: Any, batch: Batch) -> Tensor:
    """The (n, t, v) scores among what a model returned."""
    n, t = batch.wanted.shape
    found = tensor_in(outputs)
    if found is None:
        raise ModelError(
            f"the model returned no scores but {type(outputs).__name__}",
            hint="a language model returns a tensor (n, t, v), or an object with .logits",
        )
    if found.ndim != 3 or tuple(found.shape[:2]) != (n, t) or not found.is_floating_point():
        raise ModelError(
            f"the model returned {shape_text(found.shape)} for {n} rows of {t} tokens",
            hint=f"a language model returns scores ({n}, {t}, v), one for each of v tokens at every place",
        )
    return found


def _nothing(dtype: torch.dtype) -> Tensor:
    return torch.empty(0, dtype=dtype)
