"""Which metric decides: a number for each document, in both logs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from forgetaudit.errors import DataError, UsageError
from forgetaudit.logs.answers import Answer, PerUnit, Score
from forgetaudit.logs.likelihoods import LARGEST
from forgetaudit.logs.pairing import Pair
from forgetaudit.wording import some

__all__ = ["Metric", "SelectedMetric", "choose_metric", "usable_metrics"]

# What most readers mean by the score of a task; of several others none is taken unasked.
_PREFERRED = ("acc", "exact_match")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of every pair. `is_binary`: 0 or 1 for each document on both sides, so that answers flip."""

    name: str
    base: tuple[float | PerUnit, ...]
    tuned: tuple[float | PerUnit, ...]

    @property
    def is_binary(self) -> bool:
        """Right or wrong for each document."""
        return all(value in (0.0, 1.0) for value in (*self.base, *self.tuned))


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedMetric:
    """The metric that decides, the others that can be read, and how it was chosen."""

    metric: Metric
    others: tuple[Metric, ...]
    decision: str


def choose_metric(pairs: Sequence[Pair], names: Sequence[str], wanted: str | None) -> SelectedMetric:
    """`wanted`, else acc, else exact_match, else the only one that is.

    UsageError for a `wanted` that is none, and for several candidates; DataError where no metric is a number.
    """
    usable, reasons = usable_metrics(pairs, names)
    if wanted is not None:
        _check_wanted(wanted, usable, reasons)
        name, why = wanted, "--metric"
    else:
        name, why = _default(usable, reasons)
    others = tuple(metric for other, metric in usable.items() if other != name)
    return SelectedMetric(metric=usable[name], others=others, decision=f"metric {name} ({why})")


def usable_metrics(pairs: Sequence[Pair], names: Sequence[str]) -> tuple[dict[str, Metric], dict[str, str]]:
    """Those that are a finite number for every document in both logs; and why the others are not."""
    usable, reasons = {}, {}
    for name in names:
        base = [pair.base.scores.get(name) for pair in pairs]
        tuned = [pair.tuned.scores.get(name) for pair in pairs]
        reason = _why_not(name, [(pair.base, pair.tuned) for pair in pairs], [*base, *tuned])
        if reason:
            reasons[name] = reason
        else:
            usable[name] = Metric(
                name=name,
                base=tuple(value for value in base if value is not None),
                tuned=tuple(value for value in tuned if value is not None),
            )
    return usable, reasons


def _why_not(name: str, answers: Sequence[tuple[Answer, Answer]], values: Sequence[Score]) -> str | None:
    if name == "bypass":
        return "bypass is no score: the log was made with --predict_only"
    absent = sum(name not in side.scores for pair in answers for side in pair)
    if absent:
        return f"{name} is missing from {absent} lines"
    if any(value is None for value in values):
        return f"{name} is no number for each document: it is computed over the whole set"
    if len({type(value) for value in values}) > 1:
        return f"{name} is a number for some documents only"
    bad = sum(not _is_finite(value) for value in values if value is not None)
    if bad:
        return f"{name} is NaN or infinite on {bad} lines (numbers beyond {LARGEST:g} count as infinite)"
    lengths = [value.n_units for value in values if isinstance(value, PerUnit)]
    if lengths and min(map(math.fsum, (lengths[: len(answers)], lengths[len(answers) :]))) < 1:
        return f"{name} is divided by a length, and the lengths add up to less than 1"
    return None


def _is_finite(value: float | PerUnit) -> bool:
    if isinstance(value, PerUnit):
        return math.isfinite(value.log_likelihood) and math.isfinite(value.n_units)
    return math.isfinite(value)


def _check_wanted(wanted: str, usable: dict[str, Metric], reasons: dict[str, str]) -> None:
    if wanted in usable:
        return
    names = [*usable, *reasons]
    if wanted in reasons:
        raise UsageError(
            f"--metric {wanted}: {reasons[wanted]}",
            hint=f"pass one of {some(list(usable), 8)}" if usable else "run lm-eval with another metric",
        )
    near = get_close_matches(wanted, names, n=1, cutoff=0.4)
    raise UsageError(
        f"--metric {wanted} is not in both logs",
        details=[f"they have {some(names, 8) or 'none'}"],
        hint=f"did you mean {near[0]}?" if near else "pass one of them",
    )


def _default(usable: dict[str, Metric], reasons: dict[str, str]) -> tuple[str, str]:
    others = list(usable)
    for name in _PREFERRED:
        if name in usable:
            rest = [other for other in others if other != name]
            return name, f"also there: {', '.join(rest)}" if rest else "the only one"
    if usable and all(isinstance(metric.base[0], PerUnit) for metric in usable.values()):
        return others[0], f"the same log-likelihoods as {', '.join(others[1:])}" if others[
            1:
        ] else "the only one"
    if len(usable) == 1:
        return others[0], "the only one that is a number for each document" if reasons else "the only one"
    if not usable:
        raise DataError(
            "the logs hold no number for each document",
            details=list(reasons.values()) or ["no metric is in both"],
            hint="run lm-eval with a metric such as acc or exact_match",
        )
    raise UsageError(
        f"the logs hold {len(usable)} metrics, and none is the usual one",
        details=[some(list(usable), 8)],
        hint=f"choose one: --metric {others[0]}",
    )
