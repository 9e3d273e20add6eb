"""A saved report under a policy: the verdict again, from the numbers that it holds."""

from datetime import date

from forgetaudit.judge.behaviour_findings import needs_more
from forgetaudit.judge.finding_context import FindingContext
from forgetaudit.judge.findings import worst_first
from forgetaudit.judge.gate import judge
from forgetaudit.judge.gate_findings import waiver_expired
from forgetaudit.judge.policy_record import record
from forgetaudit.policy import Policy
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Verdict

__all__ = ["judge_report", "rejudged"]

_OF_THE_VERDICT = {"needs-more-examples", "waiver-expired"}


def judge_report(report: AuditReport, policy: Policy, *, today: date) -> Verdict:
    """The verdict that `policy` comes to on the report's own numbers, on a day in UTC."""
    return judge(
        policy,
        source=report.source,
        features=report.features,
        weights=report.weights,
        gaps=report.findings,
        variants=[variant.name for variant in report.variants[1:]],
        today=today,
    )


def rejudged(report: AuditReport, policy: Policy, *, today: date) -> AuditReport:
    """The report with that verdict, its policy, and the findings that tell of it; all else is as it was."""
    verdict = judge_report(report, policy, today=today)
    settings = report.inputs.settings | {"gate": record(policy)}
    kept = tuple(found for found in report.findings if found.id not in _OF_THE_VERDICT)
    of_each = [
        FindingContext(variant=variant, weights=None, source=(), features=(), verdict=verdict)
        for variant in report.variants[1:]
    ]
    asked = tuple(found for facts in of_each for found in (*needs_more(facts), *waiver_expired(facts)))
    return report.model_copy(
        update={
            "verdict": verdict,
            "inputs": report.inputs.model_copy(update={"settings": settings}),
            "findings": worst_first((*kept, *asked)),
            "run": report.run | {"judged_on": today.isoformat()},
        }
    )
