"""Paired answers from two logs to the report's numbers: flips and log loss where right or wrong, else a difference."""

import math
from collections import Counter
from collections.abc import Sequence

from forgetaudit.inference.chance import check_chance
from forgetaudit.inference.means import mean_difference
from forgetaudit.inference.paired import mcnemar, tango
from forgetaudit.logs.answers import Kind, PerUnit
from forgetaudit.logs.metrics import Metric
from forgetaudit.logs.pairing import Pair
from forgetaudit.report.behaviour import (
    Accuracy,
    FlipTable,
    LogLoss,
    McNemarTest,
    ScoreSection,
    SourceSection,
    Unusable,
)
from forgetaudit.report.parts import Absent, Measured, estimate_from

__all__ = ["kind_of", "score_section", "source_section"]

# Intervals for reading are two-sided at this confidence; the gate has its own, one-sided.
SHOWN_CONFIDENCE = 0.95

# Guessing an open answer gets next to nothing.
_OPEN = 10**6
# Beyond so many, targets are answers and no labels.
_MANY_TARGETS = 100

# lm-eval gives these as log-likelihoods in nats, to be divided by units: reported as log loss in these units.
_LOG_LOSSES = {
    "word_perplexity": ("nats/word", 1.0),
    "byte_perplexity": ("nats/byte", 1.0),
    "bits_per_byte": ("bits/byte", math.log(2)),
    "perplexity": ("nats/example", 1.0),
}


def kind_of(pairs: Sequence[Pair]) -> Kind:
    """What most documents asked for."""
    return Counter(pair.base.kind for pair in pairs).most_common(1)[0][0]


def source_section(data: str, pairs: Sequence[Pair], metric: Metric) -> SourceSection:
    """Right or wrong on both sides: flips, drop with Tango's limits, McNemar, log loss, and whether base can do it."""
    sides = Counter(zip(metric.base, metric.tuned, strict=True))
    forgotten, gained, kept = sides[1.0, 0.0], sides[0.0, 1.0], sides[1.0, 1.0]
    n, test = len(pairs), mcnemar(forgotten, gained)
    return SourceSection(
        data=data,
        variant="tuned",
        n=n,
        task=kind_of(pairs).value,
        metric=metric.name,
        accuracy=Accuracy(
            base=(kept + forgotten) / n,
            tuned=(kept + gained) / n,
            drop=estimate_from(tango(forgotten, gained, n, confidence=SHOWN_CONFIDENCE, sides=2)),
        ),
        flips=FlipTable(forgotten=forgotten, gained=gained, kept=kept, missed=n - kept - forgotten - gained),
        mcnemar=McNemarTest(exact=test.exact, mid_p=test.mid_p),
        nll=_log_loss(pairs),
        known=False,
        unusable=_unusable(data, pairs, metric, n_right=kept + forgotten),
        nonfinite=_nonfinite(pairs),
        per_class=(),
    )


def score_section(data: str, metric: Metric) -> ScoreSection:
    """A number for each document: both means, and the paired difference tuned − base with its interval."""
    if metric.is_binary:
        return _share_section(data, metric)
    unit, divisor = _LOG_LOSSES.get(metric.name, (None, 1.0))
    sign = 1.0 if unit is None else -1 / divisor
    base, tuned = ([sign * _amount(value) for value in side] for side in (metric.base, metric.tuned))
    lengths = [_length(value) for value in metric.base]
    total = math.fsum(lengths)
    return ScoreSection(
        data=data,
        variant="tuned",
        metric=metric.name if unit is None else "log loss",
        unit=unit,
        n=len(base),
        base=math.fsum(base) / total,
        tuned=math.fsum(tuned) / total,
        increase=_increase(base, tuned, lengths),
    )


def _share_section(data: str, metric: Metric) -> ScoreSection:
    """Of a metric that is right or wrong but does not decide: shares, with Tango's limits."""
    sides, n = Counter(zip(metric.base, metric.tuned, strict=True)), len(metric.base)
    forgotten, gained, kept = sides[1.0, 0.0], sides[0.0, 1.0], sides[1.0, 1.0]
    return ScoreSection(
        data=data,
        variant="tuned",
        metric=metric.name,
        unit=None,
        n=n,
        base=(kept + forgotten) / n,
        tuned=(kept + gained) / n,
        increase=estimate_from(tango(gained, forgotten, n, confidence=SHOWN_CONFIDENCE, sides=2)),
    )


def _amount(value: float | PerUnit) -> float:
    return value.log_likelihood if isinstance(value, PerUnit) else value


def _length(value: float | PerUnit) -> float:
    return value.n_units if isinstance(value, PerUnit) else 1.0


def _increase(base: Sequence[float], tuned: Sequence[float], lengths: Sequence[float]) -> Measured:
    """Difference of two ratios over the same lengths; for lengths of 1 the plain paired mean.

    The spread is that of what each document adds beyond its length's share (Cochran, Sampling Techniques, 1977, 6.4).
    """
    n, total = len(base), math.fsum(lengths)
    differences = [after - before for before, after in zip(base, tuned, strict=True)]
    mean = math.fsum(differences) / total
    beyond = [d - mean * length for d, length in zip(differences, lengths, strict=True)]
    scale = n / total
    m2 = math.fsum((scale * rest) ** 2 for rest in beyond)
    return estimate_from(mean_difference(n, mean, m2, confidence=SHOWN_CONFIDENCE, sides=2))


def _log_loss(pairs: Sequence[Pair]) -> LogLoss:
    """Of the right answer's text, where the logs hold its log-likelihood for every document."""
    base, tuned = (
        [side.log_loss for side in sides] for sides in zip(*((p.base, p.tuned) for p in pairs), strict=True)
    )
    before = [value for value in base if value is not None]
    after = [value for value in tuned if value is not None]
    reason = _why_no_log_loss(pairs, len(before), len(after), [*before, *after])
    if reason:
        absent = Absent(not_measured=reason)
        return LogLoss(base=absent, tuned=absent, increase=absent)
    n = len(pairs)
    rises = [one - other for one, other in zip(after, before, strict=True)]
    return LogLoss(
        base=math.fsum(before) / n,
        tuned=math.fsum(after) / n,
        increase=_increase(before, after, [1.0] * n),
        largest_rise=max(0.0, *rises),
        largest_gain=max(0.0, *(-rise for rise in rises)),
    )


def _why_no_log_loss(pairs: Sequence[Pair], n_base: int, n_tuned: int, values: Sequence[float]) -> str | None:
    n = len(pairs)
    if kind_of(pairs) is Kind.GENERATION:
        return "generated answers are logged without their log-likelihood"
    if min(n_base, n_tuned) < n:
        return f"the logs do not say which choice is right for {n - min(n_base, n_tuned)} of {n} examples"
    if not all(math.isfinite(value) for value in values):
        bad = _nonfinite(pairs)
        said = ", ".join(f"{count} examples in {side}" for side, count in bad.items() if count)
        return f"log-likelihoods are NaN or infinite for {said}"
    return None


def _nonfinite(pairs: Sequence[Pair]) -> dict[str, int]:
    return {
        "base": sum(not _is_finite(pair.base.log_loss) for pair in pairs),
        "tuned": sum(not _is_finite(pair.tuned.log_loss) for pair in pairs),
    }


def _is_finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def _unusable(data: str, pairs: Sequence[Pair], metric: Metric, n_right: int) -> Unusable | None:
    """Base at chance, or unable to answer: what it cannot do it cannot forget.

    Guessing is 1/k where a score is of the choices; the commonest target counts where a score is of the target. Nobody
    is refused whose mean recall over the targets is surely above guessing.
    """
    of_choices = metric.name.startswith("acc") and kind_of(pairs) is Kind.MULTIPLE_CHOICE
    of_target = metric.name.startswith(("acc", "exact_match"))
    check = check_chance(
        n_right,
        len(pairs),
        _n_options(pairs) if of_choices else _OPEN,
        _commonest_target(pairs) if of_target else 0.0,
        SHOWN_CONFIDENCE,
        _recalls(pairs, metric) if of_target else (),
    )
    if not check.at_chance:
        return None
    right = f"{100 * check.accuracy:.1f} % right"
    if check.chance > 0.01:
        reason = f"base is at chance on {data}: {right}, guessing gets {100 * check.chance:.1f} %"
    else:
        reason = f"base cannot do {data}: {right}, too few for a loss to show"
    return Unusable(id="base-at-chance", reason=reason)


def _n_options(pairs: Sequence[Pair]) -> int:
    """The number of choices; where it differs between documents, the one of the same chance."""
    shares = [1 / pair.base.n_options for pair in pairs if pair.base.n_options]
    return max(2, round(len(shares) / math.fsum(shares))) if shares else _OPEN


def _recalls(pairs: Sequence[Pair], metric: Metric) -> list[tuple[float, float]]:
    """By target how many base has right, and how many there are; nothing where the documents have none, or too many."""
    targets = [pair.base.target_hash for pair in pairs]
    counts = Counter(targets)
    if None in counts or len(counts) > _MANY_TARGETS:
        return []
    right = Counter(target for target, value in zip(targets, metric.base, strict=True) if value == 1)
    return [(right[target], n) for target, n in counts.items()]


def _commonest_target(pairs: Sequence[Pair]) -> float:
    targets = Counter(pair.base.target_hash for pair in pairs if pair.base.target_hash)
    return max(targets.values(), default=0) / len(pairs)
