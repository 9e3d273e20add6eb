"""The forgotten examples as a table: the surest mistakes first, as the report has them."""

import re
from collections.abc import Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.document import Caps, Cell, Column, Table
from forgetaudit.renderers.headline import Subject
from forgetaudit.report.behaviour import LostExample
from forgetaudit.report.report import AuditReport

__all__ = ["examples_table"]

# What is no small picture of our own making is shown as text.
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+={0,2}")


def examples_table(report: AuditReport, subject: Subject, caps: Caps) -> Table | None:
    """What tuned gets wrong and base got right; None where no example was kept."""
    if subject.source is None:
        return None
    mine = [
        lost for lost in report.lost if (lost.variant, lost.data) == (subject.variant, subject.source.data)
    ]
    if not mine:
        return None
    shown = mine[: caps.examples]
    alone = all(lost.n == 1 for lost in shown)
    return Table(
        ident="examples",
        title="Changed answers" if subject.source.unlabelled else "Forgotten examples",
        columns=_COLUMNS_ALONE if alone else _COLUMNS_SEVERAL,
        rows=tuple(_row(lost, alone=alone) for lost in shown),
        note=_note(shown, subject.source.flips.forgotten, alone=alone),
    )


_FIRST = (Column(title="row"), Column(title="example", wide=True))
_LAST = Column(title="log loss, change", numeric=True)
_COLUMNS_ALONE = (
    *_FIRST,
    Column(title="right"),
    Column(title="base said"),
    Column(title="tuned said"),
    Column(title="confidence", numeric=True),
    _LAST,
)
_COLUMNS_SEVERAL = (
    *_FIRST,
    Column(title="questions", numeric=True),
    Column(title="right in base", numeric=True),
    Column(title="right in tuned", numeric=True),
    _LAST,
)


def _note(shown: Sequence[LostExample], n_forgotten: int, *, alone: bool) -> str:
    if not alone:
        return "The examples that lost most; rows count from 0."
    more = n_forgotten - len(shown)
    left = f" {numbers.count(more)} more were forgotten: --examples writes them all." if more > 0 else ""
    return f"The surest mistakes first; confidence is tuned's in its own answer; rows count from 0.{left}"


def _row(lost: LostExample, *, alone: bool) -> tuple[Cell, ...]:
    name = Cell(text=lost.id[:12] if lost.row is None else str(lost.row))
    increase = Cell(text="" if lost.nll_increase is None else numbers.signed(lost.nll_increase))
    if not alone:
        counts = (lost.n, lost.n_right_base, lost.n_right_tuned)
        return (name, _seen(lost), *(Cell(text=numbers.count(count)) for count in counts), increase)
    answers = (lost.wanted, lost.base, lost.tuned)
    sure = Cell(text="" if lost.confidence is None else numbers.percent(lost.confidence))
    return (
        name,
        _seen(lost),
        *(Cell(text=answer or "", named=bool(answer)) for answer in answers),
        sure,
        increase,
    )


def _seen(lost: LostExample) -> Cell:
    """A picture where it is one, a text otherwise, both out of the data."""
    if lost.preview is None:
        return Cell(text="not shown", tone="dim")
    if lost.preview.kind == "image" and _PICTURE.fullmatch(lost.preview.content):
        return Cell(text=f"the picture of row {lost.row}", picture=lost.preview.content)
    return Cell(text=lost.preview.content, named=True)
