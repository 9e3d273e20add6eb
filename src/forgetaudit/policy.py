"""The gate's rules, as values: what is limited, how far, and what a broken limit means."""

import re
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from forgetaudit.errors import UsageError

__all__ = [
    "MOST_EXAMPLES",
    "FailWhen",
    "Level",
    "OnInconclusive",
    "Policy",
    "Rule",
    "RuleKind",
    "covers",
    "drop_limit",
    "plain_limit",
    "whole_limit",
]

# More than any data set holds, and exact as a float.
MOST_EXAMPLES = 10**12


class RuleKind(StrEnum):
    """What a rule limits. The value is its name in the config and in the report."""

    ACCURACY = "accuracy"
    CKA = "cka"
    DISTANCE = "distance"
    FROZEN = "frozen"


class Level(StrEnum):
    """Whether a broken rule fails the audit or only warns."""

    FAIL = "fail"
    WARN = "warn"


class FailWhen(StrEnum):
    """`likely`: the estimate is over the limit and some loss is sure; `proven`: surely over the limit."""

    LIKELY = "likely"
    PROVEN = "proven"


class OnInconclusive(StrEnum):
    """What a rule that the data cannot decide does to the exit code."""

    WARN = "warn"
    FAIL = "fail"
    PASS = "pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One limit.

    `limit` is a fraction of all examples for accuracy (of base's accuracy if `relative`), a similarity
    for cka, and relative to ‖θ₀‖ for distance. `where` narrows cka and distance to one layer. `patterns`
    are the tensor names of a frozen rule.
    """

    kind: RuleKind
    limit: float | None = None
    relative: bool = False
    where: str | None = None
    patterns: tuple[str, ...] = ()
    level: Level = Level.FAIL
    min_samples: int | None = None

    @property
    def name(self) -> str:
        """As the config and the report write it: `accuracy`, `cka/block2`."""
        return self.kind.value if self.where is None else f"{self.kind.value}/{self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All the rules of a gate and how sure it has to be. `confidence` is one-sided."""

    rules: tuple[Rule, ...] = ()
    confidence: float = 0.95
    min_samples: int = 200
    fail_when: FailWhen = FailWhen.LIKELY
    on_inconclusive: OnInconclusive = OnInconclusive.WARN
    source: str = field(default="command line")


def covers(pattern: str, tensor: str) -> bool:
    """Whether a frozen rule's shell pattern means this tensor: its name, or a module that it lies in."""
    return fnmatchcase(tensor, pattern) or fnmatchcase(tensor, f"{pattern}.*")


_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(pt|%)\s*")


def drop_limit(text: object, option: str) -> tuple[float, bool]:
    """`2pt` -> (0.02, False), points of all examples; `2%` -> (0.02, True), relative to base."""
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UsageError(
            f"{option} {text} has no unit",
            details=["pt: points of all examples, so 90 % → 88 % is 2pt", "%: relative to base's accuracy"],
            hint=f'write "{_digits(text)}pt"',
        )
    value = float(match[1]) / 100
    if value > 1:
        raise UsageError(f"{option} {text} is more than everything", hint="pass a limit of at most 100pt")
    return value, match[2] == "%"


def _digits(text: object) -> str:
    number = re.search(r"[0-9]*\.?[0-9]+", str(text))
    return "2" if number is None else number[0]


def plain_limit(value: object, option: str, *, low: float, high: float | None) -> float:
    """A bare finite number within [low, high]; UsageError with the range otherwise."""
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    top = sys.float_info.max if high is None else high
    # Compared before it is converted: a whole number may be too large for a float. Nothing is true of nan.
    if number is None or not low <= number <= top:
        span = f"from {low:g} to {high:g}" if high is not None else f"of {low:g} or more"
        raise UsageError(f"{option} {value} is not a number {span}", hint=f"pass a number {span}")
    return float(number)


def whole_limit(value: object, option: str, *, low: int, high: int) -> int:
    """A whole number within [low, high]; UsageError with the range otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        span = f"from {low:,} to {high:,}"
        raise UsageError(f"{option} {value} is not a whole number {span}", hint=f"pass a number {span}")
    return value
