"""Classes, groups and strata of few examples: too small to tell, on the screen, in Markdown and in HTML alike."""

import pytest
from tests.renderers.pages import Page
from tests.report import builders

from forgetaudit.renderers.markdown import markdown
from forgetaudit.renderers.terminal import render
from forgetaudit.report.behaviour import ClassResult
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Verdict

FIELDS = {"per_class": "Classes", "per_group": "Groups", "per_stratum": "Strata"}
SMALL = "too small to tell"


def part(name: str, high: float | None, p: float) -> ClassResult:
    drop: Measured = Absent(not_measured="no limits")
    if high is not None:
        drop = Estimate(
            kind="statistical", estimate=0.0, low=-high, high=high, confidence=0.95, sides=2, method="tango"
        )
    return ClassResult(label=0, name=name, n=9, base=0.9, tuned=0.8, drop=drop, adjusted_p=p)


def shown(field: str, *parts: ClassResult) -> AuditReport:
    source = builders.source(30, 5, 500).model_copy(update={field: parts, "strata": "domain"})
    return builders.report(Verdict(outcome="not-judged", exit_code=0, rules=()), source=(source,))


MIXED = (
    part("few", 0.5, 0.5),
    part("at the limit", 0.3, 0.5),
    part("many", 0.05, 0.5),
    part("fallen", 0.5, 0.01),
    part("without limits", None, 1.0),
)


@pytest.mark.parametrize("field", FIELDS)
def test_small_parts_are_said_to_be_so_in_every_format_and_others_are_not(field: str) -> None:
    report = shown(field, *MIXED)
    rows = [line for line in markdown(report).splitlines() if line.startswith("|")]
    for name, small in (("few", True), ("at the limit", True), ("many", False), ("fallen", False)):
        (row,) = [row for row in rows if name in row]
        assert (SMALL in row) is small, row
    told = f"2 {SMALL}: they may have fallen by 30 points or more."
    assert told in markdown(report)
    page = Page(report)
    (caption,) = [one for one in page.tables if one.startswith(FIELDS[field])]
    cells = {next(iter(row.values())): row["adjusted p"] for row in page.rows(caption)}
    assert {name for name, cell in cells.items() if SMALL in cell} == {"few", "at the limit"}
    assert told in page.text
    screen = render(report, width=120)
    assert f"2 {SMALL}" in screen
    assert "2 within noise" in screen


@pytest.mark.parametrize("field", FIELDS)
def test_where_none_is_small_no_format_says_so(field: str) -> None:
    report = shown(field, part("many", 0.05, 0.5), part("more", 0.29, 0.8))
    for text in (markdown(report), Page(report).text, render(report, width=120)):
        assert SMALL not in text


@pytest.mark.parametrize(("n", "said"), [(155, True), (200, False)])
def test_strata_of_few_examples_in_all_say_that_their_limits_are_approximate(n: int, said: bool) -> None:
    report = shown("per_stratum", part("many", 0.05, 0.5))
    assert isinstance(report.source, tuple)
    source = report.source[0].model_copy(update={"n": n})
    text = markdown(report.model_copy(update={"source": (source,)}))
    assert ("can miss in up to 8 % of cases" in text) is said
