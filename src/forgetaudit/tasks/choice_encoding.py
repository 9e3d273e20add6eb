"""Contexts and their endings as tokens, split where lm-eval splits them.

lm-eval 0.4.13, `TemplateLM._encode_pair`: spaces at the end of the context go to the ending, and an ending is what the
tokens of both together have beyond those of the context.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.data.examples import Choices, Example
from forgetaudit.errors import DataError, ModelError
from forgetaudit.tasks.task import Tokens

__all__ = ["Question", "encode_questions"]

# What stands between a context and a choice.
DELIMITER = " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The tokens of a context, its last `longest` at most, and of each ending. `cut`: with some ending it is longer."""

    context: tuple[int, ...]
    endings: tuple[tuple[int, ...], ...]
    cut: bool


def encode_questions(examples: Sequence[Example], tokens: Tokens) -> list[Question]:
    """Every context and ending in tokens. DataError naming an example that cannot be scored."""
    held = [_choices_of(example) for example in examples]
    stripped = [choices.context.rstrip() for choices in held]
    contexts = tokens.read(stripped, special_tokens=True)
    # What goes on from an empty context is read without what stands before a text: `_begin` puts that there.
    endings = {
        empty: tokens.read(
            [
                f"{choices.context}{DELIMITER}{choice}"
                for choices, context in zip(held, stripped, strict=True)
                for choice in choices.choices
                if empty is (not context)
            ],
            special_tokens=not empty,
        )
        for empty in (False, True)
    }
    readers = {empty: iter(found) for empty, found in endings.items()}
    questions = []
    for example, choices, context, ids in zip(examples, held, stripped, contexts, strict=True):
        whole = [next(readers[not context]) for _ in choices.choices]
        start = ids if context else _start(tokens)
        parts = [row[len(ids) :] if context else row for row in whole]
        questions.append(_question(example, start, parts, tokens.longest))
    return questions


def _question(
    example: Example, context: Sequence[int], endings: Sequence[Sequence[int]], longest: int
) -> Question:
    for number, ending in enumerate(endings):
        if not 0 < len(ending) <= longest:
            raise DataError(
                f"choice {number} of example {example.id} has {len(ending):,} tokens, and the model reads "
                f"1 to {longest:,}",
                hint="leave the example out",
            )
    # The last token of an ending is only predicted, never read.
    longest_row = len(context) + max(map(len, endings)) - 1
    return Question(
        context=tuple(context[-longest:]),
        endings=tuple(map(tuple, endings)),
        cut=longest_row > longest,
    )


def _start(tokens: Tokens) -> list[int]:
    if tokens.start is None:
        raise ModelError(
            "a context is empty, and base's tokenizer has no token that stands for nothing",
            hint="leave out the examples without a context",
        )
    return [tokens.start]


def _choices_of(example: Example) -> Choices:
    if isinstance(example.input, Choices):
        return example.input
    raise DataError(
        "the data hold something else than contexts with choices",
        hint="name the columns: --input-column question --input-column choices",
    )
