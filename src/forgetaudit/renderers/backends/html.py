"""Blocks as one HTML file: inline CSS and SVG, no scripts, nothing from elsewhere, and the report itself inside.

Everything that is shown goes through jinja2's autoescape; only the embedded report does not, which has no character
that HTML reads as anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from forgetaudit.renderers import charts, drawing
from forgetaudit.renderers.blocks import Block, Cell, Heading, Scale, Table, Verdict, kept_rows
from forgetaudit.renderers.drawing import Span
from forgetaudit.renderers.escapes import clipped, printable
from forgetaudit.report.embedding import ELEMENT
from forgetaudit.wording import counted

__all__ = ["page"]

MOST_ROWS = 150
_LONGEST_TEXT = 1_000
# Checked where the cell is made; longer than any text.
_PICTURE = "data:image/png;base64,"
# A table of so many rows is a strip at a glance already.
_FEW_BARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    heading: Heading
    verdict: Verdict | None
    blocks: tuple[Block, ...]


def page(title: str, blocks: Sequence[Block], over_all: Verdict, embedded: tuple[str, str]) -> str:
    """The page. `over_all` is its first line; `embedded` the encoding and the text of the whole report."""
    encoding, data = embedded
    return _template().render(
        title=title,
        verdict=over_all,
        sections=_sections(blocks),
        n_verdicts=sum(isinstance(block, Verdict) for block in blocks),
        element=ELEMENT,
        encoding=encoding,
        data=data,
    )


def _sections(blocks: Sequence[Block]) -> list[_Section]:
    """The blocks behind each heading; a verdict belongs to the heading that comes next."""
    headings = [(at, block) for at, block in enumerate(blocks) if isinstance(block, Heading)]
    ends = [*(at for at, _ in headings[1:]), len(blocks)]
    sections = []
    for (start, heading), end in zip(headings, ends, strict=True):
        before = blocks[start - 1] if start else None
        inside = tuple(block for block in blocks[start + 1 : end] if not isinstance(block, Verdict))
        verdict = before if isinstance(before, Verdict) else None
        sections.append(_Section(heading=heading, verdict=verdict, blocks=inside))
    return sections


def _rows(table: Table) -> list[tuple[Cell, ...]]:
    return kept_rows(table, MOST_ROWS)


def _is_folded(table: Table) -> bool:
    """A page has room: what is folded in a comment stands open here, unless it is long and no pictures."""
    return table.folded and len(table.rows) > _FEW_BARS and not any(cell.picture for cell in table.rows[0])


def _axis(table: Table, at: int) -> Span:
    """The axis that holds 0, the limit, and every interval of a column."""
    spans = [row[at].span for row in _rows(table) if row[at].span is not None]
    limit = table.columns[at].limit
    ends = [0.0, *(() if limit is None else (limit,)), *(end for span in spans if span for end in span)]
    start = min(ends)
    return Span(low=0, estimate=0, high=0, start=start, end=max(*ends, start + 0.001), limit=limit)


def _axis_words(table: Table, at: int) -> str:
    """The ends of the axis in the words of the cells that reach them."""
    axis = _axis(table, at)
    words = {0.0: "0"}
    for row in _rows(table):
        if (span := row[at].span) is not None and (ends := row[at].ends) is not None:
            words |= {span[0]: ends[0], span[2]: ends[1]}
    both = [words.get(end, "") for end in (axis.start, axis.end)]
    return " to ".join(both) if all(both) else ""


def _placed(table: Table, at: int, span: tuple[float, float, float]) -> drawing.Drawn:
    axis = _axis(table, at)
    return drawing.within(
        Span(low=span[0], estimate=span[1], high=span[2], start=axis.start, end=axis.end, limit=axis.limit)
    )


def _scale(scale: Scale) -> drawing.Axis:
    """One interval on an axis of its own, which holds 0 and the limit."""
    low, estimate, high = scale.span
    ends = [0.0, low, high, *(() if scale.limit is None else (scale.limit,))]
    room = 0.06 * max(max(ends) - min(ends), 0.01)
    start, end = min(ends) - room, max(ends) + room
    return drawing.axis(Span(low=low, estimate=estimate, high=high, start=start, end=end, limit=scale.limit))


def _strips(table: Table) -> list[drawing.Strip]:
    """The bars of a long table of layers at a glance; nothing for a short one."""
    rows = table.rows
    if table.what != "layer" or len(rows) <= _FEW_BARS:
        return []
    bars = [at for at, column in enumerate(table.columns) if column.kind == "bar"]
    return [drawing.strip_of(table.columns[at].title, [row[at].share for row in rows]) for at in bars]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("forgetaudit.renderers"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters |= {
        "kind": lambda block: type(block).__name__.lower(),
        "rows": _rows,
        "strips": _strips,
        "is_folded": _is_folded,
        "bar_width": drawing.bar_width,
        "scale": _scale,
        "counted": counted,
        "drawn": charts.drawn,
    }
    environment.globals |= {"placed": _placed, "axis_words": _axis_words, "height": charts.HEIGHT}
    return environment.get_template("page.html.j2")


def _shown(value: object) -> object:
    """A text out of a report, before it is escaped; what the template's own macros made is whole already."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return value if value.startswith(_PICTURE) else clipped(printable(value), _LONGEST_TEXT)
    return value
