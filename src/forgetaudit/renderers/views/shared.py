"""Blocks that several commands have: the verdict, rules, findings, waivers, the noise floor, and provenance."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from forgetaudit.renderers import cells, numbers
from forgetaudit.renderers.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Finding,
    Findings,
    Footer,
    Heading,
    Table,
    Tone,
    Verdict,
)
from forgetaudit.renderers.headline import Subject, rule_words, rules_of
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.phrases import (
    SAID_ELSEWHERE,
    best_advice,
    family_words,
    files_compared,
    findings_of,
    gap_notes,
    sample_text,
)
from forgetaudit.renderers.provenance import last_line
from forgetaudit.renderers.provenance import provenance as facts_of
from forgetaudit.renderers.rule_amounts import RULE_TONES, rule_amount
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Family, RuleResult

__all__ = ["closing", "findings", "findings_on_page", "rules", "rules_on_screen", "verdict"]

_TONES: dict[str, Tone] = {"high": "bad", "medium": "warn"}
_SHORT = {"fail": "fail", "warned": "warn", "inconclusive": "open", "pass": "ok", "refused": "refused"}


def verdict(report: AuditReport, subject: Subject, headline: Line, *, files: str = "") -> Verdict:
    """Of one variant on one data set, with what was handed over and is not in the numbers.

    `headline` is the word and the sentence behind it; `files` what was compared, where that is not a pair of files.
    """
    measured = subject.source or next(iter(subject.scores), None)
    data = subject.source.data if subject.source else None
    on = f"   {measured.data} · {sample_text(measured)}" if measured else ""
    (word, tone), (sentence, _) = headline
    return Verdict(
        command=report.command,
        subject=(files or files_compared(report, subject.variant)) + on,
        word=word,
        tone=_tone(tone),
        sentence=sentence.strip(),
        notes=gap_notes(report, subject.variant, data),
    )


def _tone(style: str) -> Tone:
    tones: tuple[Tone, ...] = ("good", "warn", "bad", "dim")
    return next((tone for tone in tones if tone == style), "")


def findings(report: AuditReport, subject: Subject) -> Findings:
    """Those on one variant, the worst first; advice that was given already is not given again."""
    data = subject.source.data if subject.source else None
    mine = findings_of(report, subject.variant, data)
    rows: list[Finding] = []
    for one in mine:
        repeated = any(row.advice == one.advice for row in rows)
        elsewhere = one.id in SAID_ELSEWHERE or one.holds is not None
        rows.append(
            Finding(
                ident=one.id,
                title=one.title,
                severity=one.severity,
                confidence=one.confidence,
                advice="" if repeated else one.advice,
                tone=_TONES.get(one.severity, ""),
                on="page" if elsewhere else "all",
            )
        )
    telling = [one for one in mine if one.holds not in (None, "tensors", "nothing")]
    telling += [one for one in mine if one.holds is None and one.id not in SAID_ELSEWHERE]
    return Findings(rows=tuple(rows), advice=tuple(best_advice(telling or mine)))


def findings_on_page(report: AuditReport, subject: Subject) -> Findings:
    """The same where a screen has said what matters of them."""
    found = findings(report, subject)
    return Findings(rows=tuple(replace(row, on="page") for row in found.rows))


def rules(report: AuditReport, subject: Subject) -> Iterator[Block]:
    """Every rule: a line for those that are not the headline already, and a table for a page."""
    yield from rules_on_screen(report, subject)
    if mine := rules_of(report, subject):
        yield _rules_table(mine, report.verdict.family)


def rules_on_screen(report: AuditReport, subject: Subject) -> Iterator[Facts]:
    """A line for each rule that is not the headline already."""
    mine = rules_of(report, subject)
    open_ones = ("inconclusive", "warned", "waived")
    shown = [rule for rule in mine if rule.rule != "accuracy" or rule.outcome in open_ones]
    if shown:
        yield Facts(
            ident="rules",
            title="Rules",
            brief=True,
            on="screen",
            rows=tuple((_SHORT.get(rule.outcome, rule.outcome), rule_words(rule)) for rule in shown),
            tones=tuple(RULE_TONES.get(rule.outcome, "good") for rule in shown),
        )


def _rules_table(mine: Sequence[RuleResult], family: Family | None) -> Table:
    ordered = sorted(mine, key=lambda rule: rule.outcome == "pass")
    sure = {100 * rule.limits.confidence for rule in ordered if rule.limits}
    each = f"Each of the two limits is one-sided, {min(sure):g} %." if sure else ""
    together = f"In the whole gate: {family_words(family)}." if family is not None else ""
    return Table(
        ident="rules",
        title="Rules",
        what="rule",
        on="page",
        columns=(
            Column(title="rule"),
            Column(title="outcome"),
            Column(title="level"),
            Column(title="value", kind="number"),
            Column(title="limit", kind="number"),
            Column(title="surely between", kind="number"),
            Column(title="reason", kind="prose"),
        ),
        rows=tuple(_rule_row(rule) for rule in ordered),
        note=" ".join(filter(None, (each, together))),
    )


def _rule_row(rule: RuleResult) -> tuple[Cell, ...]:
    limits, further = rule.limits, rule.further_examples
    more = f"; about {numbers.count(further)} more would decide" if further else ""
    between = f"{rule_amount(rule, limits.low)} to {rule_amount(rule, limits.high)}" if limits else ""
    waived = " (waived)" if rule.waived_from is not None else ""
    return (
        cells.name(rule.rule),
        cells.text(rule.outcome, RULE_TONES.get(rule.outcome, "")),
        cells.text(rule.level),
        cells.text(rule_amount(rule, rule.value)),
        cells.text(rule_amount(rule, rule.limit) + waived),
        cells.text(between),
        cells.text(rule.reason + more),
    )


def closing(report: AuditReport, exit_note: str = "") -> Iterator[Block]:
    """What is of the whole report: the gate's error, waivers, the noise floor, provenance; a screen's last line."""
    if report.verdict.family is not None:
        words = family_words(report.verdict.family)
        yield Facts(
            ident="gate", title="Gate", brief=True, on="screen", rows=(("gate", words),), tones=("dim",)
        )
    if report.verdict.waivers or report.noise:
        yield Heading(text="Over all")
    if report.verdict.waivers:
        yield _waivers(report)
    if report.noise:
        yield _noise(report)
    yield _provenance(report, exit_note)
    yield Footer(text=last_line(report, exit_note))


def _waivers(report: AuditReport) -> Table:
    tones: dict[str, Tone] = {"expired": "bad", "used": "warn"}
    return Table(
        ident="waivers",
        title="Waivers",
        what="waiver",
        on="page",
        columns=(
            Column(title="rule"),
            Column(title="data"),
            Column(title="state"),
            Column(title="expires"),
            Column(title="reason", kind="prose"),
        ),
        rows=tuple(
            (
                cells.name(waiver.rule),
                cells.name(waiver.data or "all", code=waiver.data is not None),
                cells.text(waiver.state, tones.get(waiver.state, "")),
                cells.text(waiver.expires.isoformat()),
                cells.text(waiver.reason),
            )
            for waiver in report.verdict.waivers
        ),
        note="A waiver holds through its last day, in UTC.",
    )


def _noise(report: AuditReport) -> Table:
    return Table(
        ident="noise",
        title="Noise floor: base against itself",
        what="data set",
        on="page",
        columns=(
            Column(title="data"),
            Column(title="batch sizes"),
            Column(title="changed answers", kind="number"),
            Column(title="flips", kind="number"),
            Column(title="n", kind="number"),
            Column(title="largest change in log loss, nats", kind="number"),
        ),
        rows=tuple(
            (
                cells.name(floor.data),
                cells.text(" and ".join(str(size) for size in floor.batch_sizes)),
                cells.count(floor.n_answers_changed),
                cells.count(floor.n_flips),
                cells.count(floor.n),
                cells.number(floor.largest_nll_change, numbers.plain),
            )
            for floor in report.noise
        ),
        note="Exact: the same weights on the same examples again, in batches of the other size and of the first.",
    )


def _provenance(report: AuditReport, exit_note: str) -> Facts:
    rows = [
        (fact.term if at == 0 else "", value)
        for fact in facts_of(report, exit_note)
        for at, value in enumerate(fact.values)
    ]
    return Facts(ident="provenance", title="Provenance", rows=tuple(rows), code=True, folded=True, on="page")
