"""A row of the table of numbers, and how it is filled."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from forgetaudit.renderers.escapes import for_spreadsheet
from forgetaudit.report.parts import Absent, Measured

__all__ = ["COLUMNS", "Row", "measured", "plain"]

COLUMNS = ("section", "data", "variant", "name", "value", "low", "high", "n", "kind")

_TEXTS = {"section", "data", "variant", "name", "kind"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A number, or the reason why there is none."""

    section: str
    data: str = ""
    variant: str = ""
    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    kind: str = ""

    def cells(self) -> Iterator[str]:
        """As texts, in the order of COLUMNS."""
        for column in COLUMNS:
            cell = getattr(self, column)
            yield for_spreadsheet(cell) if column in _TEXTS else "" if cell is None else repr(cell)


def measured(here: Row, value: Measured) -> Row:
    """The row with an estimate and its interval."""
    if isinstance(value, Absent):
        return replace(here, kind=f"not measured: {value.not_measured}")
    return replace(here, value=value.estimate, low=value.low, high=value.high, kind=value.kind)


def plain(here: Row, value: float | Absent, kind: str) -> Row:
    """The row with a number that has no interval."""
    if isinstance(value, Absent):
        return replace(here, kind=f"not measured: {value.not_measured}")
    return replace(here, value=value, kind=kind)
