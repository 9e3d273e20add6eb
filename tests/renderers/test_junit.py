"""JUnit after junit-10.xsd of Jenkins' xUnit plugin: its elements, order, attributes; and what each outcome becomes."""

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from tests.renderers import hostile
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Level, OnInconclusive, Policy, Rule, RuleKind
from forgetaudit.renderers.escapes import printable
from forgetaudit.renderers.junit import junit
from forgetaudit.report.behaviour import Unusable
from forgetaudit.report.report import AuditReport

# What that schema allows, written down from its text: children, attributes that are needed, and those that may be.
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "skipped": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}
MIXED = {"failure", "error", "skipped", "system-out"}


def check(element: Element) -> None:
    children, needed, allowed = SCHEMA[element.tag]
    assert needed <= set(element.attrib) <= needed | allowed
    assert element.tag in MIXED or not (element.text or "").strip()
    for child in element:
        assert child.tag in children
        check(child)


def parsed(report: AuditReport) -> Element:
    text = junit(report)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    root = ElementTree.fromstring(text.encode())
    check(root)
    return root


def judged(policy: Policy, **parts: Any) -> AuditReport:
    measured: dict[str, Any] = {
        "source": (builders.source(30, 5, 500),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(builders.layer("block1")),),
    }
    measured |= parts
    return builders.report(judge(policy, **measured), **measured)


DROP = Rule(kind=RuleKind.ACCURACY, limit=0.02)


@pytest.mark.parametrize(
    ("policy", "section", "tag", "counts"),
    [
        (Policy(rules=(DROP,)), builders.source(30, 5, 500), "failure", ("1", "1", "0", "0")),
        (Policy(rules=(DROP,)), builders.source(5, 30, 500), "system-out", ("1", "0", "0", "0")),
        (Policy(rules=(DROP,)), builders.source(20, 20, 300), "skipped", ("1", "0", "0", "1")),
        (Policy(rules=(DROP,), on_inconclusive=OnInconclusive.FAIL), builders.source(20, 20, 300), "failure", ("1", "1", "0", "0")),
        (Policy(rules=(DROP,)), builders.source(1, 1, 300, unusable=Unusable(id="base-at-chance", reason="base is at chance")), "error", ("1", "0", "1", "0")),
        (Policy(rules=(Rule(kind=RuleKind.ACCURACY, limit=0.02, level=Level.WARN),)), builders.source(30, 5, 500), "system-out", ("1", "0", "0", "0")),
        (Policy(), builders.source(30, 5, 500), "skipped", ("1", "0", "0", "1")),
        (Policy(), builders.source(1, 1, 300, unusable=Unusable(id="base-at-chance", reason="base is at chance")), "error", ("1", "0", "1", "0")),
    ],
)  # fmt: skip
def test_each_outcome_is_what_a_ci_server_makes_of_it(
    policy: Policy, section: Any, tag: str, counts: tuple[str, ...]
) -> None:
    root = parsed(judged(policy, source=(section,)))
    (suite,) = root
    (case,) = suite.iter("testcase")
    assert [child.tag for child in case] == [tag]
    assert tuple(suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")) == counts


def test_a_case_says_value_limit_and_reason() -> None:
    case = next(parsed(judged(Policy(rules=(DROP,)))).iter("failure"))
    assert case.attrib["message"].startswith("5.0 pt, limit 2.0 pt: the drop is over the limit")


def test_a_suite_is_a_fine_tune_on_a_data_set_and_weights_have_one_of_their_own() -> None:
    rules = (DROP, Rule(kind=RuleKind.DISTANCE, limit=0.5))
    report = judged(Policy(rules=rules))
    assert [suite.attrib["name"] for suite in parsed(report)] == ["tuned", "tuned on val"]


def test_names_out_of_files_are_text() -> None:
    for name in hostile.NAMES[:-1]:
        root = parsed(hostile.report((name,) * 5))
        assert printable(f"tuned on {name}") in {suite.attrib["name"] for suite in root}
        assert all(text.isprintable() for element in root.iter() for text in element.attrib.values())


def test_what_was_asked_of_a_repair_are_cases(repaired: AuditReport) -> None:
    assert repaired.repair is not None
    suite = parsed(repaired).findall("testsuite")[-1]
    assert [case.get("name") for case in suite] == [one.demand for one in repaired.repair.demands]
    assert suite.get("failures") == "0"
    unmet = tuple(one.model_copy(update={"met": False}) for one in repaired.repair.demands)
    section = repaired.repair.model_copy(update={"demands": unmet, "met": False})
    broken = parsed(repaired.model_copy(update={"repair": section}))
    assert broken.get("failures") == str(len(unmet))
    first = broken.findall("testsuite")[-1][0].find("failure")
    assert first is not None
    assert first.get("message") == unmet[0].reason


def test_a_search_for_the_loss_says_whether_it_was_located(located: AuditReport) -> None:
    said = parsed(located).find("testsuite/system-out")
    assert said is not None
    assert (said.text or "").startswith(("LOCATED", "NOT LOCATED"))
