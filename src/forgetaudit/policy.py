"""The gate's rules, as values: what is limited, how far, and what a broken limit means."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
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
    "Waiver",
    "base_rule",
    "covers",
    "drop_limit",
    "integer_limit",
    "nats_limit",
    "plain_limit",
]

# More nats, or percent of base's, than any log loss rises by.
_MOST = 10**6

# More than any data set holds, and exact as a float.
MOST_EXAMPLES = 10**12


class RuleKind(StrEnum):
    """What a rule limits. The value is its name in the config and in the report."""

    ACCURACY = "accuracy"
    CLASSES = "accuracy.per-class"
    GROUPS = "accuracy.group"
    LOG_LOSS = "nll"
    FORGOTTEN = "forgotten"
    DISAGREEMENT = "disagreement"
    CALIBRATION = "calibration"
    CKA = "cka"
    DISTANCE = "distance"
    FROZEN = "frozen"

    @property
    def has_parts(self) -> bool:
        """Whether a rule may name one class, group or layer: `cka/block2`."""
        return self in (RuleKind.CLASSES, RuleKind.GROUPS, RuleKind.CKA, RuleKind.DISTANCE)

    @property
    def is_of_weights(self) -> bool:
        """Whether it is measured on the weights alone, whatever the data."""
        return self in (RuleKind.DISTANCE, RuleKind.FROZEN)


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

    `limit` is a fraction of all examples for what is counted in examples (of base's accuracy if `relative`), nats for
    nll (a fraction of base's if `relative`), a similarity for cka, and relative to ‖θ₀‖ for distance. `where` narrows
    to one class, group or layer, `data` to one data set. `patterns` are the tensor names of a frozen rule.
    `min_samples` and `fail_when` are the policy's where they are None.
    """

    kind: RuleKind
    limit: float | None = None
    relative: bool = False
    where: str | None = None
    data: str | None = None
    patterns: tuple[str, ...] = ()
    level: Level = Level.FAIL
    min_samples: int | None = None
    fail_when: FailWhen | None = None

    @property
    def name(self) -> str:
        """As the config and the report write it: `accuracy`, `cka/block2`."""
        return self.kind.value if self.where is None else f"{self.kind.value}/{self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A wider limit for one rule, or for one class, group or layer of a rule, with its reason and its end.

    `limit` and `relative` are as the rule's. It holds through the day `expires`, in UTC.
    """

    rule: str
    limit: float
    relative: bool = False
    reason: str
    expires: date
    data: str | None = None

    def has_expired(self, today: date) -> bool:
        """Whether `today`, a date in UTC, lies past its last day."""
        return today > self.expires


def base_rule(name: str, rules: Sequence[Rule]) -> Rule | None:
    """The rule that a waiver of `name` widens: that very one, else the one that has it as a part; None without one."""
    kind = name.partition("/")[0]
    whole = [rule for rule in rules if rule.name == name]
    parts = [rule for rule in rules if rule.name == kind and rule.kind in _SPLIT]
    return next(iter([*whole, *parts]), None)


# Rules that judge every class, group or layer, so that one of them can have a limit of its own.
_SPLIT = (RuleKind.CLASSES, RuleKind.GROUPS, RuleKind.CKA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All the rules of a gate and how sure it has to be. `confidence` is one-sided.

    It is each rule's own; with `family_wise` it is that of all rules together where they fail.
    """

    rules: tuple[Rule, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    confidence: float = 0.95
    min_samples: int = 200
    fail_when: FailWhen = FailWhen.LIKELY
    on_inconclusive: OnInconclusive = OnInconclusive.WARN
    family_wise: bool = False
    source: str = field(default="command line")


def covers(pattern: str, tensor: str) -> bool:
    """Whether a frozen rule's shell pattern means this tensor: its name, or a module that it lies in."""
    return fnmatchcase(tensor, pattern) or fnmatchcase(tensor, f"{pattern}.*")


_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(pt|%|nats)\s*")


def drop_limit(text: object, option: str) -> tuple[float, bool]:
    """`2pt` -> (0.02, False), points of all examples; `2%` -> (0.02, True), relative to base."""
    number, unit = _quantity(text)
    if number is None or unit == "nats":
        raise UsageError(
            f"{option} {text} has no unit"
            if number is None
            else f"{option} {text} is not a share of examples",
            details=["pt: points of all examples, so 90 % → 88 % is 2pt", "%: relative to base's accuracy"],
            hint=f'write "{_digits(text)}pt"',
        )
    if number > 100:
        raise UsageError(f"{option} {text} is more than everything", hint="pass a limit of at most 100pt")
    return number / 100, unit == "%"


def nats_limit(text: object, option: str) -> tuple[float, bool]:
    """`0.1 nats` -> (0.1, False), a question; `5%` -> (0.05, True), relative to base's log loss."""
    number, unit = _quantity(text)
    if number is None or unit == "pt":
        raise UsageError(
            f"{option} {text} has no unit" if number is None else f"{option} {text} is not a log loss",
            details=["nats: of a question, as in 0.1 nats", "%: relative to base's log loss"],
            hint=f'write "{_digits(text)}%"',
        )
    if number > _MOST:
        raise UsageError(f"{option} {text} limits nothing", hint=f"pass a limit of at most {_MOST:,}")
    return (number / 100, True) if unit == "%" else (number, False)


def _quantity(text: object) -> tuple[float, str] | tuple[None, None]:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    return (None, None) if match is None else (float(match[1]), match[2])


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


def integer_limit(value: object, option: str, *, low: int, high: int) -> int:
    """A whole number within [low, high]; UsageError with the range otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        span = f"from {low:,} to {high:,}"
        raise UsageError(f"{option} {value} is not a whole number {span}", hint=f"pass a number {span}")
    return value
