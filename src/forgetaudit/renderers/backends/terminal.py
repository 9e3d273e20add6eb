"""Blocks for a terminal or a pipe: styled lines, which `renderers.terminal` wraps and colours."""

from collections.abc import Iterable, Iterator

from forgetaudit.renderers import numbers
from forgetaudit.renderers.blocks import (
    Block,
    Cell,
    Chart,
    Column,
    Facts,
    Findings,
    Footer,
    Steps,
    Table,
    Verdict,
    kept_rows,
)
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.plot import plot_chart
from forgetaudit.wording import counted

__all__ = ["lines"]

MOST_ROWS = 20
# With it the columns fit a terminal of 80; a longer name moves those of its own line alone.
_WIDEST_NAME = 36
_BAR = 10
_BRIEF = 6


def lines(blocks: Iterable[Block]) -> Iterator[Line]:
    """Every line; an empty one behind each block that said something."""
    for block in blocks:
        shown = list(_lines(block))
        yield from shown
        if shown and not isinstance(block, Footer):
            yield []


def _lines(block: Block) -> Iterator[Line]:
    match block:
        case Verdict():
            yield from _verdict(block)
        case Table() if block.on != "page" and block.rows:
            yield from _table(block)
        case Facts() if block.on != "page":
            yield from _facts(block)
        case Chart() if block.on != "page":
            yield from plot_chart(block)
        case Findings():
            yield from _findings(block)
        case Steps():
            for at, (command, what) in enumerate(block.rows):
                yield [("next  " if at == 0 else "      ", "dim"), (f"{command}   {what}", "")]
        case Footer():
            yield [(block.text, "dim")]
        case _:
            pass


def _verdict(verdict: Verdict) -> Iterator[Line]:
    yield [(f"forgetaudit {verdict.command}  ", "bold"), (verdict.subject, "")]
    yield [(verdict.word, verdict.tone), (f"  {verdict.sentence}", "")]
    for tone, words in verdict.notes:
        yield [("note  ", tone), (words, "")]


def _findings(findings: Findings) -> Iterator[Line]:
    for finding in findings.rows:
        if finding.on != "page":
            yield [("why   ", finding.tone), (finding.title, "")]
    for advice in findings.advice:
        yield [("try   ", "dim"), (advice, "")]


def _facts(facts: Facts) -> Iterator[Line]:
    width = _BRIEF if facts.brief else LABEL
    tones = facts.tones or ("label",) * len(facts.rows)
    for tone, (label, words) in zip(tones, facts.rows, strict=True):
        yield [(f"{label:<{width}}", tone), (words, "")]


def _table(table: Table) -> Iterator[Line]:
    shown = [at for at, column in enumerate(table.columns) if column.on != "page"]
    rows = kept_rows(table, MOST_ROWS)
    left = len(table.rows) - len(rows)
    rows += [table.total] if table.total else []
    columns = [_column(table.columns[at], [row[at] for row in rows]) for at in shown]
    titles = [_title(table.columns[at]) for at in shown]
    wide = [max(map(len, (title, *texts))) + 2 for title, texts in zip(titles, columns, strict=True)]
    wide[0] = min(wide[0], _WIDEST_NAME)
    yield [("".join(f"{title:<{w}}" for title, w in zip(titles, wide, strict=True)), "label")]
    for number, row in enumerate(rows):
        yield [
            (f"{texts[number] + '  ':<{w}}", row[at].tone or ("bar" if row[at].share is not None else ""))
            for at, texts, w in zip(shown, columns, wide, strict=True)
        ]
    if left:
        yield [(f"… {counted(left, table.what)} more in the report", "dim")]
    if table.note:
        yield [(table.note, "dim")]


def _title(column: Column) -> str:
    return f"{column.title}, {column.limits}" if column.kind == "interval" else column.title


def _column(column: Column, cells: list[Cell]) -> list[str]:
    """The cells of a column as texts: estimates end below each other, and their limits begin so."""
    if column.kind == "bar":
        return ["" if cell.share is None else numbers.bar(cell.share, _BAR) for cell in cells]
    if column.kind != "interval":
        return [f"{cell.text} {cell.mark}".rstrip() for cell in cells]
    ends = [f"[{cell.ends[0]}, {cell.ends[1]}]" if cell.ends else "" for cell in cells]
    digits, room = max(len(cell.text) for cell in cells), max(map(len, ends))
    return [
        f"{cell.text:>{digits}} {limits:<{room}} {cell.mark}".rstrip()
        for cell, limits in zip(cells, ends, strict=True)
    ]
