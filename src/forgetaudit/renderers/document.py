"""A report as a reader's page: headings, sentences and tables of plain text. Markdown and HTML are two spellings of it.

Nothing here is escaped; whoever spells a page escapes every text in it.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Bar",
    "Caps",
    "Cell",
    "Chapter",
    "Chart",
    "Column",
    "Comparison",
    "Document",
    "Fact",
    "Level",
    "Look",
    "Mark",
    "Note",
    "Point",
    "Series",
    "Span",
    "Table",
    "Tone",
]

Tone = Literal["", "good", "warn", "bad", "dim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A value of 0 to 1 on a fixed scale, so that two reports compare; what is over 1 ends at the edge."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An estimate with its interval on an axis from `start` to `end`, and the limit where there is one."""

    low: float
    estimate: float
    high: float
    start: float
    end: float
    limit: float | None = None


Mark = Bar | Span


# How a point is drawn: shape and filling tell it without its colour, too.
Look = Literal["sure", "open", "other", "front", "tried", "chosen", "base", "tuned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a chart, with the ends of its interval where it has one. `name` is what it is, for who asks."""

    x: float
    y: float
    name: str
    look: Look
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together, what each look among them means, and the line through `path`, where there is one.

    The line can pass through more places than have a mark.
    """

    points: tuple[Point, ...]
    path: tuple[tuple[float, float], ...]
    look: Look
    legend: tuple[tuple[Look, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A line across the chart, and what it is."""

    y: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Fractions upwards, over steps, counts or fractions. `told` says in words what is to be seen.

    `x_ticks` are (place, words) in the unit of x; those that would touch are left out where it is drawn.
    """

    ident: str
    title: str
    x_title: str
    y_title: str
    x_ticks: tuple[tuple[float, str], ...]
    series: tuple[Series, ...]
    levels: tuple[Level, ...]
    told: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What stands in a table: a text, perhaps out of a file (`named`: shown as it is), perhaps drawn as well.

    `picture` is a PNG as a data URI, and the text then its name.
    """

    text: str = ""
    named: bool = False
    tone: Tone = ""
    mark: Mark | None = None
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its heading, and what stands in it: numbers, marks alone (`drawn`), or sentences (`wide`)."""

    title: str
    numeric: bool = False
    drawn: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. `note` says what is not in it, and what kind of claim its numbers are."""

    ident: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A finding: what, how bad and how sure, what to do."""

    ident: str
    title: str
    severity: str
    confidence: str
    advice: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line of provenance."""

    term: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One fine-tune on one data set: its verdict, the drop against its limit, tables, findings.

    `absent` are what was not measured, each with its reason; `steps` commands to run next, each with what it tells.
    """

    heading: str
    about: str
    word: str
    tone: Tone
    sentence: str
    drop: Span | None
    drop_words: str
    absent: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[Note, ...]
    notes_left: int
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What a command is about, before its comparisons: a run, the parts of a network, what was tried.

    Findings stand between the tables that `lead` and the others.
    """

    heading: str
    about: str = ""
    charts: tuple[Chart, ...] = ()
    lead: tuple[Table, ...] = ()
    notes: tuple[Note, ...] = ()
    notes_left: int = 0
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole page. `word`, `tone` and `sentence` are the verdict over all comparisons, `tables` what is of none."""

    title: str
    word: str
    tone: Tone
    sentence: str
    chapters: tuple[Chapter, ...]
    comparisons: tuple[Comparison, ...]
    tables: tuple[Table, ...]
    rivals: tuple[str, ...]
    provenance: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of a large report is shown; every table says how much it left out."""

    classes: int
    layers: int
    tensors: int
    rules: int
    findings: int
    facts: int
    examples: int
    checkpoints: int
    parts: int
    remedies: int
