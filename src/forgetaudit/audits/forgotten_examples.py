"""The examples that were forgotten: a few for the report, all of them for --examples and --rehearsal."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from forgetaudit.audits.example_table import Record, Records
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.data.previews import preview
from forgetaudit.data.writing import refuse_taken, write_data_set, write_parquet
from forgetaudit.errors import UsageError
from forgetaudit.plan import AuditPlan
from forgetaudit.report.behaviour import ExamplePreview, LostExample

__all__ = ["MOST_SHOWN", "lost_examples", "refuse_unwritable", "write_example_tables"]

MOST_SHOWN = 24
"""For each variant and data set in a report; the counts of the flips tell how many there are."""


def lost_examples(
    records: Records, data: OpenedData, variants: Sequence[str], *, show: bool
) -> Iterator[LostExample]:
    """The surest mistakes of each variant, with what a person sees of them where `show`."""
    names = data.task.class_names
    for variant in variants:
        for record in records.lost(variant)[:MOST_SHOWN]:
            yield _forgotten(record, data, variant, names, show=show)


def refuse_unwritable(plan: AuditPlan) -> None:
    """What could not be written in the end, before any work."""
    if plan.examples is not None:
        refuse_taken(plan.examples, "--examples", folder=False)
    if plan.rehearsal is not None:
        refuse_taken(plan.rehearsal, "--rehearsal", folder=True)
    asked = [
        option for option, path in (("--examples", plan.examples), ("--rehearsal", plan.rehearsal)) if path
    ]
    if asked and len(plan.data) != 1:
        raise UsageError(
            f"{asked[0]} is for one data set, and there are {len(plan.data)}", hint="pass one --data"
        )


def write_example_tables(plan: AuditPlan, records: Records, data: OpenedData) -> tuple[str, ...]:
    """What --examples and --rehearsal ask for; the names of what was written. OutputError."""
    written = []
    if plan.examples is not None:
        write_parquet(_columns(records, data, plan.names), plan.examples)
        written.append(str(plan.examples))
    if plan.rehearsal is not None:
        lost = {record.row for name in plan.names for record in records.lost(name) if record.row is not None}
        if lost:
            write_data_set(data.examples, sorted(lost), plan.rehearsal)
            written.append(f"{plan.rehearsal} ({len(lost):,} forgotten)")
    return tuple(written)


def _forgotten(
    record: Record, data: OpenedData, variant: str, names: tuple[str, ...] | None, *, show: bool
) -> LostExample:
    base, tuned = record.answers["base"], record.answers[variant]
    increase = (tuned.nll - base.nll) / record.n
    seen = preview(data.examples.at(record.row).input) if show and record.row is not None else None
    return LostExample(
        data=data.plan.name,
        variant=variant,
        id=record.id,
        row=record.row,
        group=record.group,
        n=record.n,
        n_right_base=base.n_right,
        n_right_tuned=tuned.n_right,
        wanted=_name(record.wanted, names),
        base=_name(base.predicted, names),
        tuned=_name(tuned.predicted, names),
        confidence=_finite(tuned.confidence),
        nll_increase=_finite(increase),
        preview=None if seen is None else ExamplePreview(kind=seen[0], content=seen[1]),
    )


def _columns(records: Records, data: OpenedData, tuned: Sequence[str]) -> dict[str, list[Any]]:
    """By column one value for each example; sums over its questions are means, counts stay counts."""
    names, rows = data.task.class_names, list(records)
    columns: dict[str, list[Any]] = {
        "id": [record.id for record in rows],
        "row": [record.row for record in rows],
        "n_questions": [record.n for record in rows],
        "wanted": [record.wanted for record in rows],
        "wanted_name": [_name(record.wanted, names) for record in rows],
    }
    if data.examples.grouped:
        columns["group"] = [record.group for record in rows]
    for variant in ("base", *tuned):
        answers = [record.answers[variant] for record in rows]
        columns[f"{variant}_predicted"] = [answer.predicted for answer in answers]
        columns[f"{variant}_name"] = [_name(answer.predicted, names) for answer in answers]
        columns[f"{variant}_n_right"] = [answer.n_right for answer in answers]
        columns[f"{variant}_nll"] = [
            _finite(answer.nll / record.n) if record.n else None
            for record, answer in zip(rows, answers, strict=True)
        ]
        columns[f"{variant}_margin"] = [_finite(answer.margin) for answer in answers]
        columns[f"{variant}_confidence"] = [_finite(answer.confidence) for answer in answers]
        for name in answers[0].soft if answers else ():
            columns[f"{variant}_{name}"] = [
                _finite(answer.soft[name] / record.n) if record.n else None
                for record, answer in zip(rows, answers, strict=True)
            ]
    return columns


def _name(answer: int | None, names: tuple[str, ...] | None) -> str | None:
    if answer is None or answer < 0:
        return None
    return names[answer] if names and answer < len(names) else str(answer)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
