"""A report to a page: which tables stand in it, in which order. Verdict first, then where; provenance last."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.behaviour_tables import before_and_after, drop_span, flips_table, side_of
from forgetaudit.renderers.budget_lines import budget_table
from forgetaudit.renderers.chapters import chapters
from forgetaudit.renderers.class_tables import classes_table, groups_table, strata_table
from forgetaudit.renderers.document import Caps, Comparison, Document, Fact, Span, Table, Tone
from forgetaudit.renderers.examples_table import examples_table
from forgetaudit.renderers.gate_tables import notes, rules_table, waivers_table
from forgetaudit.renderers.headline import Subject, rules_of, subjects, verdict_line
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.locate_words import located_line
from forgetaudit.renderers.next_steps import next_steps
from forgetaudit.renderers.phrases import asked, files_compared, findings_of, rival_words
from forgetaudit.renderers.preview_words import PREVIEW, UNTRUSTED
from forgetaudit.renderers.provenance import noise_table, provenance
from forgetaudit.renderers.repair_words import repair_headline
from forgetaudit.renderers.trace_words import run_words
from forgetaudit.renderers.weight_tables import layers_table, tensors_table, totals_table
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

__all__ = ["compose"]

_TONES: dict[str, Tone] = {
    "FAIL": "bad",
    "REFUSED": "bad",
    "INCONCLUSIVE": "warn",
    "NOT JUDGED": "dim",
    "LOCATED": "bad",
    "NOT LOCATED": "warn",
    UNTRUSTED: "warn",
    PREVIEW: "dim",
    "PASS": "good",
}
_WORDS = {
    "fail": "FAIL",
    "pass": "PASS",
    "inconclusive": "INCONCLUSIVE",
    "refused": "REFUSED",
    "not-judged": "NOT JUDGED",
}


def compose(report: AuditReport, caps: Caps, exit_note: str = "") -> Document:
    """The page of a report, no larger than `caps`. `exit_note` says what the caller does with the exit code."""
    comparisons = tuple(_comparison(report, subject, caps) for subject in subjects(report))
    word, tone, sentence = _outcome(report, comparisons)
    return Document(
        title=f"forgetaudit {report.command}",
        word=word,
        tone=tone,
        sentence=sentence,
        chapters=tuple(chapters(report, caps)),
        comparisons=comparisons,
        tables=tuple(table for table in (waivers_table(report), noise_table(report)) if table is not None),
        rivals=tuple(said for pair in report.rivals if (said := rival_words(pair))),
        provenance=tuple(_capped(fact, caps) for fact in provenance(report, exit_note)),
    )


def _outcome(report: AuditReport, comparisons: Sequence[Comparison]) -> tuple[str, Tone, str]:
    """The word, its tone, and the sentence: of a repair, what came of it."""
    if report.repair is not None:
        met = report.repair.met
        return "REPAIRED" if met else "NOT REPAIRED", "good" if met else "bad", repair_headline(report)
    word = _WORDS[report.verdict.outcome]
    if report.locate:
        found = {one.word for one in comparisons}
        word = next(word for word in ("LOCATED", "NOT LOCATED", UNTRUSTED, PREVIEW) if word in found)
    return word, _TONES[word], _over_all(comparisons, word)


def _over_all(comparisons: Sequence[Comparison], word: str) -> str:
    """The sentence of the only comparison; of several how many came out how."""
    if len(comparisons) == 1 and comparisons[0].word == word:
        return comparisons[0].sentence
    counts = [(sum(c.word == which for c in comparisons), which) for which in _TONES]
    told = ", ".join(f"{n} {which.lower()}" for n, which in counts if n)
    return f"{len(comparisons)} comparisons: {told}" if told else "nothing was compared"


def _capped(fact: Fact, caps: Caps) -> Fact:
    left = len(fact.values) - caps.facts
    if left <= 0:
        return fact
    return Fact(
        term=fact.term, values=(*fact.values[: caps.facts], f"… {numbers.count(left)} more in the report")
    )


def _comparison(report: AuditReport, subject: Subject, caps: Caps) -> Comparison:
    source = subject.source
    (word, _), (sentence, _) = _verdict(report, subject)
    # What a chapter says of the same data is not said twice.
    told = report.trace is not None or report.locate
    findings = [] if told else findings_of(report, subject.variant, source.data if source else None)
    span, words = _drop(report, subject)
    measured = source or next(iter(subject.scores), None)
    return Comparison(
        heading=_heading(report, subject) + (f" on {measured.data}" if measured else ""),
        about=_about(report, subject) + (f" · {asked(measured)}" if measured else ""),
        word=word,
        tone=_TONES[word],
        sentence=sentence.strip(),
        drop=span,
        drop_words=words,
        absent=tuple(_absent(report, subject)),
        tables=tuple(table for table in _tables(report, subject, caps) if table is not None),
        notes=notes(findings, caps),
        notes_left=max(len(findings) - caps.findings, 0),
        steps=next_steps(report, subject),
    )


def _verdict(report: AuditReport, subject: Subject) -> Line:
    """As on the screen: of a search for the loss, whether it was located."""
    data = subject.source.data if subject.source else None
    found = next((section for section in report.locate if section.data == data), None)
    return verdict_line(report, subject) if found is None else located_line(found)


def _heading(report: AuditReport, subject: Subject) -> str:
    if report.trace is not None:
        return f"The last checkpoint, {subject.variant},"
    return f"Base against {subject.variant}" if report.locate or report.repair else subject.variant


def _about(report: AuditReport, subject: Subject) -> str:
    files = files_compared(report, subject.variant)
    return files if report.trace is None else run_words(report, report.trace)


def _drop(report: AuditReport, subject: Subject) -> tuple[Span | None, str]:
    """The drop to be drawn against the limit it was judged by, and the same in words."""
    if subject.source is None:
        return None, ""
    rule = next((rule for rule in rules_of(report, subject) if rule.rule == "accuracy"), None)
    limit = rule.limit if rule else None
    span = drop_span(subject.source, limit)
    if span is None:
        return None, ""
    low, high = (_points(value) for value in (span.low, span.high))
    against = f"; limit {100 * limit:.4g} pt" if limit is not None else ""
    return span, (
        f"drop {_points(span.estimate)} pt, two-sided interval {low} to {high} pt{against}. Drop = base − "
        f"{side_of(subject.source)}, in points of all questions; positive is forgetting."
    )


def _points(value: float) -> str:
    return f"{numbers.MINUS if value < 0 else ''}{numbers.points(value)}"


def _absent(report: AuditReport, subject: Subject) -> Iterator[str]:
    """What was not measured at all, with its reason."""
    sections = {
        "accuracy": report.source,
        "feature drift": report.features,
        "weight distance": report.weights,
    }
    for name, section in sections.items():
        if isinstance(section, Absent) and not (name == "accuracy" and subject.scores):
            yield f"{name}: not measured, {section.not_measured}"


def _tables(report: AuditReport, subject: Subject, caps: Caps) -> Iterator[Table | None]:
    source = subject.source
    yield rules_table(rules_of(report, subject), report.verdict.family, caps)
    yield before_and_after(source, subject.scores)
    if source is not None:
        if not source.unlabelled:
            yield flips_table(source)
        yield classes_table(source, caps)
        yield groups_table(source, caps)
        yield strata_table(source, caps)
        yield examples_table(report, subject, caps)
    if subject.weights is not None:
        yield layers_table(subject.weights, subject.features, caps)
        yield totals_table(subject.weights)
        yield budget_table(report, subject.variant)
        yield tensors_table(subject.weights, caps)
