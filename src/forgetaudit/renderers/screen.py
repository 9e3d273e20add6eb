"""The first screen, as styled lines: verdict first, then where and what to try; provenance last."""

import math
from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.headline import Subject, rule_words, rules_of, subjects, verdict_line
from forgetaudit.renderers.layer_table import layer_table
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.report.behaviour import ScoreSection, SourceSection
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Finding
from forgetaudit.wording import counted

__all__ = ["decisions", "screen"]


def screen(report: AuditReport, exit_note: str = "") -> Iterator[Line]:
    """Every line of the first screen. `exit_note` says what the caller does with the exit code."""
    for subject in subjects(report):
        yield _title(report, subject)
        yield verdict_line(report, subject)
        yield []
        yield from _behaviour(report, subject)
        if subject.weights is not None:
            yield from layer_table(subject.weights, subject.features)
        yield from _rules(report, subject)
        yield from _findings(report, subject)
    yield from _rivals(report)
    yield from _provenance(report, exit_note)


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
    tuned = next(
        (
            file.named or file.path
            for file, v in zip(report.inputs.tuned, report.variants[1:], strict=True)
            if v.name == subject.variant
        ),
        subject.variant,
    )
    base = report.inputs.base.named or report.inputs.base.path
    told = (shown for shown in (_model_of_log, _tail, _last_two) if shown(base) != shown(tuned))
    shown = next(told, _tail)
    files = f"{shown(base)} → {shown(tuned)}"
    measured = subject.source or next(iter(subject.scores), None)
    on = f"   {measured.data} · {_asked(measured)}" if measured else ""
    return [("forgetaudit ", "bold"), (f"{report.command}  ", "bold"), (files + on, "")]


def _asked(measured: SourceSection | ScoreSection) -> str:
    """What was asked: `797 examples`, `16,097 tokens of 200 texts`."""
    if isinstance(measured, ScoreSection):
        return counted(measured.n, "example")
    of = f" of {counted(measured.groups.n, 'text')}" if measured.groups else ""
    return counted(measured.n, measured.unit) + of


def _tail(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _model_of_log(path: str) -> str:
    """lm-eval names a log for its task and time, and the folder for the model."""
    folder = _tail(path[: -len(_tail(path))])
    return folder if folder and _tail(path).startswith("samples_") else _tail(path)


def _last_two(path: str) -> str:
    folder, _, name = path.replace("\\", "/").rstrip("/").rpartition("/")
    return f"{_tail(folder)}/{name}" if folder else name


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
    sides = "  drop, two-sided 95 %" if span else ""
    yield _row(f"{source.metric} ", f"{both}   {change} pt{span}{sides}")
    flips = source.flips
    yield _row(
        "", f"forgotten {flips.forgotten} · gained {flips.gained} · kept {flips.kept} · missed {flips.missed}"
    )
    # A log's likelihoods of whole answers are large: without its interval a change says little.
    change = _change(source.nll.increase) if subject.weights is None or source.groups else ""
    yield _row("log loss", _log_loss(source) + change)
    yield from _moved(source)
    yield from (_score(score) for score in subject.scores)
    if source.per_class:
        yield _row("classes", _classes(source))
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
    said = f"{_nats(base)} → {_nats(tuned)} nats/{source.unit}"
    if source.task != "causal-lm":
        return said
    return f"{said} (perplexity {_perplexity(base)} → {_perplexity(tuned)})"


def _perplexity(nats: float) -> str:
    # Beyond that, e to its power is no float.
    return f"{math.exp(nats):,.1f}" if nats < 700 else "∞"


def _moved(source: SourceSection) -> Iterator[Line]:
    """How far the answers moved beside right and wrong; of classes the flips say enough."""
    if not source.soft:
        return
    parts = []
    if not isinstance(source.disagreement, Absent):
        same = 1 - source.disagreement.estimate
        parts.append(f"same answer {numbers.percent(same)}{_half_width(source.disagreement, 100)}")
    for soft in source.soft:
        name = _SOFT_NAMES.get(soft.measure, soft.measure)
        if isinstance(soft.value, Absent):
            parts.append(f"{name} not measured: {soft.value.not_measured}")
        else:
            unit = f" {soft.unit}/{source.unit}" if soft.unit else ""
            parts.append(f"{name} {numbers.unit(soft.value.estimate)}{_half_width(soft.value, 1)}{unit}")
    yield _row("moved", " · ".join(parts))


_SOFT_NAMES = {"kl": "KL(base‖tuned)"}


def _half_width(value: Estimate, scale: float) -> str:
    """` ± 0.012`, half of the interval; nothing where there is none."""
    if value.low is None or value.high is None:
        return ""
    half = scale * (value.high - value.low) / 2
    return f" ± {half:.1f}" if scale == 100 else f" ± {half:.2g}"


def _nats(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _classes(source: SourceSection) -> str:
    fell = sorted(
        (c for c in source.per_class if c.adjusted_p < 0.05 and c.base > c.tuned),
        key=lambda c: c.tuned - c.base,
    )
    rose = sum(c.adjusted_p < 0.05 and c.base < c.tuned for c in source.per_class)
    rest = len(source.per_class) - len(fell) - rose
    parts = []
    if fell:
        worst = fell[0]
        parts.append(
            f"class {worst.name} fell {numbers.points(worst.base - worst.tuned)} pt "
            f"(n {worst.n}, adjusted p {numbers.p_value(worst.adjusted_p)})"
        )
    if len(fell) > 1:
        parts.append(f"{len(fell) - 1} more fell")
    if rose:
        parts.append(f"{rose} rose")
    parts.append(f"{rest} within noise" if parts else f"all {rest} within noise")
    return " · ".join(parts)


def _rules(report: AuditReport, subject: Subject) -> Iterator[Line]:
    """Every rule that is not already the headline."""
    mine = [
        rule
        for rule in rules_of(report, subject)
        if rule.rule != "accuracy" or rule.outcome in ("inconclusive", "warned")
    ]
    words = {"fail": "fail", "warned": "warn", "inconclusive": "open", "pass": "ok", "refused": "refused"}
    for rule in mine:
        style = {"fail": "bad", "warned": "warn", "inconclusive": "warn"}.get(rule.outcome, "good")
        yield [(f"{words.get(rule.outcome, rule.outcome):<6}", style), (rule_words(rule), "")]
    if mine:
        yield []


def _findings(report: AuditReport, subject: Subject) -> Iterator[Line]:
    data = subject.source.data if subject.source else None
    mine = [f for f in report.findings if f.variant == subject.variant and f.data in (None, data)]
    told = [f for f in mine if f.id not in _SAID_ELSEWHERE]
    for finding in told:
        style = {"high": "bad", "medium": "warn"}.get(finding.severity, "")
        yield [("why   ", style), (finding.title, "")]
    for advice in _advice(told or mine):
        yield [("try   ", "dim"), (advice, "")]
    if mine:
        yield []


# What the headline and the table of classes say already.
_SAID_ELSEWHERE = {
    "base-at-chance",
    "classes-fell",
    "drop-proved",
    "gain-proved",
    "labels-do-not-fit",
    "needs-more-examples",
}


def _advice(findings: Sequence[Finding]) -> list[str]:
    """The advice of what matters most, each once."""
    telling = [f for f in findings if f.severity in ("high", "medium")] or list(findings[:1])
    return list(dict.fromkeys(finding.advice for finding in telling))[:3]


def _rivals(report: AuditReport) -> Iterator[Line]:
    """Which of several fine-tunes forgot less, and whether that is sure."""
    for pair in report.rivals:
        difference = pair.advantage_of_first
        if isinstance(difference, Absent) or difference.low is None or difference.high is None:
            continue
        better, worse = (pair.first, pair.second) if difference.estimate >= 0 else (pair.second, pair.first)
        ends = sorted((abs(difference.low), abs(difference.high)))
        if difference.low <= 0 <= difference.high:
            said = f"{pair.first} and {pair.second} do not differ surely on {pair.data}"
        else:
            span = f"[{numbers.points(ends[0])}, {numbers.points(ends[1])}]"
            said = (
                f"{better} is {numbers.points(difference.estimate)} pt better on {pair.data} than {worse}  "
                f"{span} two-sided 95 %"
            )
        yield [("paired  ", "label"), (said, "")]
    if report.rivals:
        yield []


def _provenance(report: AuditReport, exit_note: str) -> Iterator[Line]:
    settings = report.inputs.settings
    model = report.inputs.model
    parts = [f"exit {exit_note or report.verdict.exit_code}"]
    if not isinstance(model, Absent):
        parts.append(f"model {model.name} ({model.evidence})")
    parts += [f"data {data.fingerprint[:8]}…" for data in report.inputs.data]
    if "samples" in settings:
        parts.append(f"{settings['samples']} metric {settings['metric']}, filter {settings['filter']}")
    if "device" in settings:
        parts += [f"{settings['device']} {settings['dtype']}", f"seed {settings['seed']}"]
    yield [(" · ".join(parts), "dim")]
