"""What tables of several commands have in common."""

from collections.abc import Sequence

from forgetaudit.renderers.document import Cell, Column, Table
from forgetaudit.wording import counted

__all__ = ["left_out", "said_table"]


def left_out(n: int, what: str, where: str = "between these") -> str:
    """How many rows are not shown; nothing where all are."""
    return f"{counted(n, what)} {where} {'is' if n == 1 else 'are'} in the report." if n > 0 else ""


def said_table(ident: str, title: str, told: Sequence[tuple[str, str]]) -> Table:
    """Sentences with what each is about."""
    return Table(
        ident=ident,
        title=title,
        columns=(Column(title="about"), Column(title="what is known", wide=True)),
        rows=tuple((Cell(text=what), Cell(text=said)) for what, said in told),
    )
