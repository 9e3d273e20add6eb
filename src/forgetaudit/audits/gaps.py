"""What an audit was given and does not speak of, gathered from everything that was opened, as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.gaps import Gap, gaps_in
from forgetaudit.report.verdict import Finding

if TYPE_CHECKING:
    # Weights alone wake no torch, and these modules do.
    from forgetaudit.audits.inputs import OpenedData
    from forgetaudit.audits.network import Network

__all__ = ["gap_findings", "gaps_of_variant"]


def gap_findings(
    base: Checkpoint,
    tuned: Mapping[str, Checkpoint],
    network: Network | None = None,
    data: Sequence[OpenedData] = (),
    *,
    renamed: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """A finding for every gap and variant that it is about, each once; to be asked for after the run.

    `renamed` is what the report calls a tuned checkpoint where that is another name than here.
    """
    names = {name: (renamed or {}).get(name, name) for name in tuned}
    found: dict[tuple[str, str, str | None], Finding] = {}
    for gap in _gaps(base, tuned, network, data):
        for name in names if gap.variant is None else [gap.variant]:
            if name in names:
                found.setdefault((names[name], gap.what, gap.data), _finding(gap, names[name]))
    return tuple(found.values())


def gaps_of_variant(findings: Sequence[Finding], variant: str) -> tuple[Finding, ...]:
    """Those on one tuned checkpoint."""
    return tuple(finding for finding in findings if finding.variant == variant)


def _gaps(
    base: Checkpoint, tuned: Mapping[str, Checkpoint], network: Network | None, data: Sequence[OpenedData]
) -> Iterator[Gap]:
    yield from (replace(gap, what=f"base: {gap.what}") for gap in gaps_in(base.notes))
    for name, checkpoint in tuned.items():
        yield from (replace(gap, variant=name) for gap in gaps_in(checkpoint.notes))
    if network is not None:
        yield from network.gaps
    for opened in data:
        yield from opened.gaps


def _finding(gap: Gap, variant: str) -> Finding:
    return Finding(
        id=gap.ident,
        title=gap.what,
        severity="medium" if gap.holds == "nothing" else "high",
        confidence="certain",
        variant=variant,
        data=gap.data,
        evidence=dict(gap.evidence),
        advice=gap.advice,
        docs=f"docs/findings.md#{gap.ident}",
        holds=gap.holds,
    )
