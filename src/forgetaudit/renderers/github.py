"""The verdict as annotations of GitHub Actions: a workflow command a line, on the line of the policy where it is known.

GitHub shows ten errors, ten warnings and ten notices a step; what is beyond is counted in the last one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forgetaudit.renderers.escapes import clipped, for_github_message, for_github_property
from forgetaudit.renderers.headline import headlines
from forgetaudit.renderers.rule_amounts import rule_amount
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import RuleResult, WaiverState

__all__ = ["PolicyFile", "github"]

_MOST = 10
_INCONCLUSIVE_FAILS = 3
_LONGEST = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """The config that holds the rules: its path from the repository's root, and its text."""

    path: str
    text: str

    def line_of(self, rule: str) -> int | None:
        """The line that gives `rule` its limit: its own, else that of the rule that it is a part of."""
        lines = self.text.splitlines()
        for name in dict.fromkeys((rule, rule.partition("/")[0])):
            key = re.escape(name)
            written = re.compile(
                rf"""\s*(?:"{key}"|'{key}'|{key})\s*=|\[[\w.\s-]*(?:"{key}"|'{key}'|\.\s*{key})\s*\]"""
            )
            found = next((at for at, line in enumerate(lines, 1) if written.match(line)), None)
            if found is not None:
                return found
        return None


def github(report: AuditReport, policy: PolicyFile | None = None) -> str:
    """Annotations, the worst first; at least one, so that a step that passed says so."""
    told = sorted(_annotations(report, policy), key=lambda pair: _ORDER.index(pair[0]))
    lines = [
        line for level in _ORDER for line in _capped(level, [text for one, text in told if one == level])
    ]
    return "\n".join(lines) + "\n"


_ORDER = ("error", "warning", "notice")


def _capped(level: str, lines: Sequence[str]) -> list[str]:
    if len(lines) <= _MOST:
        return list(lines)
    more = len(lines) - _MOST + 1
    return [*lines[: _MOST - 1], f"::{level} title=forgetaudit::{more} more {level}s are in the report"]


def _annotations(report: AuditReport, policy: PolicyFile | None) -> Iterator[tuple[str, str]]:
    undecided_fails = report.verdict.exit_code == _INCONCLUSIVE_FAILS
    rules = [(_level(rule, undecided_fails=undecided_fails), rule) for rule in report.verdict.rules]
    for level, rule in rules:
        if level is not None:
            yield level, _line(level, _title(rule), _message(rule), _place(policy, rule.rule))
    for waiver in report.verdict.waivers:
        if waiver.state in ("expired", "nothing-to-waive"):
            yield (
                "warning",
                _line("warning", f"waiver of {waiver.rule}", _waiver(waiver), _place(policy, waiver.rule)),
            )
    for gap in (finding for finding in report.findings if finding.holds is not None):
        level = "notice" if gap.holds == "nothing" else "warning"
        yield level, _line(level, gap.id, gap.title, "")
    refused = report.verdict.outcome == "refused"
    for said in headlines(report):
        level = "error" if refused and "REFUSED" in said else "notice"
        yield level, _line(level, f"forgetaudit {report.command}", said, "")


def _level(rule: RuleResult, *, undecided_fails: bool) -> str | None:
    match rule.outcome:
        case "fail" | "refused":
            return "error"
        case "inconclusive":
            return "error" if undecided_fails and rule.level == "fail" else "warning"
        case "warned":
            return "warning"
        case "waived":
            return "notice"
        case _:
            return None


def _title(rule: RuleResult) -> str:
    where = rule.variant if rule.data is None else f"{rule.variant} on {rule.data}"
    return f"{rule.rule}: {rule.outcome} ({where})"


def _message(rule: RuleResult) -> str:
    value, limit = rule_amount(rule, rule.value), rule_amount(rule, rule.limit)
    measured = f"{value}, limit {limit}: " if value and limit else ""
    further = f"; about {rule.further_examples:,} more would decide" if rule.further_examples else ""
    return measured + rule.reason + further


def _waiver(waiver: WaiverState) -> str:
    return f"{waiver.state} ({waiver.expires.isoformat()}): {waiver.reason}"


def _place(policy: PolicyFile | None, rule: str) -> str:
    """Only where the file has the rule: what was typed stands on no line."""
    line = None if policy is None else policy.line_of(rule)
    return "" if policy is None or line is None else f"file={for_github_property(policy.path)},line={line},"


def _line(level: str, title: str, message: str, place: str) -> str:
    said = for_github_message(clipped(message, _LONGEST))
    return f"::{level} {place}title={for_github_property(clipped(title, 200))}::{said}"
