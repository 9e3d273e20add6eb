"""Blocks as GitHub's Markdown: for a step summary or a comment. The first line is the verdict.

Under 60,000 characters, because a comment holds 65,536. What does not fit is left out block by block, from the end, and
counted. A hidden marker lets a workflow find its own comment and write it again.
"""

from collections.abc import Iterable, Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Findings,
    Heading,
    Steps,
    Table,
    Verdict,
    kept_rows,
)
from forgetaudit.renderers.markdown_text import code, prose
from forgetaudit.wording import counted

__all__ = ["MARKER", "MOST_CHARACTERS", "page"]

MARKER = "<!-- forgetaudit:report -->"
MOST_CHARACTERS = 60_000
MOST_ROWS = 40
# For the sentence that tells what was left out.
_RESERVE = 300
_LONGEST_CELL = 300


def page(blocks: Sequence[Block], over_all: Verdict) -> str:
    """The blocks in fewer than MOST_CHARACTERS characters, under the verdict `over_all`."""
    several = sum(isinstance(block, Verdict) for block in blocks) > 1
    shown = [block for block in blocks if several or not isinstance(block, Verdict)]
    return _fitted(f"{_verdict(over_all)}\n{MARKER}\n", list(_texts(shown)))


def _verdict(verdict: Verdict) -> str:
    notes = "".join(f"- note: {prose(words)}\n" for _, words in verdict.notes)
    return f"**{verdict.word}** {prose(verdict.sentence)}\n" + (f"\n{notes}" if notes else "")


def _fitted(first: str, texts: Sequence[str]) -> str:
    """As many texts as fit, in order."""
    shown, room = [first], MOST_CHARACTERS - _RESERVE - len(first)
    for at, text in enumerate(texts):
        room -= len(text) + 1
        if room < 0:
            left = counted(len(texts) - at, "section")
            shown.append(
                f"{left} left out, to stay under {MOST_CHARACTERS:,} characters: see the whole report.\n"
            )
            break
        shown.append(text)
    return "\n".join(shown)


def _texts(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Verdict():
                yield f"{prose(block.subject)}\n\n{_verdict(block)}"
            case Heading():
                yield f"## {prose(block.text)}\n" + (f"\n{prose(block.about)}\n" if block.about else "")
            case Table() if block.on != "screen" and block.rows:
                yield _titled(block.title, _table(block), folded=block.folded)
            case Facts() if block.on != "screen":
                yield _titled(block.title, _facts(block), folded=block.folded)
            case Findings() if block.rows:
                yield _findings(block)
            case Steps():
                rows = [f"- {code(command)} {prose(what)}" for command, what in block.rows]
                yield "\n".join(["### To run next", "", *rows]) + "\n"
            case _:
                pass


def _titled(title: str, text: str, *, folded: bool) -> str:
    if folded:
        return f"<details><summary>{prose(title)}</summary>\n\n{text}\n</details>\n"
    return f"### {prose(title)}\n\n{text}"


def _findings(findings: Findings) -> str:
    lines = ["### Findings", ""]
    for row in findings.rows[:MOST_ROWS]:
        lines.append(
            f"- **{row.severity}** {prose(row.title)} ({code(row.ident)}, confidence {row.confidence})"
        )
        if row.advice:
            lines.append(f"  <br>Try: {prose(row.advice)}")
    if (left := len(findings.rows) - MOST_ROWS) > 0:
        lines.append(f"- {numbers.count(left)} more in the report")
    return "\n".join(lines) + "\n"


def _facts(facts: Facts) -> str:
    """A line for each label; what goes on with the one before stands behind it."""
    lines: list[str] = []
    for label, words in facts.rows:
        shown = (code if facts.code else prose)(words, _LONGEST_CELL)
        if label or not lines:
            lines.append(f"- {prose(label)}: {shown}" if label else f"- {shown}")
        else:
            lines[-1] += f" · {shown}"
    return "\n".join(lines) + "\n" + (f"\n{prose(facts.note)}\n" if facts.note else "")


def _table(table: Table) -> str:
    shown = [at for at, column in enumerate(table.columns) if column.on != "screen"]
    rows = kept_rows(table, MOST_ROWS)
    left = len(table.rows) - len(rows)
    rows += [table.total] if table.total else []
    heads = [head for at in shown for head in _heads(table.columns[at])]
    grid = [
        [prose(title) for title, _ in heads],
        ["--:" if numeric else ":--" for _, numeric in heads],
        *([text for at in shown for text in _cells(row[at], table.columns[at])] for row in rows),
    ]
    more = f"{counted(left, table.what)} more in the report." if left else ""
    note = " ".join(filter(None, (table.note, more)))
    lines = "".join(f"| {' | '.join(row)} |\n" for row in grid)
    return lines + (f"\n{prose(note)}\n" if note else "")


def _heads(column: Column) -> list[tuple[str, bool]]:
    if column.kind == "interval":
        return [(column.title, True), (f"two-sided {column.limits}", True)]
    return [(column.title, column.kind == "number")]


def _cells(cell: Cell, column: Column) -> list[str]:
    if column.kind == "bar":
        return ["" if cell.share is None else numbers.bar(cell.share, 10)]
    if cell.picture:
        return ["a picture"]
    words = code(cell.text) if cell.code else prose(f"{cell.text} {cell.mark}".strip(), _LONGEST_CELL)
    words = f"**{words}**" if words and cell.tone == "bad" and not cell.code else words
    if column.kind != "interval":
        return [words]
    return [words, " to ".join(cell.ends) if cell.ends else ""]
