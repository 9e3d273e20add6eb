"""Questions: contexts with choices, read from a source."""

from collections.abc import Callable

from forgetaudit.data.answers import read_answers, read_choices
from forgetaudit.data.column import Columns
from forgetaudit.data.examples import Choices, Input
from forgetaudit.data.labels import Labels
from forgetaudit.data.sources import Source

__all__ = ["read_questions"]


def read_questions(
    source: Source, columns: Columns
) -> tuple[Callable[[int], Input], Labels | None, list[str]]:
    """What reads the question in a row, the places of the right choices, and sentences on them.

    All choices and answers are looked at beforehand: DataError naming the rows that are no questions.
    """
    context, column = columns.inputs
    choices = read_choices(source.values(column.name), column.name)

    def read(row: int) -> Input:
        return Choices(context=str(source.read(context, row)), choices=choices.texts[row])

    if columns.label is None:
        return read, None, [choices.decision]
    answers = read_answers(source.values(columns.label.name), choices, columns.label)
    said = f"{columns.label.name} is empty or -1 in every row" if answers is None else answers.decision
    return read, answers, [choices.decision, said]
