"""Remedies tried on one half of the examples: a few at a time, beside what base and tuned answered once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forgetaudit.audits.answers import source_section
from forgetaudit.audits.batch_independence import refuse_dependence
from forgetaudit.audits.evaluate import make_stream, steps
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.audits.paired_sums import VariantSums
from forgetaudit.data.batches import Batch, placed
from forgetaudit.engine.variants import Variant
from forgetaudit.inference.intervals import drop_interval
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.tasks.task import Outcomes
from forgetaudit.values import Interval, Sides

__all__ = ["BaselineAnswers", "answers_of", "compared", "evaluate_baselines", "limits_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineAnswers:
    """What base and tuned answered to every question of some data, and how the questions go together."""

    data: OpenedData
    batch: Batch
    outcomes: Mapping[str, Outcomes]


def evaluate_baselines(
    network: Network, data: OpenedData, settings: Settings, progress: Progress
) -> BaselineAnswers:
    """One pass of base and tuned."""
    batch, outcomes = _evaluate(
        network, network.variants[:2], data, settings, progress, title="base and tuned", first=True
    )
    return BaselineAnswers(data=data, batch=batch, outcomes=outcomes)


def answers_of(
    network: Network,
    variants: Sequence[Variant],
    known: BaselineAnswers,
    settings: Settings,
    progress: Progress,
) -> Mapping[str, Outcomes]:
    """One pass of `variants`, what they share run once."""
    title = variants[0].name if len(variants) == 1 else f"{len(variants)} variants"
    return _evaluate(network, variants, known.data, settings, progress, title=title)[1]


def compared(known: BaselineAnswers, first: Outcomes, second: Outcomes, name: str) -> SourceSection:
    """`second` where tuned stands in a comparison, `first` in base's place: the drop is first − second."""
    tally = VariantSums(0, 0)
    # Further scores of the two are compared once it is known which remedy is meant.
    tally.update(replace(first, scores={}), replace(second, scores={}), known.batch, {})
    return source_section(name, tally, known.data, known=False, unusable=None)


def limits_of(section: SourceSection, *, confidence: float, sides: Sides) -> Interval:
    """Of the drop, from the section's counts."""
    groups = section.groups
    found = drop_interval(
        section.flips.forgotten,
        section.flips.gained,
        section.n,
        method="tango" if groups is None else "grouped-tango",
        effect=None if groups is None else groups.drop_effect,
        degrees=None if groups is None else groups.degrees,
        confidence=confidence,
        sides=sides,
    )
    assert found is not None  # noqa: S101
    return found


def _evaluate(
    network: Network,
    variants: Sequence[Variant],
    data: OpenedData,
    settings: Settings,
    progress: Progress,
    *,
    title: str,
    first: bool = False,
) -> tuple[Batch, Mapping[str, Outcomes]]:
    # One variant has nothing to share, and what it could share would have to be found out first.
    alone = replace(settings, reuse=settings.reuse and len(variants) > 1)
    stream = make_stream(network, data, alone, progress, variants=variants)
    keep: Callable[[Mapping[str, object], Batch], None] | None = getattr(data.task, "keep", None)
    batches: list[Batch] = []
    found: dict[str, list[Outcomes]] = {variant.name: [] for variant in variants}
    look_alone = refuse_dependence(network, data, settings, tuple(variants))
    for number, step in enumerate(
        steps(stream, network, data, progress, batch_size=settings.batch_size, title=title)
    ):
        if number == 0 and first:
            look_alone(step)
        if keep is not None:
            keep(step.outputs, step.batch)
            continue
        batches.append(_without_inputs(step.batch))
        for name, outputs in step.outputs.items():
            found[name].append(data.task.score(outputs, step.batch))
    if keep is not None:
        settled = data.task.settle()  # type: ignore[attr-defined]  # beside keep, as the Protocol says
        asked = Batch(ids=tuple(example.id for example in settled.asked))
        return placed(asked, settled.asked), settled.outcomes
    starts = np.cumsum([0, *(len(batch) for batch in batches)])
    return _joined_batches(batches), {name: _joined(parts, starts) for name, parts in found.items()}


def _without_inputs(batch: Batch) -> Batch:
    return replace(batch, args=(), kwargs={}, labels=None, mask=None, own={})


def _joined_batches(batches: Sequence[Batch]) -> Batch:
    def together(field: str) -> tuple[str, ...] | None:
        parts = [getattr(batch, field) for batch in batches]
        return None if any(part is None for part in parts) else tuple(name for part in parts for name in part)

    return Batch(
        ids=tuple(name for batch in batches for name in batch.ids),
        groups=together("groups"),
        clusters=together("clusters"),
    )


def _joined(parts: Sequence[Outcomes], starts: NDArray[np.int64]) -> Outcomes:
    """What the intervals need; rows are counted on from batch to batch."""
    rows = [
        None if part.row is None else part.row + start for part, start in zip(parts, starts, strict=False)
    ]
    return Outcomes(
        predicted=np.concatenate([part.predicted for part in parts]),
        correct=np.concatenate([part.correct for part in parts]),
        nll=np.concatenate([part.nll for part in parts]),
        n_classes=parts[0].n_classes,
        wanted=_all([part.wanted for part in parts]),
        row=_all(rows),
        guess=parts[0].guess,
    )


def _all(parts: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None
