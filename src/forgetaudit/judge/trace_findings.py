"""What the curve of a run says: when forgetting became sure, and which checkpoint would have kept the limits."""

from collections.abc import Iterator, Sequence
from typing import Any

from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import TraceAnswers, TracePoint, TraceSection
from forgetaudit.report.verdict import Finding, Severity
from forgetaudit.wording import points, some

__all__ = ["gaps_of_earlier", "trace_findings"]


def trace_findings(trace: TraceSection, last: AuditReport) -> Iterator[Finding]:
    """All findings on a run; `last` is the report on its last checkpoint."""
    yield from _began(trace)
    if last.verdict.outcome == "fail":
        yield from _earlier(trace)


def _began(trace: TraceSection) -> Iterator[Finding]:
    """The first checkpoint whose drop is sure, at as many looks as there are checkpoints."""
    for summary in trace.summaries:
        at = next((at for at, point in enumerate(trace.points) if point.variant == summary.first_sure), None)
        if at is None:
            continue
        answer = _answers_on(trace.points[at], summary.data)
        before = "the first passed" if at == 0 else f"not yet at {trace.points[at - 1].variant}"
        fell = points(answer.base - answer.accuracy)
        yield _finding(
            trace,
            "forgetting-began",
            f"the loss on {summary.data} is sure from {summary.first_sure} on, {before}: {fell} pt",
            "save more often up to there, and stop before it or mix source examples in",
            severity="medium",
            data=summary.data,
            evidence={"first_sure": summary.first_sure, "drop": answer.base - answer.accuracy},
        )


def _earlier(trace: TraceSection) -> Iterator[Finding]:
    """The last checkpoint breaks a limit that an earlier one keeps."""
    point = next((one for one in trace.points if one.variant == trace.last_within), None)
    if point is None or point is trace.points[-1]:
        return
    learned = [answer for answer in point.answers if answer.target]
    of_target = (
        "what it knows of the target was not measured (--target)"
        if isinstance(trace.target, Absent)
        else f"at {100 * learned[0].accuracy:.1f} % on the target"
    )
    yield _finding(
        trace,
        "earlier-checkpoint-within-limits",
        f"{point.variant} keeps every limit, {len(trace.points)} looks allowed for, {of_target}",
        f"use {point.variant}, or mix it with base: forgetaudit repair",
        severity="medium",
        evidence={"variant": point.variant, "step": point.step},
    )


def _finding(
    trace: TraceSection,
    ident: str,
    title: str,
    advice: str,
    *,
    severity: Severity,
    data: str | None = None,
    evidence: dict[str, Any],
) -> Finding:
    return Finding(
        id=ident,
        title=title,
        severity=severity,
        confidence="high",
        variant=trace.points[-1].variant,
        data=data,
        evidence=evidence,
        advice=advice,
        docs=f"docs/findings.md#{ident}",
    )


def _answers_on(point: TracePoint, data: str) -> TraceAnswers:
    return next(answer for answer in point.answers if answer.data == data)


def gaps_of_earlier(whole: AuditReport, names: Sequence[str]) -> Iterator[Finding]:
    """What the points of earlier checkpoints do not speak of, beside the last one's own gaps.

    Each point is held back by its own; the verdict is about the last, which these do not hold.
    """
    *earlier, last = names
    seen = {found.title for found in whole.findings if found.variant == last}
    of_title: dict[str, list[Finding]] = {}
    for found in whole.findings:
        if found.holds is not None and found.variant in earlier and found.title not in seen:
            of_title.setdefault(found.title, []).append(found)
    for title, found_in in of_title.items():
        stages = some([str(found.variant) for found in found_in])
        yield found_in[0].model_copy(
            update={"title": f"{stages}: {title}", "variant": last, "holds": "nothing"}
        )
