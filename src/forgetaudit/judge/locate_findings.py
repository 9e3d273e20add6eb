"""What the mixtures say of where the loss sits: named parts, running statistics, and that blame does not add up."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forgetaudit.report.locate import LocateSection, PartRow, PreviewRow, PreviewSection, Sums
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Confidence, Finding, Severity
from forgetaudit.wording import honest, points, some

__all__ = ["locate_findings"]

_NOT_ADDITIVE = 0.1
"""Sums that miss the drop by more than this share of it are told."""


def locate_findings(sections: Sequence[LocateSection]) -> Iterator[Finding]:
    """All findings, data set by data set."""
    for section in sections:
        if section.preview is not None:
            yield from _previewed(section, section.preview)
        if not isinstance(section.sums, Absent):
            yield from _carried(section, section.sums)
            yield from _statistics(section, section.sums)
            yield from _not_additive(section, section.sums)


def _previewed(section: LocateSection, preview: PreviewSection) -> Iterator[Finding]:
    """Which parts the gradients point at, or that they cannot be trusted. Nobody is blamed surely."""
    rise = preview.rise
    if isinstance(rise, Absent) or isinstance(preview.gap, Absent):
        return
    if not preview.trusted:
        missed = "" if rise.estimate == 0 else f", {_percent(preview.gap / rise.estimate)} of it"
        yield _finding(
            section,
            "preview-misses-rise",
            f"the preview's shares miss the rise in log loss by {abs(preview.gap):.3g} nats{missed}: not to be trusted",
            "run locate without --preview: it rolls parts back, and needs no gradients",
            severity="medium",
            confidence="certain",
            evidence={"rise": rise.estimate, "gap": preview.gap},
        )
    elif (rise.low or 0.0) > 0 and (shares := _leading(preview.rows)):
        together = sum(shares.values()) / rise.estimate
        yield _finding(
            section,
            "preview-points-at",
            f"gradients point at {some(list(shares))}: {_percent(together)} of the rise in log loss",
            "run locate without --preview before you roll back or freeze any",
            severity="info",
            confidence="low",
            evidence=shares,
        )


def _leading(rows: Sequence[PreviewRow]) -> dict[str, float]:
    """The largest shares, until more than half of all that rises is named."""
    rising = {row.name: row.share for row in rows if not isinstance(row.share, Absent) and row.share > 0}
    named: dict[str, float] = {}
    for name in sorted(rising, key=lambda name: -rising[name]):
        if sum(named.values()) > sum(rising.values()) / 2:
            break
        named[name] = rising[name]
    return named


def _carried(section: LocateSection, sums: Sums) -> Iterator[Finding]:
    blamed = sorted((row for row in section.players if row.blamed), key=_share, reverse=True)
    if not blamed:
        return
    names = [row.name for row in blamed]
    best = max(section.players, key=lambda row: row.rolled_back.accuracy)
    gain = best.rolled_back.accuracy - section.tuned
    won = f"rolling back {best.name} alone wins back {points(gain)} of {points(sums.drop)} pt"
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


def _statistics(section: LocateSection, sums: Sums) -> Iterator[Finding]:
    """Running statistics alone cost something: restoring them needs no training."""
    for row in section.players:
        gain = row.rolled_back.accuracy - section.tuned
        if row.kind == "buffers" and row.rolled_back.sure and gain > 0:
            yield _finding(
                section,
                "statistics-carry-loss",
                f"base's running statistics in tuned win back {points(gain)} of {points(sums.drop)} pt",
                "restore base's buffers in tuned, and keep normalisation layers in .eval() while training",
                severity="medium",
                confidence="high",
                evidence={"gain": gain},
            )


def _not_additive(section: LocateSection, sums: Sums) -> Iterator[Finding]:
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


def _share(row: PartRow) -> float:
    """The Shapley value; without one, what a rollback wins back."""
    known = row.rolled_back.change if isinstance(row.shapley, Absent) else row.shapley
    return 0.0 if isinstance(known, Absent) else known.estimate


def _percent(fraction: float) -> str:
    return f"{honest(abs(100 * fraction), decimals=0, top=100)} %"


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
