"""What `compare` says: the verdict, what the examples and the weights said, rules, findings, and what to run next."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from forgetaudit.renderers.blocks import Block, Facts, Heading, Steps, Table, Verdict
from forgetaudit.renderers.headline import Subject, subjects, verdict_line
from forgetaudit.renderers.next_steps import next_steps
from forgetaudit.renderers.phrases import files_compared, rival_words, sample_text
from forgetaudit.renderers.views import shared
from forgetaudit.renderers.views.behaviour import behaviour, drop_scale
from forgetaudit.renderers.views.behaviour_facts import behaviour_facts
from forgetaudit.renderers.views.examples import examples
from forgetaudit.renderers.views.weights import weights
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

__all__ = ["below", "blocks"]


def blocks(report: AuditReport, exit_note: str = "") -> Iterator[Block]:
    """Comparison by comparison, then the fine-tunes against each other."""
    for subject in subjects(report):
        verdict = shared.verdict(report, subject, verdict_line(report, subject))
        yield verdict
        measured = subject.source or next(iter(subject.scores), None)
        yield Heading(text=subject.variant + (f" on {measured.data}" if measured else ""))
        yield from _comparison(report, subject, verdict)
        yield from shared.rules(report, subject)
        yield shared.findings(report, subject)
        if steps := next_steps(report, subject):
            yield Steps(rows=steps)
        yield from examples(report, subject)
    if pairs := [words for pair in report.rivals if (words := rival_words(pair))]:
        yield Heading(text="Fine-tunes against each other")
        yield Facts(ident="rivals", title="", rows=tuple(("paired", words) for words in pairs))
    yield from shared.closing(report, exit_note)


def _comparison(report: AuditReport, subject: Subject, verdict: Verdict) -> Iterator[Block]:
    """Everything measured of one variant on one data set: what its examples said, and its weights."""
    yield behaviour_facts(report, subject)
    yield from drop_scale(report, subject, verdict.tone)
    if absent := tuple(_absent(report, subject)):
        yield Facts(ident="absent", title="Not measured", rows=absent, on="page")
    yield from behaviour(subject)
    yield from weights(report, subject)


def below(report: AuditReport, subject: Subject, verdict: Verdict, heading: str) -> Iterator[Block]:
    """The same of a report that is about something else: below it, on a page alone."""
    measured = subject.source or next(iter(subject.scores), None)
    about = files_compared(report, subject.variant) + (f" · {sample_text(measured)}" if measured else "")
    yield Heading(text=heading + (f" on {measured.data}" if measured else ""), about=about)
    parts = (_comparison(report, subject, verdict), shared.rules(report, subject), examples(report, subject))
    for block in chain.from_iterable(parts):
        if isinstance(block, Facts | Table) and block.on == "all":
            yield replace(block, on="page")
        elif not isinstance(block, Facts) or block.on == "page":
            yield block


def _absent(report: AuditReport, subject: Subject) -> Iterator[tuple[str, str]]:
    """What was not measured at all, with its reason."""
    sections = {
        "accuracy": report.source,
        "feature drift": report.features,
        "weight distance": report.weights,
    }
    for name, section in sections.items():
        if isinstance(section, Absent) and not (name == "accuracy" and subject.scores):
            yield name, f"not measured: {section.not_measured}"
