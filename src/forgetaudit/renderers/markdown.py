"""The report as GitHub's Markdown: for a step summary or a comment. The first line is the verdict.

Under 60,000 characters, because a comment holds 65,536. What does not fit is left out section by section, from the end,
and counted. A hidden marker lets a workflow find its own comment and write it again.
"""

from collections.abc import Iterator, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.compose import compose
from forgetaudit.renderers.document import Bar, Caps, Cell, Comparison, Document, Fact, Note, Table
from forgetaudit.renderers.markdown_text import code, prose
from forgetaudit.report.report import AuditReport
from forgetaudit.wording import counted

__all__ = ["MARKER", "MOST_CHARACTERS", "markdown"]

MARKER = "<!-- forgetaudit:report -->"
MOST_CHARACTERS = 60_000

_CAPS = Caps(
    classes=20,
    layers=40,
    tensors=10,
    rules=40,
    findings=20,
    facts=12,
    examples=8,
    checkpoints=40,
    parts=40,
    remedies=30,
)
# For the sentence that tells what was left out.
_RESERVE = 300
_FOLDED = {"totals", "tensors", "examples", "way", "resets", "strengths"}


def markdown(report: AuditReport, exit_note: str = "") -> str:
    """The report in fewer than MOST_CHARACTERS characters."""
    page = compose(report, _CAPS, exit_note)
    first = f"**{page.word}** {prose(page.sentence)}\n\n{MARKER}\n"
    return _fitted(first, list(_blocks(page)))


def _fitted(first: str, blocks: Sequence[str]) -> str:
    """As many blocks as fit, in order."""
    text = [first]
    room = MOST_CHARACTERS - _RESERVE - len(first)
    for at, block in enumerate(blocks):
        room -= len(block) + 1
        if room < 0:
            left = counted(len(blocks) - at, "section")
            text.append(
                f"{left} left out, to stay under {MOST_CHARACTERS:,} characters: see the whole report.\n"
            )
            break
        text.append(block)
    return "\n".join(text)


def _blocks(page: Document) -> Iterator[str]:
    for chapter in page.chapters:
        yield f"## {prose(chapter.heading)}\n" + (f"\n{prose(chapter.about)}\n" if chapter.about else "")
        yield from (_table(table) for table in chapter.lead)
        if chapter.notes:
            yield _findings(chapter.notes, chapter.notes_left)
        yield from (_table(table) for table in chapter.tables)
    for comparison in page.comparisons:
        yield _opening(comparison, alone=len(page.comparisons) == 1)
        if comparison.notes:
            yield _findings(comparison.notes, comparison.notes_left)
        if comparison.steps:
            yield _steps(comparison.steps)
        yield from (_table(table) for table in comparison.tables)
    yield from (_table(table) for table in page.tables)
    if page.rivals:
        yield "### Fine-tunes against each other\n\n" + "".join(
            f"- paired: {prose(said)}\n" for said in page.rivals
        )
    yield _provenance(page.provenance)


def _opening(comparison: Comparison, *, alone: bool) -> str:
    lines = [f"## {prose(comparison.heading)}", ""]
    if not alone:
        lines += [f"**{comparison.word}** {prose(comparison.sentence)}", ""]
    lines += [prose(comparison.about), *("" if not comparison.absent else ("",))]
    lines += [f"- {prose(said)}" for said in comparison.absent]
    return "\n".join(lines) + "\n"


def _findings(notes: Sequence[Note], left: int) -> str:
    lines = ["### Findings", ""]
    for note in notes:
        lines.append(
            f"- **{note.severity}** {prose(note.title)} ({code(note.ident)}, confidence {note.confidence})"
        )
        if note.advice:
            lines.append(f"  <br>Try: {prose(note.advice)}")
    if left:
        lines.append(f"- {numbers.count(left)} more in the report")
    return "\n".join(lines) + "\n"


def _steps(steps: Sequence[tuple[str, str]]) -> str:
    lines = [f"- {code(command)} {prose(told)}" for command, told in steps]
    return "\n".join(["### To run next", "", *lines]) + "\n"


def _table(table: Table) -> str:
    text = f"{_grid(table)}\n{prose(table.note)}\n" if table.note else _grid(table)
    if table.ident in _FOLDED:
        return _folded(table.title, text)
    return f"### {prose(table.title)}\n\n{text}"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def _grid(table: Table) -> str:
    # An interval is drawn in HTML alone; its numbers stand beside it.
    drawn_here = {at for row in table.rows for at, cell in enumerate(row) if isinstance(cell.mark, Bar)}
    kept = [at for at, column in enumerate(table.columns) if not column.drawn or at in drawn_here]
    columns = [table.columns[at] for at in kept]
    lines = [
        _line(column.title for column in columns),
        _line("--:" if column.numeric else ":--" for column in columns),
        *(_line(_cell(row[at]) for at in kept) for row in table.rows),
    ]
    return "\n".join(lines) + "\n"


def _line(texts: Iterator[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell.mark, Bar):
        return numbers.bar(cell.mark.value, 10)
    if cell.picture:
        return "a picture"
    text = code(cell.text) if cell.named else prose(cell.text, 300)
    return f"**{text}**" if text and cell.tone == "bad" and not cell.named else text


def _provenance(facts: Sequence[Fact]) -> str:
    lines = [
        f"- {prose(fact.term)}: {', '.join(code(value, 300) for value in fact.values)}" for fact in facts
    ]
    return _folded("Provenance", "\n".join(lines) + "\n")
