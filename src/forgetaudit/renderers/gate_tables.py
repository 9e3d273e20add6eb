"""The judgement as tables: every rule with its value, limit and reason; and the findings."""

from collections.abc import Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Caps, Cell, Column, Note, Table, Tone
from forgetaudit.renderers.phrases import family_words
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Family, Finding, RuleResult

__all__ = ["RULE_TONES", "notes", "rule_amount", "rules_table", "waivers_table"]

RULE_TONES: dict[str, Tone] = {
    "pass": "good",
    "fail": "bad",
    "refused": "bad",
    "warned": "warn",
    "waived": "warn",
    "inconclusive": "warn",
}
_SEVERITY_TONES: dict[str, Tone] = {"high": "bad", "medium": "warn"}
_IN_POINTS = {"accuracy", "forgotten", "disagreement", "calibration"}


def rules_table(rules: Sequence[RuleResult], family: Family | None, caps: Caps) -> Table | None:
    """Every rule that was judged, those that are not kept first; None without rules.

    `family` is of all rules of the report, which may be more.
    """
    if not rules:
        return None
    kept_last = sorted(rules, key=lambda rule: rule.outcome == "pass")
    shown, left = kept_last[: caps.rules], len(rules) - caps.rules
    more = f"{numbers.count(left)} more rules are in the report." if left > 0 else ""
    return Table(
        ident="rules",
        title="Rules",
        columns=(
            Column(title="rule"),
            Column(title="outcome"),
            Column(title="level"),
            Column(title="value", numeric=True),
            Column(title="limit", numeric=True),
            Column(title="surely between", numeric=True),
            Column(title="reason", wide=True),
        ),
        rows=tuple(_rule_row(rule) for rule in shown),
        note=" ".join(filter(None, (more or _confidence(shown), _together(family)))),
    )


def _rule_row(rule: RuleResult) -> tuple[Cell, ...]:
    limits = rule.limits
    further = (
        f"; about {numbers.count(rule.further_examples)} more would decide" if rule.further_examples else ""
    )
    return (
        Cell(text=rule.rule, named=True),
        Cell(text=rule.outcome, tone=RULE_TONES.get(rule.outcome, "")),
        Cell(text=rule.level),
        Cell(text=rule_amount(rule, rule.value)),
        Cell(text=rule_amount(rule, rule.limit) + (" (waived)" if rule.waived_from is not None else "")),
        Cell(text=f"{rule_amount(rule, limits.low)} to {rule_amount(rule, limits.high)}" if limits else ""),
        Cell(text=rule.reason + further),
    )


def _confidence(rules: Sequence[RuleResult]) -> str:
    sure = {100 * rule.limits.confidence for rule in rules if rule.limits}
    return f"Each of the two limits is one-sided, {min(sure):g} %." if sure else ""


def _together(family: Family | None) -> str:
    return f"In the whole gate: {family_words(family)}." if family is not None else ""


def rule_amount(rule: RuleResult, value: float | None) -> str:
    """A value or a limit in the rule's own unit."""
    if value is None:
        return ""
    kind = rule.rule.partition("/")[0].partition(".")[0]
    if rule.unit is not None:
        return f"{numbers.plain(value)} {rule.unit}"
    if kind in _IN_POINTS:
        return f"{numbers.MINUS if value < 0 else ''}{numbers.points(value)} pt"
    if kind == "frozen":
        return f"{value:g} changed"
    return numbers.unit(value) if kind == "cka" else numbers.plain(value)


def waivers_table(report: AuditReport) -> Table | None:
    """What became of each waiver; None without waivers."""
    waivers = report.verdict.waivers
    if not waivers:
        return None
    tones: dict[str, Tone] = {"expired": "bad", "used": "warn"}
    return Table(
        ident="waivers",
        title="Waivers",
        columns=(
            Column(title="rule"),
            Column(title="data"),
            Column(title="state"),
            Column(title="expires"),
            Column(title="reason", wide=True),
        ),
        rows=tuple(
            (
                Cell(text=waiver.rule, named=True),
                Cell(text=waiver.data or "all", named=waiver.data is not None),
                Cell(text=waiver.state, tone=tones.get(waiver.state, "")),
                Cell(text=waiver.expires.isoformat()),
                Cell(text=waiver.reason),
            )
            for waiver in waivers
        ),
        note="A waiver holds through its last day, in UTC.",
    )


def notes(findings: Sequence[Finding], caps: Caps) -> tuple[Note, ...]:
    """The findings in the report's order, the worst first; advice that was given already is not given again."""
    told: list[Note] = []
    for finding in findings[: caps.findings]:
        repeated = any(note.advice == finding.advice for note in told)
        told.append(
            Note(
                ident=finding.id,
                title=finding.title,
                severity=finding.severity,
                confidence=finding.confidence,
                advice="" if repeated else finding.advice,
                tone=_SEVERITY_TONES.get(finding.severity, ""),
            )
        )
    return tuple(told)
