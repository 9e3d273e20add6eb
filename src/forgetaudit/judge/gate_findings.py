"""Findings on the gate itself: waivers that have ended."""

from collections.abc import Callable, Iterator

from forgetaudit.judge.finding_context import FindingContext, finding
from forgetaudit.report.verdict import Finding

__all__ = ["GATE_DETECTORS", "waiver_expired"]


def waiver_expired(facts: FindingContext) -> Iterator[Finding]:
    """A waiver that no longer holds, whatever its rule now says."""
    for waiver in facts.verdict.waivers:
        if waiver.state == "expired":
            yield finding(
                facts,
                "waiver-expired",
                f"the waiver of {waiver.rule} ended on {waiver.expires}: {waiver.reason}",
                "judge it anew: renew the waiver with its reason, or take it out",
                severity="low",
                data=waiver.data,
                evidence={"rule": waiver.rule, "expires": waiver.expires.isoformat()},
            )


GATE_DETECTORS: tuple[Callable[[FindingContext], Iterator[Finding]], ...] = (waiver_expired,)
