"""The verdict as JUnit XML, after the schema that Jenkins checks against: junit-10.xsd of its xUnit plugin.

A suite for each fine-tune on each data set, a case for each rule. A rule that fails the audit is a failure, one that
nothing could be judged by an error; a rule that nobody could decide is skipped, unless the policy calls that a failure,
and a warning passes with its reason in system-out. What was asked of a repair are cases of a suite of their own.
"""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from forgetaudit.renderers.escapes import clipped, printable
from forgetaudit.renderers.headline import headlines, subjects, verdict_line
from forgetaudit.renderers.phrases import gap_notes
from forgetaudit.renderers.rule_amounts import rule_amount
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairSection
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import RuleResult

__all__ = ["junit"]

_INCONCLUSIVE_FAILS = 3
_LONGEST = 2_000


def junit(report: AuditReport) -> str:
    """The whole document, with its declaration."""
    root = Element("testsuites", name=f"forgetaudit {_shown(report.command)}")
    for name, rules in _suites(report).items():
        root.append(_suite(report, name, rules))
    if report.repair is not None:
        root.append(_requirement_cases(report.repair))
    _count(root, root.iter("testcase"), with_skipped=False)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suites(report: AuditReport) -> dict[str, list[RuleResult]]:
    """The rules of each suite, under its name; one without rules says that nothing was judged."""
    suites: dict[str, list[RuleResult]] = {}
    for variant in report.variants[1:]:
        suites[_shown(variant.name)] = []
    for rule in report.verdict.rules:
        suites.setdefault(_suite_name(rule.variant, rule.data), []).append(rule)
    for section in () if isinstance(report.source, Absent) else report.source:
        if section.unusable:
            suites.setdefault(_suite_name(section.variant, section.data), [])
    filled = {name: rules for name, rules in suites.items() if rules or _unusable(report, name)}
    return filled or suites


def _suite_name(variant: str, data: str | None) -> str:
    return _shown(variant if data is None else f"{variant} on {data}")


def _unusable(report: AuditReport, name: str) -> str | None:
    for section in () if isinstance(report.source, Absent) else report.source:
        if section.unusable and _suite_name(section.variant, section.data) == name:
            return section.unusable.reason
    return None


def _suite(report: AuditReport, name: str, rules: list[RuleResult]) -> Element:
    suite = Element("testsuite", name=name)
    if (reason := _unusable(report, name)) and not any(rule.outcome == "refused" for rule in rules):
        _problem(_case(suite, name, "source data"), "error", "refused", reason)
    for rule in rules:
        _judged(_case(suite, name, rule.rule), rule, undecided_fails=_undecided_fails(report))
    if not len(suite):
        _problem(_case(suite, name, "verdict"), "skipped", None, "not judged: no rule was given")
    _count(suite, suite.iter("testcase"), with_skipped=True)
    if said := _headlines(report, name):
        SubElement(suite, "system-out").text = "\n".join(said)
    return suite


def _requirement_cases(repair: RepairSection) -> Element:
    """A case for everything that was asked of a repair."""
    suite = Element("testsuite", name="what was asked")
    for demand in repair.demands:
        case = _case(suite, "what was asked", demand.demand)
        if not demand.met:
            _problem(case, "failure", "not met", demand.reason)
    _count(suite, suite.iter("testcase"), with_skipped=True)
    return suite


def _headlines(report: AuditReport, suite_name: str) -> list[str]:
    """The verdicts that the suite is of: one, or of a fine-tune's weights those on every data set."""
    if report.locate or report.repair is not None:
        return [_shown(line) for line in headlines(report)]
    told = []
    for subject in subjects(report):
        data = subject.source.data if subject.source else None
        if suite_name in (_suite_name(subject.variant, None), _suite_name(subject.variant, data)):
            told.append(_shown("".join(text for text, _ in verdict_line(report, subject))))
            notes = gap_notes(report, subject.variant, data)
            told += [_shown(f"note  {words}") for _, words in notes]
    return told


def _undecided_fails(report: AuditReport) -> bool:
    return report.verdict.exit_code == _INCONCLUSIVE_FAILS


def _case(suite: Element, suite_name: str, name: str) -> Element:
    return SubElement(suite, "testcase", name=_shown(name), classname=f"forgetaudit.{suite_name}")


def _judged(case: Element, rule: RuleResult, *, undecided_fails: bool) -> None:
    words = _words(rule)
    match rule.outcome:
        case "fail":
            _problem(case, "failure", rule.outcome, words)
        case "refused":
            _problem(case, "error", rule.outcome, words)
        case "inconclusive" if undecided_fails and rule.level == "fail":
            _problem(case, "failure", rule.outcome, words)
        case "inconclusive" | "not-judged":
            _problem(case, "skipped", None, f"{rule.outcome}: {words}")
        case _:
            SubElement(case, "system-out").text = _shown(f"{rule.outcome}: {words}")


def _words(rule: RuleResult) -> str:
    value, limit = rule_amount(rule, rule.value), rule_amount(rule, rule.limit)
    measured = f"{value}, limit {limit}: " if value and limit else ""
    return measured + rule.reason


def _problem(case: Element, tag: str, kind: str | None, words: str) -> None:
    problem = SubElement(case, tag, {} if kind is None else {"type": kind})
    problem.set("message", _shown(words))


def _count(element: Element, cases: Iterable[Element], *, with_skipped: bool) -> None:
    listed = list(cases)
    counts = {"tests": len(listed)} | {
        attribute: sum(case.find(tag) is not None for case in listed)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
        if with_skipped or tag != "skipped"
    }
    for attribute, count in counts.items():
        element.set(attribute, str(count))


def _shown(text: str) -> str:
    return clipped(printable(text), _LONGEST)
