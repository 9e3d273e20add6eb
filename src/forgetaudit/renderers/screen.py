"""The first screen, as styled lines: verdict first, then where and what to try; provenance last."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.budget_lines import budget_lines
from forgetaudit.renderers.headline import Subject, rule_words, rules_of, subjects, verdict_line
from forgetaudit.renderers.layer_table import layer_table
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.next_steps import next_steps
from forgetaudit.renderers.phrases import (
    SAID_ELSEWHERE,
    asked,
    best_advice,
    family_words,
    files_compared,
    findings_of,
    nats,
    perplexity,
    rival_words,
    soft_name,
)
from forgetaudit.report.behaviour import ClassResult, NoiseFloor, ScoreSection, SourceSection
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = [
    "decisions",
    "family_lines",
    "finding_lines",
    "gap_lines",
    "provenance_line",
    "rule_lines",
    "screen",
]


def screen(report: AuditReport, exit_note: str = "") -> Iterator[Line]:
    """Every line of the first screen. `exit_note` says what the caller does with the exit code."""
    for subject in subjects(report):
        yield _title(report, subject)
        yield verdict_line(report, subject)
        yield from gap_lines(report, subject)
        yield []
        yield from _behaviour(report, subject)
        if subject.weights is not None:
            yield from layer_table(subject.weights, subject.features)
            yield from budget_lines(report, subject.variant)
        yield from rule_lines(report, subject)
        yield from finding_lines(report, subject)
    yield from family_lines(report)
    yield from _rivals(report)
    yield from provenance_line(report, exit_note)


def decisions(report: AuditReport) -> Iterator[str]:
    """Every decision taken on the way, one line each: what --verbose says."""
    for file in (report.inputs.base, *report.inputs.tuned):
        yield from (f"{file.name}: {note}" for note in (file.format, *file.notes))
    for weights in () if isinstance(report.weights, Absent) else report.weights:
        yield from (f"{weights.variant}: {step}" for step in weights.alignment)
    if not isinstance(report.inputs.model, Absent):
        yield from (f"model: {note}" for note in report.inputs.model.notes)
    for data in report.inputs.data:
        yield from (f"{data.data}: {decision}" for decision in data.decisions)


def _title(report: AuditReport, subject: Subject) -> Line:
    measured = subject.source or next(iter(subject.scores), None)
    on = f"   {measured.data} · {asked(measured)}" if measured else ""
    return [
        ("forgetaudit ", "bold"),
        (f"{report.command}  ", "bold"),
        (files_compared(report, subject.variant) + on, ""),
    ]


def _row(label: str, text: str, style: str = "") -> Line:
    return [(f"{label:<{LABEL}}", "label"), (text, style)]


def _behaviour(report: AuditReport, subject: Subject) -> Iterator[Line]:
    source = subject.source
    if source is None and subject.scores:
        first, *others = subject.scores
        yield _score(first, "  two-sided 95 %")
        yield from (_score(score) for score in others)
        yield []
        return
    if source is None:
        reason = report.source.not_measured if isinstance(report.source, Absent) else "no data"
        yield _row("accuracy", f"not measured: {reason}", "dim")
        yield []
        return
    drop = source.accuracy.drop
    span = (
        f"  [{_limit(drop.low)}, {_limit(drop.high)}]"
        if not isinstance(drop, Absent) and drop.low is not None and drop.high is not None
        else ""
    )
    both = f"{numbers.percent(source.accuracy.base)} → {numbers.percent(source.accuracy.tuned)}"
    change = numbers.signed_points(source.accuracy.base - source.accuracy.tuned)
    looks = " at every look" if source.sequential else ""
    sides = f"  drop, two-sided 95 %{looks}" if span else ""
    yield _row(f"{source.metric} ", f"{both}   {change} pt{span}{sides}")
    flips = source.flips
    if source.unlabelled:
        yield _row("", "no labels (--label-column): no more can have been lost than changed")
    else:
        counts = (
            f"forgotten {flips.forgotten} · gained {flips.gained} · kept {flips.kept} · missed {flips.missed}"
        )
        yield _row("", counts)
    # A log's likelihoods of whole answers are large: without its interval a change says little.
    change = _change(source.nll.increase) if subject.weights is None or source.groups else ""
    if not source.unlabelled:
        yield _row("log loss", _log_loss(source) + change)
    yield from _moved(source)
    yield from (_score(score) for score in subject.scores)
    if source.per_class:
        yield _row("classes", _parts(source.per_class, "class") + _by_chance(source))
    if source.per_group:
        yield _row("groups", _parts(source.per_group, "group"))
    if source.per_stratum:
        yield _row("strata", _parts(source.per_stratum, f"{source.strata}"))
    yield from (_noise(floor) for floor in report.noise if floor.data == source.data)
    yield []


def _limit(value: float | None) -> str:
    if value is None:
        return "·"
    return ("−" if value < 0 else "") + numbers.points(value)


def _score(score: ScoreSection, words: str = "") -> Line:
    unit = f" {score.unit}" if score.unit else ""
    both = f"{numbers.unit(score.base)} → {numbers.unit(score.tuned)}{unit}"
    return _row(f"{score.metric} ", f"{both}{_change(score.increase)}{words}")


def _change(increase: Measured) -> str:
    """With its interval; nothing where it was not measured."""
    if isinstance(increase, Absent) or increase.low is None or increase.high is None:
        return ""
    low, high = numbers.unit(increase.low), numbers.unit(increase.high)
    return f"   {numbers.signed(increase.estimate)}  [{low}, {high}]"


def _log_loss(source: SourceSection) -> str:
    base, tuned = source.nll.base, source.nll.tuned
    if isinstance(base, Absent) or isinstance(tuned, Absent):
        absent = base if isinstance(base, Absent) else tuned
        return f"not measured: {absent.not_measured if isinstance(absent, Absent) else ''}"
    said = f"{nats(base)} → {nats(tuned)} nats/{source.unit}"
    if source.task != "causal-lm":
        return said
    return f"{said} (perplexity {perplexity(base)} → {perplexity(tuned)})"


def _moved(source: SourceSection) -> Iterator[Line]:
    """How far the answers moved beside right and wrong; of classes the flips say enough."""
    if not source.soft:
        return
    parts = []
    if not isinstance(source.disagreement, Absent):
        same = 1 - source.disagreement.estimate
        parts.append(f"same answer {numbers.percent(same)}{_half_width(source.disagreement, 100)}")
    for soft in source.soft:
        name = soft_name(soft)
        if isinstance(soft.value, Absent):
            parts.append(f"{name} not measured: {soft.value.not_measured}")
        else:
            unit = f" {soft.unit}/{source.unit}" if soft.unit else ""
            parts.append(f"{name} {numbers.unit(soft.value.estimate)}{_half_width(soft.value, 1)}{unit}")
    yield _row("moved", " · ".join(parts))


def _half_width(value: Estimate, scale: float) -> str:
    """` ± 0.012`, half of the interval; nothing where there is none."""
    if value.low is None or value.high is None:
        return ""
    half = scale * (value.high - value.low) / 2
    return f" ± {half:.1f}" if scale == 100 else f" ± {half:.2g}"


def _noise(floor: NoiseFloor) -> Line:
    """What base itself answers otherwise when it is asked again."""
    first, second = floor.batch_sizes
    changed = f"{numbers.count(floor.n_answers_changed)} of {counted(floor.n, 'answer')} of base changed"
    said = f"{changed}, {counted(floor.n_flips, 'flip')}, asked again in batches of {second} and of {first}"
    return _row("noise", said)


def _by_chance(source: SourceSection) -> str:
    """Where classes are many, the worst looks bad though nothing changed."""
    worst = source.worst_class_by_chance
    if worst is None or len(source.per_class) < _MANY_CLASSES or not source.flips.forgotten:
        return ""
    return f" · the worst falls {numbers.points(worst)} by chance alone"


_MANY_CLASSES = 20


def _parts(results: Sequence[ClassResult], noun: str) -> str:
    """The classes, or groups, that surely fell, the worst by name."""
    fell = sorted(
        (c for c in results if c.adjusted_p < 0.05 and c.base > c.tuned),
        key=lambda c: c.tuned - c.base,
    )
    rose = sum(c.adjusted_p < 0.05 and c.base < c.tuned for c in results)
    rest = len(results) - len(fell) - rose
    parts = []
    if fell:
        worst = fell[0]
        parts.append(
            f"{noun} {worst.name} fell {numbers.points(worst.base - worst.tuned)} pt "
            f"(n {worst.n}, adjusted p {numbers.p_value(worst.adjusted_p)})"
        )
    if len(fell) > 1:
        parts.append(f"{len(fell) - 1} more fell")
    if rose:
        parts.append(f"{rose} rose")
    small = sum(c.too_small_to_tell for c in results)
    if rest > small:
        parts.append(f"{rest - small} within noise" if parts or small else f"all {rest} within noise")
    if small:
        parts.append(f"{small} too small to tell")
    return " · ".join(parts)


def rule_lines(report: AuditReport, subject: Subject) -> Iterator[Line]:
    """Every rule that is not already the headline."""
    mine = [
        rule
        for rule in rules_of(report, subject)
        if rule.rule != "accuracy" or rule.outcome in ("inconclusive", "warned", "waived")
    ]
    words = {"fail": "fail", "warned": "warn", "inconclusive": "open", "pass": "ok", "refused": "refused"}
    for rule in mine:
        style = {"fail": "bad", "warned": "warn", "inconclusive": "warn"}.get(rule.outcome, "good")
        yield [(f"{words.get(rule.outcome, rule.outcome):<6}", style), (rule_words(rule), "")]
    if mine:
        yield []


def family_lines(report: AuditReport) -> Iterator[Line]:
    """What the whole gate errs by, where it has several rules that can."""
    if report.verdict.family is not None:
        yield [("gate  ", "dim"), (family_words(report.verdict.family), "")]
        yield []


def gap_lines(report: AuditReport, subject: Subject) -> Iterator[Line]:
    """What was handed over and is not in the numbers, right under the verdict: nothing unread goes unsaid."""
    data = subject.source.data if subject.source else None
    for gap in findings_of(report, subject.variant, data):
        if gap.holds is not None:
            yield [("note  ", "warn" if gap.holds in ("tensors", "nothing") else "bad"), (gap.title, "")]


def finding_lines(report: AuditReport, subject: Subject) -> Iterator[Line]:
    """What is known of why, and what to try."""
    data = subject.source.data if subject.source else None
    mine = findings_of(report, subject.variant, data)
    told = [f for f in mine if f.id not in SAID_ELSEWHERE and f.holds is None]
    telling = [*(f for f in mine if f.holds not in (None, "tensors", "nothing")), *told]
    for finding in told:
        style = {"high": "bad", "medium": "warn"}.get(finding.severity, "")
        yield [("why   ", style), (finding.title, "")]
    for advice in best_advice(telling or mine):
        yield [("try   ", "dim"), (advice, "")]
    for number, (command, what) in enumerate(next_steps(report, subject)):
        yield [("      " if number else "try   ", "dim"), (f"{command}   {what}", "")]
    if mine:
        yield []


def _rivals(report: AuditReport) -> Iterator[Line]:
    """Which of several fine-tunes forgot less, and whether that is sure."""
    told = [said for pair in report.rivals if (said := rival_words(pair))]
    yield from ([("paired  ", "label"), (said, "")] for said in told)
    if report.rivals:
        yield []


def provenance_line(report: AuditReport, exit_note: str) -> Iterator[Line]:
    """The last line: the exit code, and what the numbers depend on."""
    settings = report.inputs.settings
    model = report.inputs.model
    parts = [f"exit {exit_note or report.exit_code}"]
    if not isinstance(model, Absent):
        parts.append(f"model {model.name} ({model.evidence})")
    parts += [f"data {data.fingerprint[:8]}…" for data in report.inputs.data]
    if "samples" in settings:
        parts.append(f"{settings['samples']} metric {settings['metric']}, filter {settings['filter']}")
    if "device" in settings:
        parts += [f"{settings['device']} {settings['dtype']}", f"seed {settings['seed']}"]
    yield [(" · ".join(parts), "dim")]
