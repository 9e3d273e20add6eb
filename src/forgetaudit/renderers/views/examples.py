"""The forgotten examples as a table: the surest mistakes first, as the report has them."""

import re
from collections.abc import Iterator

from forgetaudit.renderers import cells, numbers
from forgetaudit.renderers.blocks import Cell, Column, Table
from forgetaudit.renderers.headline import Subject
from forgetaudit.report.behaviour import LostExample
from forgetaudit.report.report import AuditReport

__all__ = ["examples"]

# What is no small picture of our own making is shown as text.
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+={0,2}")


def examples(report: AuditReport, subject: Subject) -> Iterator[Table]:
    """What tuned gets wrong and base got right, the surest mistakes first; nothing where no example was kept."""
    source = subject.source
    where = (subject.variant, source.data if source else None)
    mine = [lost for lost in report.lost if (lost.variant, lost.data) == where]
    if source is None or not mine:
        return
    alone = all(lost.n == 1 for lost in mine)
    yield Table(
        ident="examples",
        title="Changed answers" if source.unlabelled else "Forgotten examples",
        what="example",
        bulky=True,
        folded=True,
        on="page",
        columns=_COLUMNS_ALONE if alone else _COLUMNS_SEVERAL,
        rows=tuple(_example_row(lost, alone=alone) for lost in mine),
        note=_examples_note(len(mine), source.flips.forgotten, alone=alone),
    )


_FIRST = (Column(title="row"), Column(title="example", kind="prose"))
_LAST = Column(title="log loss, change", kind="number")
_COLUMNS_ALONE = (
    *_FIRST,
    Column(title="right"),
    Column(title="base said"),
    Column(title="tuned said"),
    Column(title="confidence", kind="number"),
    _LAST,
)
_COLUMNS_SEVERAL = (
    *_FIRST,
    Column(title="asked", kind="number"),
    Column(title="right in base", kind="number"),
    Column(title="right in tuned", kind="number"),
    _LAST,
)


def _examples_note(n_shown: int, n_forgotten: int, *, alone: bool) -> str:
    if not alone:
        return "The examples that lost most; rows count from 0."
    more = n_forgotten - n_shown
    left = f" {numbers.count(more)} more were forgotten: --examples writes them all." if more > 0 else ""
    return f"The surest mistakes first; confidence is tuned's in its own answer; rows count from 0.{left}"


def _example_row(lost: LostExample, *, alone: bool) -> tuple[Cell, ...]:
    name = cells.text(lost.id[:12] if lost.row is None else str(lost.row))
    increase = cells.text("" if lost.nll_increase is None else numbers.signed(lost.nll_increase))
    if not alone:
        counts = (lost.n, lost.n_right_base, lost.n_right_tuned)
        return (name, _seen(lost), *(cells.count(count) for count in counts), increase)
    answers = (cells.name(answer or "") for answer in (lost.wanted, lost.base, lost.tuned))
    sure = cells.text("" if lost.confidence is None else numbers.percent(lost.confidence))
    return (name, _seen(lost), *answers, sure, increase)


def _seen(lost: LostExample) -> Cell:
    """A picture where it is one, a text otherwise, both out of the data."""
    if lost.preview is None:
        return cells.text("not shown", "dim")
    if lost.preview.kind == "image" and _PICTURE.fullmatch(lost.preview.content):
        return Cell(text=f"the picture of row {lost.row}", picture=lost.preview.content)
    return cells.name(lost.preview.content)
