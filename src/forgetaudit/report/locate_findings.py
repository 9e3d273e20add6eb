"""What the mixtures say of where the loss sits: named parts, running statistics, and that blame does not add up."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forgetaudit.report.locate import LocateSection, PlayerRow
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Confidence, Finding, Severity
from forgetaudit.wording import points, some

__all__ = ["locate_findings"]

_NOT_ADDITIVE = 0.1
"""Sums that miss the drop by more than this share of it are told."""


def locate_findings(sections: Sequence[LocateSection]) -> Iterator[Finding]:
    """All findings, data set by data set."""
    for section in sections:
        yield from _carried(section)
        yield from _statistics(section)
        yield from _not_additive(section)


def _carried(section: LocateSection) -> Iterator[Finding]:
    blamed = sorted((row for row in section.players if row.blamed), key=_share, reverse=True)
    if not blamed:
        return
    names = [row.name for row in blamed]
    best = max(section.players, key=lambda row: row.rolled_back.accuracy)
    gain = best.rolled_back.accuracy - section.tuned
    won = f"rolling back {best.name} alone wins back {points(gain)} of {points(section.sums.drop)} pt"
    won = won if gain > 0 else "no part rolled back alone wins any back"
    carry = "carries" if len(names) == 1 else "carry"
    yield _finding(
        section,
        "parts-carry-loss",
        f"{some(names)} {carry} the loss; {won}",
        f"roll back what wins most, or freeze {some(names)} in the next training",
        severity="medium",
        confidence="high",
        evidence={row.name: _share(row) for row in blamed},
    )


def _statistics(section: LocateSection) -> Iterator[Finding]:
    """Running statistics alone cost something: restoring them needs no training."""
    for row in section.players:
        gain = row.rolled_back.accuracy - section.tuned
        if row.kind == "buffers" and row.rolled_back.sure and gain > 0:
            yield _finding(
                section,
                "statistics-carry-loss",
                f"base's running statistics in tuned win back {points(gain)} of {points(section.sums.drop)} pt",
                "restore base's buffers in tuned, and keep normalisation layers in .eval() while training",
                severity="medium",
                confidence="high",
                evidence={"gain": gain},
            )


def _not_additive(section: LocateSection) -> Iterator[Finding]:
    sums = section.sums
    if len(section.players) < 2 or isinstance(section.drop, Absent) or (section.drop.low or 0.0) <= 0:
        return
    if all(
        abs(total - sums.drop) <= _NOT_ADDITIVE * sums.drop for total in (sums.rolled_back, sums.kept_alone)
    ):
        return
    yield _finding(
        section,
        "blame-not-additive",
        f"blame does not add up: parts rolled back one by one sum to {_signed(sums.rolled_back)} pt, kept alone "
        f"one by one to {_signed(sums.kept_alone)} pt, of {points(sums.drop)}",
        "roll several parts back together before you believe a sum",
        severity="info",
        confidence="certain",
        evidence={"drop": sums.drop, "rolled_back": sums.rolled_back, "kept_alone": sums.kept_alone},
    )


def _share(row: PlayerRow) -> float:
    """The Shapley value; without one, what a rollback wins back."""
    known = row.rolled_back.change if isinstance(row.shapley, Absent) else row.shapley
    return 0.0 if isinstance(known, Absent) else known.estimate


def _signed(value: float) -> str:
    return ("−" if value < 0 else "") + points(value)


def _finding(
    section: LocateSection,
    ident: str,
    title: str,
    advice: str,
    *,
    severity: Severity,
    confidence: Confidence,
    evidence: Mapping[str, Any],
) -> Finding:
    return Finding(
        id=ident,
        title=title,
        severity=severity,
        confidence=confidence,
        variant="tuned",
        data=section.data,
        evidence=dict(evidence),
        advice=advice,
        docs=f"docs/findings.md#{ident}",
    )
