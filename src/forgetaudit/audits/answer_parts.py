"""From the sums of one tuned variant to each number that a report says of its answers, with its interval or test."""

from collections.abc import Iterator

from forgetaudit.audits.paired_sums import BASE, VariantSums
from forgetaudit.inference.clusters import design_effect, effective_share, grouped_mean, grouped_tango
from forgetaudit.inference.guessing import correct_for_guessing
from forgetaudit.inference.means import mean_difference
from forgetaudit.inference.paired import mcnemar, tango
from forgetaudit.inference.proportions import clopper_pearson
from forgetaudit.inference.sequential import sequential_limits
from forgetaudit.inference.strata import Stratum, stratified_tango
from forgetaudit.report.behaviour import (
    CalibrationPart,
    Groups,
    Guessing,
    LogLoss,
    McNemarTest,
    SoftMeasure,
)
from forgetaudit.report.parts import Absent, Estimate, Measured, estimate_from
from forgetaudit.stats.flips import FlipCounts
from forgetaudit.stats.means import MeanSums
from forgetaudit.stats.paired import PairedDifference
from forgetaudit.values import Interval, NotMeasured
from forgetaudit.wording import counted

__all__ = [
    "SHOWN_CONFIDENCE",
    "calibration_of",
    "disagreement_of",
    "drop_of",
    "effect_of",
    "groups_of",
    "guessing_of",
    "identical",
    "increase_of",
    "log_loss_of",
    "mcnemar_of",
    "soft_measures_of",
    "strata_of",
]

# Intervals for reading are two-sided at this confidence; the gate has its own, one-sided.
SHOWN_CONFIDENCE = 0.95
LEAST_GUESS = 0.01

# What the sums of soft measures are counted in; overlaps and shares have none.
UNITS = {"kl": "nats"}


def groups_of(tally: VariantSums, by: str | None = None) -> Groups | None:
    """How many groups the questions come in, and what that costs; None where each stands for itself."""
    if not tally.grouped:
        return None
    means = tally.means()
    flip, changed = means["flip"], means["changed"]
    flips = tally.flips.read()
    drop = (flips.forgotten - flips.gained) / flips.n
    alone = (flips.forgotten + flips.gained) / flips.n - drop**2
    return Groups(
        n=flip.groups.n_groups,
        effective=flip.groups.effective,
        degrees=flip.groups.degrees,
        by=by,
        drop_effect=effect_of(flip, alone),
        disagreement_effect=effect_of(changed, changed.mean * (1 - changed.mean)),
    )


def effect_of(sums: MeanSums, alone: float) -> float:
    """By how much groups widen what has the variance `alone` without them."""
    return design_effect(alone, sums.variance, sums.n, sums.groups, touched=sums.touched)


def strata_of(tally: VariantSums) -> tuple[Stratum, ...]:
    """The counts of every stratum, in order of its name; empty where there are none."""
    counts = (tally.strata[name].read() for name in sorted(tally.strata))
    return tuple((count.forgotten, count.gained, count.n) for count in counts)


def drop_of(
    flips: FlipCounts, groups: Groups | None, strata: tuple[Stratum, ...] = (), *, sequential: bool = False
) -> Interval:
    """Of accuracy, from base to tuned; with limits that allow for looking after every batch where `sequential`."""
    if strata:
        return stratified_tango(strata, confidence=SHOWN_CONFIDENCE, sides=2)
    if sequential:
        return sequential_limits(flips.forgotten, flips.gained, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
    if groups is None:
        return tango(flips.forgotten, flips.gained, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
    return grouped_tango(
        flips.forgotten,
        flips.gained,
        flips.n,
        effect=groups.drop_effect,
        degrees=groups.degrees,
        confidence=SHOWN_CONFIDENCE,
        sides=2,
    )


def mcnemar_of(flips: FlipCounts, groups: Groups | None) -> McNemarTest | Absent:
    """Whether more were forgotten than gained."""
    if groups is not None:
        return Absent(not_measured=f"the test is for independent questions; these are {groups.n:,} groups")
    test = mcnemar(flips.forgotten, flips.gained)
    return McNemarTest(exact=test.exact, mid_p=test.mid_p)


def disagreement_of(tally: VariantSums, n: int, groups: Groups | None) -> Measured:
    """With exact binomial limits; over groups at the effective number (Korn and Graubard 1998)."""
    share = 1.0
    if groups is not None:
        share = effective_share(
            groups.disagreement_effect, groups.degrees, confidence=SHOWN_CONFIDENCE, sides=2
        )
    if n * share < 1:
        return Absent(not_measured="one group of questions says nothing about others")
    found = clopper_pearson(tally.n_changed * share, n * share, confidence=SHOWN_CONFIDENCE, sides=2)
    return estimate_from(found)


def identical() -> Estimate:
    """What the bytes prove not to have changed."""
    return Estimate(kind="exact", estimate=0.0, method="bit-identical")


def log_loss_of(tally: VariantSums, *, known: bool) -> LogLoss:
    """Of base and tuned, where every answer has one."""
    means = tally.log_loss.read()
    bad = {side: n for side, n in tally.n_without_answer.items() if n}
    if isinstance(means, NotMeasured) or bad or means.n < tally.flips.read().n:
        said = ", ".join(f"{counted(n, 'answer')} in {side}" for side, n in bad.items())
        absent = Absent(
            not_measured=f"outputs are NaN or infinite for {said}" if bad else "the task gives none"
        )
        return LogLoss(base=absent, tuned=absent, increase=absent)
    if known:
        increase: Measured = identical()
    elif tally.grouped:
        increase = estimate_from(_mean_over_groups(tally.means()["increase"]))
    else:
        increase = _paired_increase(tally.log_loss)
    extremes = tally.means()["increase"] if tally.grouped else means
    return LogLoss(
        base=means.base,
        tuned=means.tuned,
        increase=increase,
        largest_rise=max(0.0, extremes.most),
        largest_gain=max(0.0, -extremes.least),
    )


def increase_of(score: str, tally: VariantSums) -> Measured:
    """How much a further score of the task rose."""
    if tally.grouped:
        return estimate_from(_mean_over_groups(tally.means()[f"score {score}"]))
    sums = tally.scores[score]
    if sums.binary:
        flips = sums.flips.read()
        found = tango(flips.gained, flips.forgotten, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
        return estimate_from(found)
    return _paired_increase(sums.paired)


def soft_measures_of(tally: VariantSums) -> Iterator[SoftMeasure]:
    """What changed in ways that right and wrong do not tell."""
    bookkeeping = {"flip", "flips", "changed", "increase", "right"} if tally.grouped else set()
    for name, sums in tally.means().items():
        if name not in bookkeeping and not name.startswith("score "):
            value = _mean_over_groups(sums)
            yield SoftMeasure(measure=name, unit=UNITS.get(name), value=estimate_from(value, "diagnostic"))


def guessing_of(flips: FlipCounts, guess: float) -> Guessing | None:
    """Of a few options; among thousands, guessing explains nothing."""
    if not LEAST_GUESS <= guess < 1:
        return None
    found = correct_for_guessing(flips.forgotten, flips.gained, flips.n_right_base, flips.n, guess)
    return Guessing(
        guess=guess,
        net_drop=found.net_drop,
        forgotten_low=found.forgotten_low,
        forgotten_high=found.forgotten_high,
    )


def calibration_of(tally: VariantSums) -> CalibrationPart | Absent:
    """How sure base and tuned were, and by how much that was wrong."""
    base, tuned = (tally.calibration[side].read() for side in (BASE, "tuned"))
    if base is None or tuned is None:
        return Absent(not_measured="the task gives no confidence")
    return CalibrationPart(
        base_confidence=base.confidence,
        tuned_confidence=tuned.confidence,
        base_error=base.error,
        tuned_error=tuned.error,
    )


def _mean_over_groups(sums: MeanSums) -> Interval | NotMeasured:
    return grouped_mean(sums.mean, sums.variance, sums.groups, confidence=SHOWN_CONFIDENCE, sides=2)


def _paired_increase(sums: PairedDifference) -> Measured:
    means = sums.read()
    if isinstance(means, NotMeasured):
        return estimate_from(means)
    return estimate_from(
        mean_difference(means.n, means.increase, means.m2, confidence=SHOWN_CONFIDENCE, sides=2)
    )
