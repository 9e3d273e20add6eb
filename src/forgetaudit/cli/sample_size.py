"""plan: how many examples a verdict needs, from a churn and a limit; what a report's examples can resolve."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from forgetaudit.cli import console
from forgetaudit.errors import UsageError
from forgetaudit.inference.clusters import effective_share
from forgetaudit.judge.saved import load_report
from forgetaudit.policy import RuleKind, drop_limit, integer_limit
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.plan_screen import Question, plan_screen
from forgetaudit.renderers.terminal import render_lines
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["plan"]

Report = Annotated[
    Path | None,
    typer.Argument(metavar="[REPORT]", help="A report: its churn, examples and limit.", show_default=False),
]
Churn = Annotated[
    str | None,
    typer.Option(
        "--churn", metavar="5pt", help="The share of examples that flip, forgotten and gained together."
    ),
]
Limit = Annotated[str | None, typer.Option("--limit", metavar="2pt", help="The limit on the accuracy drop.")]
Examples = Annotated[
    int | None,
    typer.Option("--examples", metavar="N", help="Examples that there are: what they can resolve."),
]
Confidence = Annotated[float, typer.Option("--confidence", metavar="0.95", help="One-sided, of the gate.")]
Power = Annotated[
    float, typer.Option("--power", metavar="0.8", help="How often an audit without any loss is to pass.")
]


def plan(
    report: Report = None,
    churn: Churn = None,
    limit: Limit = None,
    examples: Examples = None,
    confidence: Confidence = 0.95,
    power: Power = 0.8,
) -> None:
    """How many examples a verdict needs, and what the present ones can resolve. Needs nothing but numbers."""
    for name, value in (("--confidence", confidence), ("--power", power)):
        if not 0.5 < value < 1:
            raise UsageError(f"{name} {value:g} is not between 0.5 and 1", hint="pass a share, as in 0.95")
    wanted = None if limit is None else _share(limit, "--limit", of="limit")
    if wanted == 0:
        raise UsageError(
            "--limit 0pt is passed by no number of examples", hint="allow some loss: --limit 1pt"
        )
    if report is None:
        questions = [_question(churn, wanted, examples, confidence, power)]
    else:
        if churn is not None or examples is not None:
            raise UsageError(
                "--churn and --examples are in the report already",
                hint="pass them, or a report, but not both",
            )
        questions = list(_questions_of_report(load_report(report), report, wanted, confidence, power))
    width, colour, unicode = console.terminal_traits(sys.stdout)
    lines: list[Line] = [line for question in questions for line in plan_screen(question)]
    console.write_out(render_lines(lines, width=width, colour=colour, unicode=unicode))


def _share(text: str, option: str, *, of: str) -> float:
    value, relative = drop_limit(text, option)
    if relative:
        raise UsageError(
            f"{option} {text} is relative, and a {of} is planned in points of all examples",
            hint=f"write {option} {100 * value:g}pt",
        )
    if value >= 1:
        raise UsageError(f"{option} {text} is everything", hint=f"pass a {of} of less than 100pt")
    return value


def _question(
    churn: str | None, limit: float | None, examples: int | None, confidence: float, power: float
) -> Question:
    if churn is None or (limit is None and examples is None):
        raise UsageError(
            "there is nothing to plan with",
            hint="pass --churn 5pt --limit 2pt, --churn 5pt --examples 800, or a report",
        )
    rate = _share(churn, "--churn", of="churn")
    n = None if examples is None else integer_limit(examples, "--examples", low=2, high=10**7)
    title = [f"churn {100 * rate:g} pt", *([f"limit {100 * limit:g} pt"] if limit is not None else [])]
    return Question(
        title=" · ".join(title),
        churn=rate,
        limit=limit,
        n=n,
        told="" if n is None else counted(n, "example"),
        confidence=confidence,
        power=power,
    )


def _questions_of_report(
    report: AuditReport, path: Path, limit: float | None, confidence: float, power: float
) -> Iterator[Question]:
    """One question for every variant and data set, by the report's own limit where none is asked for."""
    if isinstance(report.source, Absent) or not report.source:
        why = report.source.not_measured if isinstance(report.source, Absent) else "it has no source data"
        raise UsageError(
            f"{path} says nothing of accuracy: {why}",
            hint="pass a report of compare --data, or --churn and --limit",
        )
    for section in report.source:
        if section.unusable:
            raise UsageError(
                f"{path} can resolve nothing: {section.unusable.reason}", hint="check the data first"
            )
        flips, n, told = section.flips, section.n, f"{counted(section.n, section.unit)}"
        if section.groups is not None:
            share = effective_share(
                section.groups.drop_effect, section.groups.degrees, confidence=confidence, sides=1
            )
            n = int(section.n * share)
            told = f"{told} in {section.groups.n:,} groups tell as much as {counted(n, 'example')}"
        if n < 2:
            raise UsageError(
                f"{path} can resolve nothing: {told}", hint="add groups, not examples of the same ones"
            )
        churn = (flips.forgotten + flips.gained) / section.n
        asked = limit if limit is not None else _limit_of(report, section)
        yield Question(
            title=f"{section.variant} on {section.data}   {told} · churn {100 * churn:.3g} pt",
            churn=churn,
            limit=asked,
            n=n,
            told=told,
            confidence=confidence,
            power=power,
        )


def _limit_of(report: AuditReport, section: SourceSection) -> float | None:
    """The limit on the accuracy drop that the section was judged by."""
    mine = (section.variant, section.data)
    rules = [rule for rule in report.verdict.rules if (rule.variant, rule.data) == mine]
    found = next((rule.limit for rule in rules if rule.rule == RuleKind.ACCURACY), None)
    return found if found and found < 1 else None
