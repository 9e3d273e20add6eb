"""What several renderers say in the same words."""

import math
from collections.abc import Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.blocks import Tone
from forgetaudit.report.behaviour import RivalSection, ScoreSection, SoftMeasure, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Family, Finding
from forgetaudit.report.weights import WeightTotal
from forgetaudit.wording import counted

__all__ = [
    "SAID_ELSEWHERE",
    "best_advice",
    "family_words",
    "files_compared",
    "findings_of",
    "gap_notes",
    "left_words",
    "nats",
    "perplexity",
    "rival_words",
    "sample_text",
    "soft_name",
]

# What the headline and the table of classes say already.
SAID_ELSEWHERE = {
    "base-at-chance",
    "classes-fell",
    "drop-proved",
    "gain-proved",
    "labels-do-not-fit",
    "needs-more-examples",
}

_SOFT_NAMES = {"kl": "KL(base‖tuned)"}


def files_compared(report: AuditReport, variant: str) -> str:
    """`base.safetensors → tuned.safetensors`: as little of the paths as tells the two apart."""
    tuned = next(
        (
            file.named or file.path
            for file, v in zip(report.inputs.tuned, report.variants[1:], strict=False)
            if v.name == variant
        ),
        variant,
    )
    base = report.inputs.base.named or report.inputs.base.path
    told = (shown for shown in (_model_of_log, _tail, _last_two) if shown(base) != shown(tuned))
    shown = next(told, _tail)
    return f"{shown(base)} → {shown(tuned)}"


def _tail(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _model_of_log(path: str) -> str:
    """lm-eval names a log for its task and time, and the folder for the model."""
    folder = _tail(path[: -len(_tail(path))])
    return folder if folder and _tail(path).startswith("samples_") else _tail(path)


def _last_two(path: str) -> str:
    folder, _, name = path.replace("\\", "/").rstrip("/").rpartition("/")
    return f"{_tail(folder)}/{name}" if folder else name


def sample_text(measured: SourceSection | ScoreSection) -> str:
    """What was asked: `797 examples`, `16,097 tokens of 200 texts`."""
    if isinstance(measured, ScoreSection):
        return counted(measured.n, "example")
    groups, asked = measured.groups, counted(measured.n, measured.unit)
    if groups is None:
        return asked
    return (
        f"{asked} of {counted(groups.n, 'text')}"
        if groups.by is None
        else f"{asked} in {counted(groups.n, 'group')}"
    )


def nats(value: float) -> str:
    """A log loss: 1.1923 -> `1.19`, 0.0241 -> `0.024`."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def perplexity(log_loss: float) -> str:
    """Of a log loss in nats; beyond 700 nats, e to its power is no float."""
    return f"{math.exp(log_loss):,.1f}" if log_loss < 700 else "∞"


def soft_name(soft: SoftMeasure) -> str:
    """A soft measure as a reader knows it."""
    return _SOFT_NAMES.get(soft.measure, soft.measure)


def findings_of(report: AuditReport, variant: str, data: str | None) -> list[Finding]:
    """The findings on one variant, and of those on data the ones on `data`."""
    return [f for f in report.findings if f.variant == variant and f.data in (None, data)]


def gap_notes(report: AuditReport, variant: str, data: str | None) -> tuple[tuple[Tone, str], ...]:
    """What was handed over and is not in the numbers of one variant: nothing unread goes unsaid."""
    gaps = [found for found in findings_of(report, variant, data) if found.holds is not None]
    return tuple(("warn" if gap.holds in ("tensors", "nothing") else "bad", gap.title) for gap in gaps)


def best_advice(findings: Sequence[Finding]) -> list[str]:
    """The advice of what matters most, each once."""
    telling = [f for f in findings if f.severity in ("high", "medium")] or list(findings[:1])
    return list(dict.fromkeys(finding.advice for finding in telling))[:3]


def rival_words(pair: RivalSection) -> str | None:
    """Which of two fine-tunes is better, and whether that is sure; None where it was not measured."""
    difference = pair.advantage_of_first
    if isinstance(difference, Absent) or difference.low is None or difference.high is None:
        return None
    better, worse = (pair.first, pair.second) if difference.estimate >= 0 else (pair.second, pair.first)
    ends = sorted((abs(difference.low), abs(difference.high)))
    if difference.low <= 0 <= difference.high:
        return f"{pair.first} and {pair.second} do not differ surely on {pair.data}"
    span = f"[{numbers.points(ends[0])}, {numbers.points(ends[1])}]"
    return (
        f"{better} is {numbers.points(difference.estimate)} pt better on {pair.data} than {worse}  "
        f"{span} two-sided 95 %"
    )


def left_words(total: WeightTotal) -> str:
    """Nothing where all of a part was compared; else `, 2 not compared`."""
    return f", {len(total.not_compared):,} not compared" if total.not_compared else ""


def family_words(family: Family) -> str:
    """How often all rules that are judged from examples break by chance, and what keeps that low."""
    rules, each = counted(family.n_judged, "statistical rule"), f"{100 * family.confidence:g} %"
    runs = f"{_two_digits(family.error_at_most)} % of unchanged runs"
    if family.method == "holm":
        return f"{rules}, with Holm's correction: at most {runs} break one"
    kept = _two_digits(1 - family.confidence)
    return f"{rules} at {each} each: up to {runs} break one; family-wise = true keeps {kept} %"


def _two_digits(share: float) -> str:
    """In percent; 100 is never said, because it never is."""
    return f"{100 * share:.2g}" if share < 0.995 else "over 99"
