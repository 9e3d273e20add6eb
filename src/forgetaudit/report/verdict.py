"""What it comes to: rules judged, the verdict, and findings."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from forgetaudit.gaps import Holds
from forgetaudit.policy import Level, Rule
from forgetaudit.report.parts import Part
from forgetaudit.values import Sides

__all__ = [
    "Confidence",
    "Family",
    "Finding",
    "Ident",
    "Limits",
    "Outcome",
    "RuleOutcome",
    "RuleResult",
    "Severity",
    "Verdict",
    "WaiverState",
    "broken",
]


Outcome = Literal["pass", "fail", "inconclusive", "not-judged", "refused"]


RuleOutcome = Literal["pass", "fail", "inconclusive", "not-judged", "refused", "warned", "waived"]


Severity = Literal["high", "medium", "low", "info"]


Confidence = Literal["certain", "high", "medium", "low"]


Ident = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]


class Limits(Part):
    """The limits that a rule was judged on."""

    low: float
    high: float
    confidence: float
    sides: Sides


class RuleResult(Part):
    """One rule, judged for one variant on one data set.

    `value`, `limit` and `limits` are fractions, similarities or relative distances, or in `unit`. Where a waiver gave
    the limit, `waived_from` is the rule's own.
    """

    rule: str
    outcome: RuleOutcome
    level: Literal["fail", "warn"]
    variant: str
    data: str | None = None
    value: float | None = None
    limit: float | None = None
    unit: Literal["nats"] | None = None
    waived_from: float | None = None
    n: int | None = None
    limits: Limits | None = None
    further_examples: int | None = None
    reason: str


class WaiverState(Part):
    """What became of a waiver; not needed where the rule was kept without it."""

    rule: str
    data: str | None = None
    state: Literal["used", "not-needed", "expired", "nothing-to-waive"]
    reason: str
    expires: date


class Family(Part):
    """How often all rules that are judged from examples, taken together, call an unchanged run broken.

    `n_judged` counts them: each rule, on each data set, of each variant, one-sided at `confidence`. `error_at_most` is
    1 − confidence^n_judged where each is judged alone (`independent`; rules that err together err less often), and
    1 − confidence after Holm's correction (`holm`), whatever the rules have in common.
    """

    n_judged: int
    confidence: float
    error_at_most: float
    method: Literal["independent", "holm"]


class Verdict(Part):
    """The judgement over all rules, and the exit code that it asks for.

    `family` is None where fewer than two rules were judged from examples.
    """

    outcome: Outcome
    exit_code: int
    rules: tuple[RuleResult, ...]
    waivers: tuple[WaiverState, ...] = ()
    family: Family | None = None


class Finding(Part):
    """Something a person should know: severity (how bad) and confidence (how sure) are separate.

    `holds` marks something that was handed over and not read, run or compared, and names the rules that cannot pass
    because of it; None: the finding is about what was.
    """

    id: Ident
    title: str
    severity: Severity
    confidence: Confidence
    variant: str | None = None
    data: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
    advice: str
    docs: str
    holds: Holds | None = None


def broken(rule: Rule) -> RuleOutcome:
    """What a rule that is not kept comes to, at its level."""
    return "fail" if rule.level is Level.FAIL else "warned"
