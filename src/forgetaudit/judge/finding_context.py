"""What the detectors of findings look at, and the form of what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forgetaudit.gaps import Holds
from forgetaudit.report.behaviour import FeatureSection, SourceSection
from forgetaudit.report.budget import BudgetSection
from forgetaudit.report.inputs import VariantName
from forgetaudit.report.verdict import Confidence, Finding, Severity, Verdict
from forgetaudit.report.weights import WeightSection

__all__ = ["FindingContext", "finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingContext:
    """Everything of one variant that the detectors look at.

    One source section a data set, and a feature section where features were read. Where only the logs of another
    evaluator were compared, there are no weights. `gaps` are what the numbers do not speak of.
    """

    variant: VariantName
    weights: WeightSection | None
    source: tuple[SourceSection, ...]
    features: tuple[FeatureSection, ...]
    verdict: Verdict
    budget: BudgetSection | None = None
    gaps: tuple[Finding, ...] = ()


def finding(
    facts: FindingContext,
    ident: str,
    title: str,
    advice: str,
    *,
    severity: Severity,
    confidence: Confidence = "certain",
    data: str | None = None,
    evidence: Mapping[str, Any] | None = None,
    holds: Holds | None = None,
) -> Finding:
    """A finding on this variant, with its section in the documentation."""
    return Finding(
        id=ident,
        title=title,
        severity=severity,
        confidence=confidence,
        variant=facts.variant.name,
        data=data,
        evidence=dict(evidence or {}),
        advice=advice,
        docs=f"docs/findings.md#{ident}",
        holds=holds,
    )
