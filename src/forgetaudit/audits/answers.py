"""From the sums of one data set to what the report says of answers: accuracy, flips, log loss, classes."""

from collections.abc import Iterator

from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.ledger import BASE, Answers, Ledger, Tally
from forgetaudit.inference.chance import ChanceCheck, check_chance
from forgetaudit.inference.clusters import design_effect, effective_share, grouped_mean, grouped_tango
from forgetaudit.inference.corrections import benjamini_hochberg
from forgetaudit.inference.guessing import correct_for_guessing, worst_by_chance
from forgetaudit.inference.label_map import find_wrong_label_map
from forgetaudit.inference.paired import mcnemar, mean_difference, tango
from forgetaudit.inference.proportions import clopper_pearson
from forgetaudit.inference.sequential import sequential_limits
from forgetaudit.report.behaviour import (
    Accuracy,
    CalibrationPart,
    ClassResult,
    FlipTable,
    Groups,
    Guessing,
    LogLoss,
    McNemarTest,
    RivalSection,
    ScoreSection,
    SoftMeasure,
    SourceSection,
    Unusable,
)
from forgetaudit.report.parts import Absent, Estimate, Measured, estimate_from
from forgetaudit.stats.flips import FlipCounts
from forgetaudit.stats.means import MeanSums
from forgetaudit.values import Interval, NotMeasured
from forgetaudit.wording import counted

__all__ = ["find_unusable", "rival_section", "score_sections", "source_section"]

# Intervals for reading are two-sided at this confidence; the gate has its own, one-sided.
SHOWN_CONFIDENCE = 0.95
MOST_GROUPS_SHOWN = 200
LEAST_GUESS = 0.01

# What the sums of soft measures are counted in; overlaps and shares have none.
UNITS = {"kl": "nats"}


def source_section(
    name: str,
    tally: Tally,
    data: OpenedData,
    *,
    known: bool,
    unusable: Unusable | None,
    guess: float = 0.0,
    grouped_by: str | None = None,
    sequential: bool = False,
) -> SourceSection:
    """What one tuned variant answered, beside base. `known` where the bytes prove that nothing can have changed.

    `guess` is the share that guessing gets right, `grouped_by` names the column of groups; `sequential` where the run
    was looked at after every batch.
    """
    flips, groups = tally.flips.read(), _groups(tally, grouped_by)
    return SourceSection(
        data=data.plan.name,
        variant=name,
        n=flips.n,
        unit=getattr(data.task, "unit", "example"),
        groups=groups,
        task=data.task_name,
        metric=getattr(data.task, "metric", "accuracy") if data.labelled else "agreement",
        unlabelled=not data.labelled,
        accuracy=Accuracy(
            base=flips.n_right_base / flips.n,
            tuned=flips.n_right_tuned / flips.n,
            drop=_identical() if known else estimate_from(_drop(flips, groups, sequential=sequential)),
        ),
        flips=FlipTable(forgotten=flips.forgotten, gained=flips.gained, kept=flips.kept, missed=flips.missed),
        mcnemar=_mcnemar(flips, groups),
        disagreement=_identical() if known else _disagreement(tally, flips.n, groups),
        nll=_log_loss(tally, known=known),
        soft=tuple(_soft(tally)),
        calibration=_calibration(tally) if data.labelled else Absent(not_measured="the data have no labels"),
        known=known,
        unusable=unusable,
        nonfinite=dict(tally.n_without_answer),
        per_class=tuple(_per_class(flips, data.task.class_names)),
        worst_class_by_chance=_worst_by_chance(flips),
        per_group=tuple(_per_group(tally)) if grouped_by else (),
        guessing=_guessing(flips, guess) if data.labelled else None,
        sequential=sequential,
    )


def score_sections(name: str, tally: Tally, data: OpenedData) -> Iterator[ScoreSection]:
    """Further scores that the task gives to every answer, each under its own name."""
    grouped = tally.means() if tally.grouped else {}
    for score, sums in tally.scores.items():
        means = sums.paired.read()
        if isinstance(means, NotMeasured):
            continue
        increase: Measured
        if tally.grouped:
            increase = estimate_from(_grouped_mean(grouped[f"score {score}"]))
        elif sums.binary:
            flips = sums.flips.read()
            found = tango(flips.gained, flips.forgotten, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
            increase = estimate_from(found)
        else:
            increase = _paired_mean(means.n, means.increase, means.m2)
        yield ScoreSection(
            data=data.plan.name,
            variant=name,
            metric=score,
            unit=None,
            n=means.n,
            base=means.base,
            tuned=means.tuned,
            increase=increase,
        )


def rival_section(first: str, second: str, tally: Tally, data: OpenedData) -> RivalSection:
    """Flips from first to second: what base is to tuned, first is to second here."""
    flips, groups = tally.flips.read(), _groups(tally)
    return RivalSection(
        data=data.plan.name,
        first=first,
        second=second,
        n=flips.n,
        only_first_right=flips.forgotten,
        only_second_right=flips.gained,
        advantage_of_first=estimate_from(_drop(flips, groups)),
        mcnemar=_mcnemar(flips, groups),
    )


def find_unusable(ledger: Ledger, data: OpenedData) -> Unusable | None:
    """Why base's behaviour on these data cannot show forgetting, if so."""
    answers = ledger.answers
    if answers.confusion is not None:
        moved = find_wrong_label_map(*answers.confusion.read().matrices())
        if moved is not None:
            # A network may have more scores than the data have names.
            names = dict(enumerate(data.task.class_names or ()))
            pairs = [f"{names.get(a, a)} as {names.get(b, b)}" for a, b in moved.moved]
            more = f", … {len(pairs) - 3} more" if len(pairs) > 3 else ""
            return Unusable(
                id="labels-do-not-fit",
                reason=f"the labels of {data.plan.name} are not base's classes: base reads {', '.join(pairs[:3])}"
                f"{more} ({moved.n_right_as_moved} of {moved.n} right so, {moved.n_right_as_read} as labelled)",
            )
    chance = _chance(answers, next(iter(ledger.tallies.values())))
    if chance.at_chance:
        return Unusable(
            id="base-at-chance",
            reason=f"base is at chance on {data.plan.name}: {100 * chance.accuracy:.1f} % right, "
            f"guessing gets {100 * chance.chance:.1f} %",
        )
    return None


def _chance(answers: Answers, tally: Tally) -> ChanceCheck:
    """Base beside guessing; of questions in groups as many count as are independent, and at least one a group."""
    share, n = 1.0, answers.n
    if tally.grouped:
        right = tally.means()["right"]
        effect = _effect(right, right.mean * (1 - right.mean))
        share = effective_share(effect, right.n_groups, confidence=SHOWN_CONFIDENCE, sides=1)
        share = max(share, 1 / n)
    return check_chance(
        answers.n_right * share, n * share, 1 / answers.guess, answers.majority_share, SHOWN_CONFIDENCE
    )


def _groups(tally: Tally, by: str | None = None) -> Groups | None:
    if not tally.grouped:
        return None
    means = tally.means()
    flip, changed = means["flip"], means["changed"]
    flips = tally.flips.read()
    drop = (flips.forgotten - flips.gained) / flips.n
    alone = (flips.forgotten + flips.gained) / flips.n - drop**2
    return Groups(
        n=flip.n_groups,
        by=by,
        drop_effect=_effect(flip, alone),
        disagreement_effect=_effect(changed, changed.mean * (1 - changed.mean)),
    )


def _effect(sums: MeanSums, alone: float) -> float:
    return design_effect(alone, sums.scatter, sums.n, sums.n_groups, n_touched=sums.n_touched)


def _drop(flips: FlipCounts, groups: Groups | None, *, sequential: bool = False) -> Interval:
    if sequential:
        return sequential_limits(flips.forgotten, flips.gained, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
    if groups is None:
        return tango(flips.forgotten, flips.gained, flips.n, confidence=SHOWN_CONFIDENCE, sides=2)
    return grouped_tango(
        flips.forgotten,
        flips.gained,
        flips.n,
        effect=groups.drop_effect,
        n_groups=groups.n,
        confidence=SHOWN_CONFIDENCE,
        sides=2,
    )


def _mcnemar(flips: FlipCounts, groups: Groups | None) -> McNemarTest | Absent:
    if groups is not None:
        return Absent(not_measured=f"the test is for independent questions; these are {groups.n:,} groups")
    test = mcnemar(flips.forgotten, flips.gained)
    return McNemarTest(exact=test.exact, mid_p=test.mid_p)


def _disagreement(tally: Tally, n: int, groups: Groups | None) -> Measured:
    """With exact binomial limits; over groups at the effective number (Korn and Graubard 1998)."""
    share = 1.0
    if groups is not None:
        share = effective_share(groups.disagreement_effect, groups.n, confidence=SHOWN_CONFIDENCE, sides=2)
    if n * share < 1:
        return Absent(not_measured="one group of questions says nothing about others")
    found = clopper_pearson(tally.n_changed * share, n * share, confidence=SHOWN_CONFIDENCE, sides=2)
    return estimate_from(found)


def _identical() -> Estimate:
    return Estimate(kind="exact", estimate=0.0, method="bit-identical")


def _log_loss(tally: Tally, *, known: bool) -> LogLoss:
    means = tally.log_loss.read()
    bad = {side: n for side, n in tally.n_without_answer.items() if n}
    if isinstance(means, NotMeasured) or bad or means.n < tally.flips.read().n:
        said = ", ".join(f"{counted(n, 'answer')} in {side}" for side, n in bad.items())
        absent = Absent(
            not_measured=f"outputs are NaN or infinite for {said}" if bad else "the task gives none"
        )
        return LogLoss(base=absent, tuned=absent, increase=absent)
    if known:
        increase: Measured = _identical()
    elif tally.grouped:
        increase = estimate_from(_grouped_mean(tally.means()["increase"]))
    else:
        increase = _paired_mean(means.n, means.increase, means.m2)
    return LogLoss(base=means.base, tuned=means.tuned, increase=increase)


def _soft(tally: Tally) -> Iterator[SoftMeasure]:
    bookkeeping = {"flip", "flips", "changed", "increase", "right"} if tally.grouped else set()
    for name, sums in tally.means().items():
        if name not in bookkeeping and not name.startswith("score "):
            value = _grouped_mean(sums) if tally.grouped else _mean(sums)
            yield SoftMeasure(measure=name, unit=UNITS.get(name), value=estimate_from(value, "diagnostic"))


def _guessing(flips: FlipCounts, guess: float) -> Guessing | None:
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


def _worst_by_chance(flips: FlipCounts) -> float | None:
    sizes = [counts.n for counts in flips.per_class if counts.n]
    if len(sizes) < 2:
        return None
    return worst_by_chance(sizes, (flips.forgotten + flips.gained) / flips.n)


def _calibration(tally: Tally) -> CalibrationPart | Absent:
    base, tuned = (tally.calibration[side].read() for side in (BASE, "tuned"))
    if base is None or tuned is None:
        return Absent(not_measured="the task gives no confidence")
    return CalibrationPart(
        base_confidence=base.confidence,
        tuned_confidence=tuned.confidence,
        base_error=base.error,
        tuned_error=tuned.error,
    )


def _grouped_mean(sums: MeanSums) -> Interval | NotMeasured:
    return grouped_mean(sums.mean, sums.scatter, sums.n, sums.n_groups, confidence=SHOWN_CONFIDENCE, sides=2)


def _mean(sums: MeanSums) -> Interval | NotMeasured:
    return mean_difference(sums.n, sums.mean, sums.scatter, confidence=SHOWN_CONFIDENCE, sides=2)


def _paired_mean(n: int, mean: float, m2: float) -> Measured:
    return estimate_from(mean_difference(n, mean, m2, confidence=SHOWN_CONFIDENCE, sides=2))


def _per_class(flips: FlipCounts, names: tuple[str, ...] | None) -> Iterator[ClassResult]:
    """Every class that the data hold, with mid-P adjusted over them (Benjamini–Hochberg)."""
    yield from _results(
        [
            (label, names[label] if names and label < len(names) else str(label), counts)
            for label, counts in enumerate(flips.per_class)
            if counts.n
        ]
    )


def _per_group(tally: Tally) -> Iterator[ClassResult]:
    """Every group, where there are few enough to read."""
    groups = tally.group_flips()
    if len(groups) <= MOST_GROUPS_SHOWN:
        yield from _results(
            [(number, name, flips) for number, (name, flips) in enumerate(sorted(groups.items()))]
        )


def _results(present: list[tuple[int, str, FlipCounts]]) -> Iterator[ClassResult]:
    adjusted = benjamini_hochberg([mcnemar(c.forgotten, c.gained).mid_p for *_, c in present])
    for (label, name, counts), p in zip(present, adjusted, strict=True):
        yield ClassResult(
            label=label,
            name=name,
            n=counts.n,
            base=counts.n_right_base / counts.n,
            tuned=counts.n_right_tuned / counts.n,
            drop=estimate_from(
                tango(counts.forgotten, counts.gained, counts.n, confidence=SHOWN_CONFIDENCE, sides=2)
            ),
            adjusted_p=p,
            flips=FlipTable(
                forgotten=counts.forgotten, gained=counts.gained, kept=counts.kept, missed=counts.missed
            ),
        )
