"""The accepted state: what a saved report said, kept on request, against which later runs are compared.

Only `bless` makes one. The comparison is told as a finding and changes no verdict: what decides are the gate's rules.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from forgetaudit.errors import UsageError
from forgetaudit.inference.intervals import drop_interval
from forgetaudit.judge.finding_context import FindingContext, finding
from forgetaudit.judge.findings import worst_first
from forgetaudit.paths import read_text
from forgetaudit.report.behaviour import FlipTable, Groups, SourceSection
from forgetaudit.report.inputs import DataInput, Digest
from forgetaudit.report.parts import Absent, Measured, Part
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding, Outcome, Severity
from forgetaudit.wording import points

__all__ = ["ACCEPTED_SCHEMA", "AcceptedState", "accept", "compare_with_accepted", "read_accepted"]

ACCEPTED_SCHEMA = "forgetaudit.accepted/1"
_CONFIDENCE = 0.95
_IDENTS = {
    "accepted-state-of-something-else",
    "more-lost-than-accepted",
    "no-more-lost-than-accepted",
    "perhaps-more-lost-than-accepted",
}


class AcceptedSource(Part):
    """What was accepted on one data set: its flips say accuracy, drop and interval."""

    data: str
    fingerprint: str
    metric: str
    n: int
    flips: FlipTable
    groups: Groups | None = None
    drop: Measured


class AcceptedState(Part):
    """One tuned checkpoint as it was accepted: by which report, when, why, and its figures."""

    schema_: Literal["forgetaudit.accepted/1"] = Field(default="forgetaudit.accepted/1", alias="schema")
    accepted_on: date
    reason: str | None = None
    report_sha256: str
    outcome: Outcome
    base: Digest | Absent
    tuned: Digest | Absent
    variant: str
    path: str
    source: tuple[AcceptedSource, ...]

    model_config = Part.model_config | {"populate_by_name": True}

    def to_json(self) -> str:
        """Indented by two, keys in the order of the schema, one newline at the end."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"


def accept(
    report: AuditReport, variant: str, *, report_sha256: str, today: date, reason: str | None
) -> AcceptedState:
    """The state of one variant of a report. UsageError where nothing was measured that a later run could meet."""
    if report.verdict.outcome == "refused" or isinstance(report.source, Absent):
        why = (
            "what it measured judges nothing"
            if not isinstance(report.source, Absent)
            else report.source.not_measured
        )
        raise UsageError(f"there is nothing to accept: {why}", hint="bless a report of compare --data")
    file = next(file for file in report.inputs.tuned if file.name == variant)
    data = {data.data: data for data in report.inputs.data}
    return AcceptedState(
        accepted_on=today,
        reason=reason,
        report_sha256=report_sha256,
        outcome=report.verdict.outcome,
        base=report.inputs.base.digest,
        tuned=file.digest,
        variant=variant,
        path=file.path,
        source=tuple(
            AcceptedSource(
                data=section.data,
                fingerprint=data[section.data].fingerprint,
                metric=section.metric,
                n=section.n,
                flips=section.flips,
                groups=section.groups,
                drop=section.accuracy.drop,
            )
            for section in report.source
            if section.variant == variant
        ),
    )


def read_accepted(path: Path) -> AcceptedState:
    """The state that `bless` wrote. UsageError for anything else, and for counts that do not add up."""
    try:
        state = AcceptedState.model_validate_json(read_text(path, "the accepted state"))
    except ValidationError as error:
        raise UsageError(
            f"{path} is not an accepted state of the schema {ACCEPTED_SCHEMA}",
            details=[error.errors()[0]["msg"]],
            hint="remove it, or bless a report again",
        ) from error
    for one in state.source:
        flips = one.flips
        if flips.forgotten + flips.gained + flips.kept + flips.missed != one.n:
            raise UsageError(
                f"the accepted state {path} does not add up: its flips on {one.data} are not {one.n}",
                hint="bless the report again",
            )
    return state


def compare_with_accepted(report: AuditReport, state: AcceptedState | None) -> AuditReport:
    """The report with findings on how it compares with the accepted state, if there is one; its verdict stays."""
    if state is None:
        return report
    found = [
        told
        for section in (() if isinstance(report.source, Absent) else report.source)
        for told in _compared(report, section, state)
    ]
    others = (one for one in report.findings if one.id not in _IDENTS)
    return report.model_copy(update={"findings": worst_first((*others, *found))})


def _compared(report: AuditReport, section: SourceSection, state: AcceptedState) -> Iterator[Finding]:
    accepted = next((one for one in state.source if one.data == section.data), None)
    data = next((data for data in report.inputs.data if data.data == section.data), None)
    facts = FindingContext(
        variant=next(variant for variant in report.variants if variant.name == section.variant),
        weights=None,
        source=(),
        features=(),
        verdict=report.verdict,
    )
    if accepted is None or data is None or not _same_question(report, section, data, accepted, state):
        yield finding(
            facts,
            "accepted-state-of-something-else",
            f"the state accepted on {state.accepted_on} was not measured on this base and these examples",
            "bless a report of the present base and data, if that is what you accept",
            severity="low",
            data=section.data,
        )
        return
    yield _difference(facts, section, accepted, state)


def _same_question(
    report: AuditReport,
    section: SourceSection,
    data: DataInput,
    accepted: AcceptedSource,
    state: AcceptedState,
) -> bool:
    """The same base on the same examples: only then do two drops mean the same."""
    base = report.inputs.base.digest
    other_base = isinstance(base, Digest) and isinstance(state.base, Digest) and base != state.base
    now = (data.fingerprint, section.metric, section.n)
    return not other_base and now == (accepted.fingerprint, accepted.metric, accepted.n)


def _difference(
    facts: FindingContext, section: SourceSection, accepted: AcceptedSource, state: AcceptedState
) -> Finding:
    """More is lost for sure where the lower limit of the drop lies above the upper limit of the accepted one.

    Both drops are of the same examples, but which flipped then is not known any more, so nothing is assumed of how
    they go together: one-sided limits that do not overlap are sure at any correlation.
    """
    now = _limits(section.flips, section.n, section.groups, section.accuracy.drop)
    then = _limits(accepted.flips, accepted.n, accepted.groups, accepted.drop)
    more = now[0] - then[0]
    told = f"than was accepted on {state.accepted_on}"
    severity: Severity
    if now[1] > then[2]:
        ident, severity = "more-lost-than-accepted", "medium"
        title = f"{points(more)} points more are lost {told}, and more is sure"
        advice = "go back to the accepted checkpoint, or bless this report if the loss is meant"
    elif more > 0:
        ident, severity = "perhaps-more-lost-than-accepted", "low"
        title = f"{points(more)} points more are lost {told}, which may be noise"
        advice = "add source examples to tell it from noise"
    else:
        ident, severity = "no-more-lost-than-accepted", "info"
        title = f"no more is lost {told}" if more == 0 else f"{points(more)} points less are lost {told}"
        advice = "bless this report to hold later runs to it"
    return finding(
        facts,
        ident,
        title,
        advice,
        severity=severity,
        confidence="high",
        data=section.data,
        evidence={"drop": now[0], "accepted_drop": then[0], "low": now[1], "accepted_high": then[2]},
    )


def _limits(flips: FlipTable, n: int, groups: Groups | None, drop: Measured) -> tuple[float, float, float]:
    """The drop and its one-sided limits; equal where bytes prove it."""
    estimate = (flips.forgotten - flips.gained) / n
    found = drop_interval(
        flips.forgotten,
        flips.gained,
        n,
        method="tango" if isinstance(drop, Absent) else drop.method,
        effect=groups.drop_effect if groups else None,
        degrees=groups.degrees if groups else None,
        confidence=_CONFIDENCE,
        sides=1,
    )
    return (estimate, estimate, estimate) if found is None else (found.estimate, found.low, found.high)
