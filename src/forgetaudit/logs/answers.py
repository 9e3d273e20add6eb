"""What a log says of one document: how it was scored, and what the right answer's log-likelihood was."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Answer", "Answers", "Kind", "Log", "PerUnit", "Score"]


class Kind(StrEnum):
    """What the model was asked to do. The value is the task's name in the report."""

    MULTIPLE_CHOICE = "multiple-choice"
    LOG_LIKELIHOOD = "log-likelihood"
    ROLLING = "rolling-log-likelihood"
    GENERATION = "generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerUnit:
    """A document's log-likelihood in nats and its length in the units (words, bytes) that it is divided by."""

    log_likelihood: float
    n_units: float


# None: no number for this document, such as a pair from which a score of the whole set is computed.
Score = float | PerUnit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line of a log.

    `doc_hash` identifies the document's content, `doc_id` its place in the data. The log loss of the right answer
    is in nats, of its text given the prompt, and None where the log does not tell it. `n_options` is None where
    the answer is open.
    """

    line: int
    doc_id: str
    doc_hash: str
    prompt_hash: str | None
    target_hash: str | None
    kind: Kind
    n_options: int | None
    log_loss: float | None
    scores: Mapping[str, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All lines of one filter, in the file's order. `metrics` are the names that any line has, in their order."""

    rows: tuple[Answer, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One file. `task` is None where its name does not tell; a filter is lm-eval's way to read off an answer."""

    name: str
    path: str
    n_bytes: int
    sha256: str
    task: str | None
    filters: Mapping[str, Answers]
