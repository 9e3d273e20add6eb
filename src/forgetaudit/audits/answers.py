"""What the report says of the answers on one data set: a section for each tuned variant, unless base is unusable."""

from collections import Counter
from collections.abc import Iterator

from forgetaudit.audits.answer_parts import (
    SHOWN_CONFIDENCE,
    calibration_of,
    disagreement_of,
    drop_of,
    effect_of,
    groups_of,
    guessing_of,
    identical,
    increase_of,
    log_loss_of,
    mcnemar_of,
    soft_measures_of,
    strata_of,
)
from forgetaudit.audits.class_answers import (
    class_results,
    group_results,
    stratum_results,
    worst_class_by_chance,
)
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.paired_sums import Answers, EvaluationSums, VariantSums
from forgetaudit.inference.chance import ChanceCheck, check_chance
from forgetaudit.inference.clusters import effective_share
from forgetaudit.inference.label_map import find_wrong_label_map
from forgetaudit.report.behaviour import (
    Accuracy,
    FlipTable,
    RivalSection,
    ScoreSection,
    SourceSection,
    Unusable,
)
from forgetaudit.report.parts import Absent, estimate_from
from forgetaudit.values import NotMeasured

__all__ = ["find_unusable", "rival_section", "score_sections", "source_section"]


def source_section(
    name: str,
    tally: VariantSums,
    data: OpenedData,
    *,
    known: bool,
    unusable: Unusable | None,
    guess: float = 0.0,
    grouped_by: str | None = None,
    strata: str | None = None,
    sequential: bool = False,
) -> SourceSection:
    """What one tuned variant answered, beside base. `known` where the bytes prove that nothing can have changed.

    `guess` is the share that guessing gets right, `grouped_by` names the column of groups, `strata` that of fixed ones;
    `sequential` where the run was looked at after every batch.
    """
    flips, groups = tally.flips.read(), groups_of(tally, grouped_by)
    each = strata_of(tally)
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
            drop=identical() if known else estimate_from(drop_of(flips, groups, each, sequential=sequential)),
        ),
        flips=FlipTable(forgotten=flips.forgotten, gained=flips.gained, kept=flips.kept, missed=flips.missed),
        mcnemar=mcnemar_of(flips, groups),
        disagreement=identical() if known else disagreement_of(tally, flips.n, groups),
        nll=log_loss_of(tally, known=known),
        soft=tuple(soft_measures_of(tally)),
        calibration=calibration_of(tally)
        if data.labelled
        else Absent(not_measured="the data have no labels"),
        known=known,
        unusable=unusable,
        nonfinite=dict(tally.n_without_answer),
        per_class=tuple(class_results(flips, data.task.class_names)),
        worst_class_by_chance=worst_class_by_chance(flips),
        per_group=tuple(group_results(tally)) if grouped_by else (),
        strata=strata,
        per_stratum=tuple(stratum_results(tally)),
        guessing=guessing_of(flips, guess) if data.labelled else None,
        sequential=sequential,
    )


def score_sections(name: str, tally: VariantSums, data: OpenedData) -> Iterator[ScoreSection]:
    """Further scores that the task gives to every answer, each under its own name."""
    for score, sums in tally.scores.items():
        means = sums.paired.read()
        if isinstance(means, NotMeasured):
            continue
        yield ScoreSection(
            data=data.plan.name,
            variant=name,
            metric=score,
            unit=None,
            n=means.n,
            base=means.base,
            tuned=means.tuned,
            increase=increase_of(score, tally),
        )


def rival_section(first: str, second: str, tally: VariantSums, data: OpenedData) -> RivalSection:
    """Flips from first to second: what base is to tuned, first is to second here."""
    flips, groups = tally.flips.read(), groups_of(tally)
    return RivalSection(
        data=data.plan.name,
        first=first,
        second=second,
        n=flips.n,
        only_first_right=flips.forgotten,
        only_second_right=flips.gained,
        advantage_of_first=estimate_from(drop_of(flips, groups)),
        mcnemar=mcnemar_of(flips, groups),
    )


def find_unusable(ledger: EvaluationSums, data: OpenedData) -> Unusable | None:
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
            f"guessing gets {100 * chance.chance:.1f} %{_in_range(data)}",
        )
    return None


def _in_range(data: OpenedData) -> str:
    """What most often explains a base at chance: numbers that it was not trained on."""
    odd = [gap.what for gap in data.gaps if gap.ident == "input-range"]
    return f"; {odd[0]}" if odd else ""


def _chance(answers: Answers, tally: VariantSums) -> ChanceCheck:
    """Base beside guessing; of questions in groups as many count as are independent, and at least one a group."""
    share, n = 1.0, answers.n
    if tally.grouped:
        right = tally.means()["right"]
        effect = effect_of(right, right.mean * (1 - right.mean))
        share = effective_share(effect, right.groups.degrees, confidence=SHOWN_CONFIDENCE, sides=1)
        share = max(share, 1 / n)
    return check_chance(
        answers.n_right * share,
        n * share,
        1 / answers.guess,
        answers.majority_share,
        SHOWN_CONFIDENCE,
        [(right * share, of_label * share) for right, of_label in _recalls(answers)],
    )


def _recalls(answers: Answers) -> list[tuple[int, int]]:
    """By label of the data how many base got right, and of how many."""
    if answers.confusion is None:
        return []
    right: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for half in answers.confusion.read().halves:
        for label, predicted, count in half:
            total[label] += count
            right[label] += count * (label == predicted)
    return [(right[label], count) for label, count in total.items()]
