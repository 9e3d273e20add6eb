"""What the examples said, in the lines of a screen."""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.blocks import Facts
from forgetaudit.renderers.drop_words import drop_points
from forgetaudit.renderers.headline import Subject
from forgetaudit.renderers.phrases import nats, perplexity, soft_name
from forgetaudit.report.behaviour import ClassResult, NoiseFloor, ScoreSection, SourceSection
from forgetaudit.report.parts import Absent, Estimate, Measured
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["behaviour_facts"]

# Of so many classes the worst looks bad though nothing changed.
_MANY_CLASSES = 20

Rows = Iterator[tuple[str, str]]


def behaviour_facts(report: AuditReport, subject: Subject) -> Facts:
    """The lines of a screen."""
    source = subject.source
    if source is not None:
        rows = tuple(_source_facts(report, subject, source))
    elif subject.scores:
        first, *others = (_score_fact(score) for score in subject.scores)
        rows = ((first[0], f"{first[1]}  two-sided 95 %"), *others)
    else:
        reason = report.source.not_measured if isinstance(report.source, Absent) else "no data"
        rows = (("accuracy", f"not measured: {reason}"),)
    return Facts(ident="behaviour", title="", rows=rows, on="screen")


def _source_facts(report: AuditReport, subject: Subject, source: SourceSection) -> Rows:
    yield source.metric, _accuracy_words(source)
    if source.unlabelled:
        yield "", "no labels (--label-column): no more can have been lost than changed"
    else:
        flips = source.flips
        yield (
            "",
            f"forgotten {flips.forgotten} · gained {flips.gained} · kept {flips.kept} · missed {flips.missed}",
        )
        # A log's likelihoods of whole answers are large: without its interval a change says little.
        shown = subject.weights is None or source.groups
        yield "log loss", _log_loss(source) + (_change(source.nll.increase) if shown else "")
    if source.soft:
        yield "moved", " · ".join(_moved(source))
    yield from (_score_fact(score) for score in subject.scores)
    if source.per_class:
        yield "classes", _fell(source.per_class, "class") + _by_chance(source)
    if source.per_group:
        yield "groups", _fell(source.per_group, "group")
    if source.per_stratum:
        yield "strata", _fell(source.per_stratum, f"{source.strata}")
    yield from (("noise", _noise(floor)) for floor in report.noise if floor.data == source.data)


def _accuracy_words(source: SourceSection) -> str:
    accuracy, drop = source.accuracy, source.accuracy.drop
    both = f"{numbers.percent(accuracy.base)} → {numbers.percent(accuracy.tuned)}"
    change = numbers.signed_points(accuracy.base - accuracy.tuned)
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return f"{both}   {change} pt"
    looks = " at every look" if source.sequential else ""
    ends = f"[{drop_points(drop.low)}, {drop_points(drop.high)}]"
    return f"{both}   {change} pt  {ends}  drop, two-sided 95 %{looks}"


def _score_fact(score: ScoreSection) -> tuple[str, str]:
    unit = f" {score.unit}" if score.unit else ""
    both = f"{numbers.unit(score.base)} → {numbers.unit(score.tuned)}{unit}"
    return score.metric, f"{both}{_change(score.increase)}"


def _change(increase: Measured) -> str:
    """With its interval; nothing where it was not measured."""
    if isinstance(increase, Absent) or increase.low is None or increase.high is None:
        return ""
    low, high = numbers.unit(increase.low), numbers.unit(increase.high)
    return f"   {numbers.signed(increase.estimate)}  [{low}, {high}]"


def _log_loss(source: SourceSection) -> str:
    base, tuned = source.nll.base, source.nll.tuned
    if isinstance(base, Absent):
        return f"not measured: {base.not_measured}"
    if isinstance(tuned, Absent):
        return f"not measured: {tuned.not_measured}"
    words = f"{nats(base)} → {nats(tuned)} nats/{source.unit}"
    if source.task != "causal-lm":
        return words
    return f"{words} (perplexity {perplexity(base)} → {perplexity(tuned)})"


def _moved(source: SourceSection) -> Iterator[str]:
    """How far the answers moved beside right and wrong."""
    if not isinstance(source.disagreement, Absent):
        same = 1 - source.disagreement.estimate
        yield f"same answer {numbers.percent(same)}{_half_width(source.disagreement, 100)}"
    for soft in source.soft:
        name = soft_name(soft)
        if isinstance(soft.value, Absent):
            yield f"{name} not measured: {soft.value.not_measured}"
        else:
            unit = f" {soft.unit}/{source.unit}" if soft.unit else ""
            yield f"{name} {numbers.unit(soft.value.estimate)}{_half_width(soft.value, 1)}{unit}"


def _half_width(value: Estimate, scale: float) -> str:
    """` ± 0.012`, half of the interval; nothing where there is none."""
    if value.low is None or value.high is None:
        return ""
    half = scale * (value.high - value.low) / 2
    return f" ± {half:.1f}" if scale == 100 else f" ± {half:.2g}"


def _noise(floor: NoiseFloor) -> str:
    """What base itself answers otherwise when it is asked again."""
    first, second = floor.batch_sizes
    changed = f"{numbers.count(floor.n_answers_changed)} of {counted(floor.n, 'answer')} of base changed"
    return f"{changed}, {counted(floor.n_flips, 'flip')}, asked again in batches of {second} and of {first}"


def _by_chance(source: SourceSection) -> str:
    worst = source.worst_class_by_chance
    if worst is None or len(source.per_class) < _MANY_CLASSES or not source.flips.forgotten:
        return ""
    return f" · the worst falls {numbers.points(worst)} by chance alone"


def _fell(results: Sequence[ClassResult], noun: str) -> str:
    """The classes, or groups, that surely fell, the worst by name."""
    sure = [result for result in results if result.adjusted_p < 0.05]
    fell = sorted((c for c in sure if c.base > c.tuned), key=lambda c: c.tuned - c.base)
    rose = sum(c.base < c.tuned for c in sure)
    rest = len(results) - len(fell) - rose
    small = sum(result.too_small_to_tell for result in results)
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
    if rest > small:
        parts.append(f"{rest - small} within noise" if parts or small else f"all {rest} within noise")
    if small:
        parts.append(f"{small} too small to tell")
    return " · ".join(parts)
