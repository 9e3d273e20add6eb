"""What a user says of the run."""

from dataclasses import dataclass, field
from pathlib import Path

from forgetaudit.budget.clues import Clues

__all__ = ["BudgetPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """Where the log is, what the options say of the run, and over how many more steps to look ahead.

    Without a `log`, what lies beside the tuned weights is taken.
    """

    log: Path | None = None
    asked: Clues = field(default_factory=Clues)
    n_more: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the user said anything of the run: then silence is no answer."""
        return self != BudgetPlan()
