"""The verdict in one line: what happened, how surely, and against which limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forgetaudit.renderers import numbers
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.locate_words import located
from forgetaudit.renderers.repair_words import repair_headline
from forgetaudit.report.behaviour import FeatureSection, ScoreSection, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import RuleResult
from forgetaudit.report.weights import WeightSection, WeightTotal

__all__ = ["Subject", "headlines", "rule_words", "rules_of", "score_words", "subjects", "verdict_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One tuned variant on one data set, or its weights alone, or its scores in a log."""

    variant: str
    weights: WeightSection | None
    source: SourceSection | None
    features: FeatureSection | None
    scores: tuple[ScoreSection, ...] = ()


def subjects(report: AuditReport) -> Iterator[Subject]:
    """Everything that has a verdict of its own, in the report's order."""
    source = () if isinstance(report.source, Absent) else report.source
    features = () if isinstance(report.features, Absent) else report.features
    weights = {} if isinstance(report.weights, Absent) else {w.variant: w for w in report.weights}
    for name in (variant.name for variant in report.variants[1:]):
        mine: list[SourceSection | None] = [s for s in source if s.variant == name]
        for section in mine or [None]:
            drift = [f for f in features if f.variant == name and section and f.data == section.data]
            yield Subject(
                variant=name,
                weights=weights.get(name),
                source=section,
                features=drift[0] if drift else None,
                scores=tuple(
                    score
                    for score in report.scores
                    if score.variant == name and (section is None or score.data == section.data)
                ),
            )


def headlines(report: AuditReport) -> list[str]:
    """The verdict in one line, named and one a subject where there are several."""
    if report.repair is not None:
        return [f"{'REPAIRED' if report.repair.met else 'NOT REPAIRED'}  {repair_headline(report)}"]
    if report.locate:
        return located(report)
    lines = [(subject, verdict_line(report, subject)) for subject in subjects(report)]
    names = [f"{subject.variant}: " if len(lines) > 1 else "" for subject, _ in lines]
    words = ["".join(text for text, _ in line) for _, line in lines]
    return [name + line for name, line in zip(names, words, strict=True)]


def verdict_line(report: AuditReport, subject: Subject) -> Line:
    """The word, coloured, and the sentence behind it."""
    mine = rules_of(report, subject)
    outcome = _worst(subject, mine)
    words = {
        "fail": ("FAIL", "bad"),
        "pass": ("PASS", "good"),
        "inconclusive": ("INCONCLUSIVE", "warn"),
        "refused": ("REFUSED", "bad"),
        "not-judged": ("NOT JUDGED", "warn"),
    }
    word, style = words[outcome]
    return [(word, style), ("  " + _sentence(subject, mine, outcome), "")]


def rules_of(report: AuditReport, subject: Subject) -> list[RuleResult]:
    """The rules that were judged for this subject."""
    data = subject.source.data if subject.source else None
    return [r for r in report.verdict.rules if r.variant == subject.variant and r.data in (None, data)]


def _worst(subject: Subject, mine: Sequence[RuleResult]) -> str:
    if subject.source is not None and subject.source.unusable:
        return "refused"
    # Rules at level warn are told, and change nothing.
    outcomes = {rule.outcome for rule in mine if rule.level == "fail"}
    for outcome in ("fail", "inconclusive"):
        if outcome in outcomes:
            return outcome
    return "pass" if mine else "not-judged"


def _sentence(subject: Subject, mine: Sequence[RuleResult], outcome: str) -> str:
    source = subject.source
    broken = next((rule for rule in mine if rule.outcome == "fail"), None)
    if source is None and subject.weights is not None:
        said = f"{_broken_words(broken)}; " if broken is not None else ""
        return f"{said}only the weights were compared; {_moved(subject.weights)}"
    if source is None:
        return score_words(subject.scores[0]) if subject.scores else "nothing was measured"
    if source.unusable:
        return source.unusable.reason
    judged = next((rule for rule in mine if rule.rule == "accuracy"), None)
    if broken is not None and broken.rule != "accuracy":
        return f"{_broken_words(broken)}; {_change(source)}"
    return _change(source) + _bound(judged, outcome, "examples" if source.unit != "query" else "queries")


def _broken_words(rule: RuleResult) -> str:
    # The names of tensors stand further down.
    return rule_words(rule) if rule.rule != "frozen" else f"frozen: {rule.reason.partition(':')[0]}"


def _change(source: SourceSection) -> str:
    if source.known:
        return "source accuracy is exactly unchanged: tuned is base, bit for bit"
    drop = source.accuracy.base - source.accuracy.tuned
    if source.unlabelled:
        return f"without labels: {_changed(source)}"
    if source.flips.forgotten == source.flips.gained:
        return "source accuracy is unchanged"
    return f"source accuracy {'fell' if drop > 0 else 'rose'} {numbers.points(drop)} pt"


def _changed(source: SourceSection) -> str:
    """`3.1 % of the answers changed`; none, where that is so."""
    if not source.flips.forgotten:
        return "no answer changed"
    return f"{numbers.percent(source.flips.forgotten / source.n)} of the answers changed"


def _bound(rule: RuleResult | None, outcome: str, what: str) -> str:
    if rule is None or rule.limit is None:
        return "; no limit given" if outcome == "not-judged" else ""
    limit = f"limit {100 * rule.limit:.4g} pt"
    if rule.limits is None:
        return f"; {limit}"
    warned = ", exceeded: a warning" if rule.outcome == "warned" else ""
    gained = rule.value is not None and rule.value < 0
    if outcome == "fail" or warned:
        side = f", at least {numbers.points(max(rule.limits.low, 0.0))}"
    elif gained and rule.limits.high > 0:
        side = f", a loss of at most {numbers.points(rule.limits.high)}"
    else:
        side = f", at most {numbers.points(max(rule.limits.high, 0.0))}" if rule.limits.high > 0 else ""
    more = f"; about {numbers.count(rule.further_examples)} more {what}" if rule.further_examples else ""
    confidence = f" (one-sided {100 * rule.limits.confidence:g} %)"
    return f"{side}{confidence if side else ''}; {limit}{warned}{more}"


def score_words(score: ScoreSection) -> str:
    """A score that is not right or wrong, as in `f1 fell from 0.612 to 0.561`; surely, or within noise."""
    base, tuned, change = numbers.unit(score.base), numbers.unit(score.tuned), score.increase
    unit = f" {score.unit}" if score.unit else ""
    if score.base == score.tuned:
        return f"{score.metric} is unchanged at {base}{unit}"
    said = f"{score.metric} {'fell' if score.tuned < score.base else 'rose'} from {base} to {tuned}{unit}"
    if isinstance(change, Absent) or change.low is None or change.high is None:
        return said
    return said if change.low > 0 or change.high < 0 else f"{said}, within noise"


def _moved(weights: WeightSection) -> str:
    if weights.identical:
        return "they are bit-identical"
    if isinstance(weights.total.relative, Absent):
        return weights.total.relative.not_measured
    return f"they moved {numbers.unit(weights.total.relative)} of ‖θ₀‖{_of_what(weights.total)}"


def _of_what(total: WeightTotal) -> str:
    """Nothing where all was compared; else ` in 10 of 11 tensors, 98.2 % of base's elements`."""
    if not total.not_compared:
        return ""
    n = total.n_tensors - len(total.not_compared)
    share = total.compared_share
    of_base = "" if isinstance(share, Absent) else f", {numbers.percent(share)} of base's elements"
    return f" in {n:,} of {total.n_tensors:,} tensors{of_base}"


def rule_words(rule: RuleResult) -> str:
    """A rule with its value and limit, as in `cka/block2 0.710 < 0.8`."""
    if rule.value is None or rule.rule == "frozen" or rule.limit is None or rule.outcome == "inconclusive":
        return f"{rule.rule}: {rule.reason}"
    show = numbers.unit
    if rule.rule.startswith("cka"):
        return f"{rule.rule} {show(rule.value)} {'<' if rule.value < rule.limit else '≥'} {rule.limit:g}"
    if rule.rule.startswith("distance"):
        return f"{rule.rule} {show(rule.value)} {'>' if rule.value > rule.limit else '≤'} {rule.limit:g}"
    return f"{rule.rule}: {rule.reason}"
