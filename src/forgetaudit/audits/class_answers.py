"""What became of every class and of every group, with p-values adjusted over all of them."""

from collections.abc import Callable, Iterator, Sequence

from forgetaudit.audits.answer_parts import SHOWN_CONFIDENCE
from forgetaudit.audits.paired_sums import VariantSums
from forgetaudit.inference.corrections import benjamini_hochberg, holm
from forgetaudit.inference.guessing import worst_by_chance
from forgetaudit.inference.paired import mcnemar, tango
from forgetaudit.report.behaviour import ClassResult, FlipTable
from forgetaudit.report.parts import estimate_from
from forgetaudit.stats.flips import FlipCounts

__all__ = ["class_results", "group_results", "stratum_results", "worst_class_by_chance"]

MOST_GROUPS_SHOWN = 200


def class_results(flips: FlipCounts, names: tuple[str, ...] | None) -> Iterator[ClassResult]:
    """Every class that the data hold, with mid-P adjusted over them (Benjamini–Hochberg)."""
    yield from _results(
        [
            (label, names[label] if names and label < len(names) else str(label), counts)
            for label, counts in enumerate(flips.per_class)
            if counts.n
        ]
    )


def group_results(tally: VariantSums) -> Iterator[ClassResult]:
    """Every group, where there are few enough to read."""
    groups = tally.group_flips()
    if len(groups) <= MOST_GROUPS_SHOWN:
        yield from _results(
            [(number, name, flips) for number, (name, flips) in enumerate(sorted(groups.items()))]
        )


def stratum_results(tally: VariantSums) -> Iterator[ClassResult]:
    """Every stratum: those are few, and each was asked about, so the p-values are Holm's."""
    named = sorted(tally.strata.items())
    yield from _results([(number, name, flips.read()) for number, (name, flips) in enumerate(named)], holm)


def _results(
    present: list[tuple[int, str, FlipCounts]],
    adjust: Callable[[Sequence[float]], list[float]] = benjamini_hochberg,
) -> Iterator[ClassResult]:
    adjusted = adjust([mcnemar(c.forgotten, c.gained).mid_p for *_, c in present])
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


def worst_class_by_chance(flips: FlipCounts) -> float | None:
    """How far the worst class falls on average if nothing changed but as many flips either way."""
    sizes = [counts.n for counts in flips.per_class if counts.n]
    if len(sizes) < 2:
        return None
    return worst_by_chance(sizes, (flips.forgotten + flips.gained) / flips.n)
