"""What a report says, as blocks in reading order: made once by the view of a command, shown by every backend.

Nothing here is escaped or laid out. A backend escapes every text, and decides what an interval or a bar looks like and
how many rows have room.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forgetaudit.renderers.chart import Chart

__all__ = [
    "Block",
    "Cell",
    "Chart",
    "Column",
    "Facts",
    "Finding",
    "Findings",
    "Footer",
    "Heading",
    "On",
    "Scale",
    "Steps",
    "Table",
    "Tone",
    "Verdict",
    "kept_rows",
]

Tone = Literal["", "good", "warn", "bad", "dim"]
On = Literal["all", "screen", "page"]
"""Where a block or a column is shown; `screen` is a terminal or a pipe, `page` Markdown and HTML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A text, perhaps a name out of a file (`code`), perhaps with limits or a share of 1.

    `ends` are the limits in words and `span` the same as numbers (low, estimate, high). `mark` stands behind all of it.
    `picture` is a PNG as a data URI, and the text then its name.
    """

    text: str = ""
    code: bool = False
    tone: Tone = ""
    ends: tuple[str, str] | None = None
    span: tuple[float, float, float] | None = None
    share: float | None = None
    mark: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its heading, and what stands in it.

    An `interval` is one column here: a terminal prints `6.7 [5.7, 7.7]`, a page the limits beside the estimate, and
    HTML draws them on an axis that holds 0, all rows, and `limit` where there is one. `limits` says what they are.
    `prose` are sentences.
    """

    title: str
    kind: Literal["text", "number", "interval", "bar", "prose"] = "text"
    on: On = "all"
    limits: str = "95 %"
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in their order; `what` one row is, and `total` the row below all.

    Where there is no room for all, those with the largest `weight` are kept; without weights the first. Of a `curve`
    evenly spaced ones are, and those that have any weight. `bulky` rows take so much room that fewer have it, and a
    table is `whole` where all were asked for. `note` says what the table does not, and what kind of claim its numbers
    are; `folded`: a page opens it on request.
    """

    ident: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    what: str = "row"
    total: tuple[Cell, ...] = ()
    weight: tuple[float, ...] = ()
    curve: bool = False
    bulky: bool = False
    whole: bool = False
    folded: bool = False
    note: str = ""
    on: On = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was compared, the word with its tone, the sentence behind it, and what is not in the numbers (`notes`)."""

    command: str
    subject: str
    word: str
    tone: Tone
    sentence: str
    notes: tuple[tuple[Tone, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """The beginning of a section of a page; a screen has none."""

    text: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Sentences, each with what it is about; one without a label goes on with the one before.

    `tones` are those of the labels, where they have any; `brief` ones are words of a few letters. What is said in
    `code` is names and settings, shown as they are.
    """

    ident: str
    title: str
    rows: tuple[tuple[str, str], ...]
    tones: tuple[Tone, ...] = ()
    brief: bool = False
    code: bool = False
    note: str = ""
    folded: bool = False
    on: On = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What, how bad and how sure, what to do. On a screen those `on` page are said elsewhere already."""

    ident: str
    title: str
    severity: str
    confidence: str
    advice: str
    tone: Tone
    on: On = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Findings, the worst first. A screen shows `advice`, which is that of what matters most."""

    rows: tuple[Finding, ...]
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Commands to run next, each with what it tells."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One interval on an axis of its own with ticks, against its limit; a page draws it."""

    ident: str
    span: tuple[float, float, float]
    limit: float | None
    tone: Tone
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """The last line of a screen: the exit code, and what the numbers depend on."""

    text: str


Block = Chart | Facts | Findings | Footer | Heading | Scale | Steps | Table | Verdict


def kept_rows(table: Table, most: int) -> list[tuple[Cell, ...]]:
    """At most `most` rows, in their own order."""
    if table.bulky:
        most = max(most // 4, 1)
    n = len(table.rows)
    if n <= most or table.whole:
        return list(table.rows)
    return [table.rows[at] for at in _places(table, n, most)]


def _places(table: Table, n: int, most: int) -> Sequence[int]:
    if table.curve:
        turning = {at for at, weight in enumerate(table.weight) if weight > 0}
        n_even = max(most - len(turning), 2)
        return sorted(turning | {round(at * (n - 1) / (n_even - 1)) for at in range(n_even)})
    if table.weight:
        return sorted(sorted(range(n), key=lambda at: -table.weight[at])[:most])
    return range(most)
