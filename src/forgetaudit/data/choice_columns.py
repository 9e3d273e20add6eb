"""Which columns hold contexts with choices, and which the answers. By their names alone."""

from collections.abc import Sequence

from forgetaudit.data.column import Column, Kind
from forgetaudit.errors import DataError

__all__ = ["ANSWER_NAMES", "choices_column", "context_column", "with_choices"]

# As the public data sets name them: HellaSwag, ARC, OpenBookQA, CommonsenseQA, MMLU, RACE, Social IQa, LogiQA.
CHOICE_NAMES = (
    "choices",
    "endings",
    "options",
    "candidates",
    "continuations",
    "completions",
    "answer_choices",
)
CONTEXT_NAMES = (
    "context", "ctx", "question", "query", "prompt", "stem", "question_stem", "goal", "premise", "passage", "article",
    "story", "paragraph", "support", "sentence", "text", "input", "inputs",
)  # fmt: skip
ANSWER_NAMES = (
    "answer", "label", "labels", "gold", "target", "correct", "y", "answer_idx", "answer_index", "answer_id",
    "answer_key", "answerkey", "answer_text", "correct_answer", "correct_option", "correct_choice", "correct_idx",
    "label_idx", "target_idx", "gold_idx",
)  # fmt: skip


def with_choices(inputs: Sequence[Column]) -> tuple[Column, ...]:
    """The context first, in whatever order they were asked for."""
    texts = [column for column in inputs if column.kind is Kind.TEXT]
    choices = [column for column in inputs if column.kind is Kind.CHOICES]
    if len(inputs) != 2 or len(texts) != 1:
        held = ", ".join(f"{column.name} ({column.kind.value})" for column in inputs)
        raise DataError(
            f"{held} cannot be one input",
            hint=f"name a column of text beside it: --input-column question --input-column {choices[0].name}",
        )
    return texts[0], choices[0]


def choices_column(columns: Sequence[Column], asked: Sequence[str]) -> Column | None:
    """The column of choices, where the data hold any: asked for, else known by its name beside text, without images."""
    lists = [column for column in columns if column.kind is Kind.CHOICES]
    if asked:
        return next((column for column in lists if column.name in asked), None)
    kinds = {column.kind for column in columns}
    usual = [column for column in lists if column.plain_name in CHOICE_NAMES]
    if Kind.TEXT not in kinds or Kind.IMAGE in kinds or not usual:
        return None
    if len(usual) > 1:
        raise DataError(
            f"more than one column could be the choices: {_names(usual)}",
            hint=f"name the context and one of them: --input-column question --input-column {usual[0].name}",
        )
    return usual[0]


def context_column(columns: Sequence[Column], label: Column | None, choices: Column) -> Column:
    """The only text with a usual name, else the only text."""
    texts = [column for column in columns if column.kind is Kind.TEXT and column is not label]
    usual = [column for column in texts if column.plain_name in CONTEXT_NAMES]
    candidates = usual or texts
    if len(candidates) == 1:
        return candidates[0]
    found = f"more than one column could be the context: {_names(candidates)}"
    name = candidates[0].name if candidates else "question"
    raise DataError(
        found if candidates else f"no column holds the context of the choices in {choices.name}",
        hint=f"name it: --input-column {name} --input-column {choices.name}",
    )


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)
