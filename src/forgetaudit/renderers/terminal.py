"""The first screen for a terminal or a pipe: complete without colour, at most as wide as asked, ASCII on request."""

import io
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from forgetaudit.renderers.backends import terminal
from forgetaudit.renderers.escapes import printable
from forgetaudit.renderers.lines import Line
from forgetaudit.renderers.views.registry import blocks_of
from forgetaudit.report.report import AuditReport

__all__ = ["one_line", "render", "render_lines"]

STYLES = {"": "", "bold": "bold", "label": "bold", "dim": "dim", "bad": "bold red", "good": "green"} | {
    "warn": "yellow",
    "bar": "cyan",
}

_ASCII = str.maketrans({
    "→": "->", "−": "-", "·": "|", "…": "...", "‖": "|", "Δ": "d", "θ": "w", "₀": "0", "≥": ">=", "≤": "<=",
    "█": "#", "▉": "#", "▊": "#", "▋": "=", "▌": "=", "▍": "-", "▎": "-", "▏": ".", "›": ">", "–": "-",
    "●": "*", "○": "o", "│": "|", "┤": "+", "└": "+", "─": "-", "┴": "+", "Σ": "sum", "≈": "~", "∞": "inf",
})  # fmt: skip


def render(
    report: AuditReport,
    *,
    width: int | None = None,
    colour: bool = False,
    unicode: bool = True,
    exit_note: str = "",
) -> str:
    """The report as text. Lines longer than `width` are wrapped, with an indent; None (a pipe) leaves them whole."""
    return render_lines(
        terminal.lines(blocks_of(report, exit_note)), width=width, colour=colour, unicode=unicode
    )


def render_lines(
    lines: Iterable[Line], *, width: int | None = None, colour: bool = False, unicode: bool = True
) -> str:
    """Styled lines as text, as `render` makes them."""
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width or 10_000,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )
    for line in lines:
        for row in _rows(line, width, unicode=unicode):
            console.print(row, end="\n", overflow="ignore", no_wrap=True, crop=False)
    return buffer.getvalue()


def _rows(line: list[tuple[str, str]], width: int | None, *, unicode: bool) -> list[Text]:
    text = Text()
    for piece, style in line:
        text.append(one_line(piece, unicode=unicode), STYLES[style])
    text.rstrip()
    if width is None or text.cell_len <= width:
        return [text]
    indent = len(line[0][0]) if len(line) > 1 and line[0][0].endswith(" ") and len(line[0][0]) <= 16 else 2
    return _wrapped(text, width, indent)


def _wrapped(text: Text, width: int, indent: int) -> list[Text]:
    """Broken at spaces; a word that is longer than a line (a path) stays whole rather than being cut."""
    rows: list[Text] = []
    rest = text
    while rest.cell_len > width:
        at = rest.plain.rfind(" ", indent + 1, width + 1)
        if at <= indent:
            at = rest.plain.find(" ", width)
            if at < 0:
                break
        rows.append(rest[:at])
        rows[-1].rstrip()
        rest = Text(" " * indent).append_text(rest[at + 1 :])
    return [*rows, rest]


def one_line(text: str, *, unicode: bool) -> str:
    """What a screen shows of `text`: no control character is obeyed, and signs have their ASCII likeness on request."""
    shown = printable(text)
    return shown if unicode else shown.translate(_ASCII)
