"""Every way an audit can be refused.

    AuditError                 the audit cannot be done as asked: exit code 2
    ├── UsageError             the words of the command do not fit together
    │   └── ConfigError        the words of the config file do not
    ├── CheckpointError        a file cannot be used as a checkpoint
    │   ├── UnreadableCheckpoint   missing, empty, truncated, or something else than weights
    │   └── UnsafeCheckpoint       reading it would run code or leave its folder
    ├── MismatchError          base, tuned and the model are not versions of one network
    ├── ModelError             the model cannot be built or run
    ├── DataError              the data cannot be found, read, or matched to the task
    └── OutputError            a result cannot be written

Each is a note to a person: the fact with its values, details (first few, the rest counted), and a hint that
is an action. Foreign errors are translated at the door that owns the library.
"""

from collections.abc import Sequence

__all__ = [
    "AuditError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "MismatchError",
    "ModelError",
    "OutputError",
    "UnreadableCheckpoint",
    "UnsafeCheckpoint",
    "UsageError",
    "listing",
]


class AuditError(Exception):
    """The audit cannot be done as asked.

    `fact` is one sentence with its values, without a full stop; `details` are further lines; `hint` says what
    to do. None of them is escaped: whoever shows them escapes what came out of a file.
    """

    def __init__(self, fact: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.details = tuple(details)
        self.hint = hint

    def __str__(self) -> str:
        hint = [] if self.hint is None else [f"hint: {self.hint}"]
        return "\n  ".join([self.fact, *self.details, *hint])


class UsageError(AuditError):
    """The words of the command do not fit together."""


class ConfigError(UsageError):
    """The words of the config file do not fit together."""


class CheckpointError(AuditError):
    """A file cannot be used as a checkpoint."""


class UnreadableCheckpoint(CheckpointError):
    """The file is missing, empty, truncated, or something else than weights."""


class UnsafeCheckpoint(CheckpointError):
    """Reading the file would run code or leave its folder."""


class MismatchError(AuditError):
    """Base, tuned and the model are not versions of one network."""


class ModelError(AuditError):
    """The model cannot be built or run."""


class DataError(AuditError):
    """The data cannot be found, read, or matched to the task."""


class OutputError(AuditError):
    """A result cannot be written."""


def listing(label: str, items: Sequence[str], shown: int = 2) -> str:
    """`only in tuned (77): a, b, … 75 more`: the first few of a list, the rest counted."""
    more = [f"… {len(items) - shown} more"] if len(items) > shown else []
    return f"{label} ({len(items)}): " + ", ".join([*items[:shown], *more])
