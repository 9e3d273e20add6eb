"""Contexts with choices: which columns, and which choice is right, however the answer is written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from forgetaudit.data.answers import read_answers, read_choices
from forgetaudit.data.column import Column, Kind
from forgetaudit.data.columns import choose_columns
from forgetaudit.data.examples import Choices, content_hash
from forgetaudit.data.readers import examples_of, open_examples
from forgetaudit.errors import DataError
from forgetaudit.gaps import gaps_in

CHOICES = Column(name="choices", kind=Kind.CHOICES)
CONTEXT = Column(name="context", kind=Kind.TEXT)
ANSWER = Column(name="answer", kind=Kind.INTEGER)
FOUR = ["north", "east", "south", "west"]


def answers(
    *values: Any, choices: Sequence[Any] | None = None, names: tuple[str, ...] | None = None
) -> list[int]:
    column = Column(name="answer", kind=Kind.CLASS if names else Kind.TEXT, class_names=names)
    found = read_answers(values, read_choices(choices or [FOUR] * len(values), "choices"), column)
    assert found is not None
    assert found.class_names is None
    return list(found.ids)


def refused(*values: Any, **given: Any) -> DataError:
    with pytest.raises(DataError) as refusal:
        answers(*values, **given)
    return refusal.value


def text(name: str) -> Column:
    return Column(name=name, kind=Kind.TEXT)


def chosen(*columns: Column, **asked: str) -> tuple[str, str | None]:
    found = choose_columns(columns, **asked)
    assert found.of_choices
    return "+".join(c.name for c in found.inputs), None if found.label is None else found.label.name


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([CHOICES, ANSWER, CONTEXT], ("context+choices", "answer")),
        ([text("id"), text("question"), CHOICES, text("answerKey")], ("question+choices", "answerKey")),
        (
            [text("ctx_a"), text("ctx"), text("activity_label"), Column(name="endings", kind=Kind.CHOICES), text("label")],
            ("ctx+endings", "label"),
        ),
        (
            [text("Question"), Column(name="subject", kind=Kind.CLASS), CHOICES, Column(name="answer", kind=Kind.CLASS)],
            ("Question+choices", "answer"),
        ),
        ([text("riddle"), Column(name="options", kind=Kind.CHOICES), text("gold")], ("riddle+options", "gold")),
        ([CONTEXT, CHOICES, Column(name="subject", kind=Kind.CLASS)], ("context+choices", None)),
    ],
)  # fmt: skip
def test_contexts_with_choices_are_found_by_type_then_name(columns: list[Column], expected: Any) -> None:
    assert chosen(*columns) == expected


def test_the_decision_names_all_three_columns() -> None:
    assert choose_columns([CONTEXT, CHOICES, ANSWER]).decision == (
        "input context and choices (by name, a context with choices), label answer (by name, whole numbers)"
    )
    asked = choose_columns([text("a"), CHOICES, ANSWER], input_column="choices,a")
    assert asked.decision.startswith("input a and choices (asked for, a context with choices)")


def test_lists_of_texts_of_another_name_and_beside_images_are_no_choices() -> None:
    tags = Column(name="tags", kind=Kind.CHOICES)
    label = Column(name="label", kind=Kind.INTEGER)
    assert choose_columns([text("text"), tags, label]).decision.startswith(
        "input text (by name, text), label label"
    )
    image = Column(name="image", kind=Kind.IMAGE)
    assert not choose_columns([image, text("question"), CHOICES, label]).of_choices
    assert not choose_columns([text("text"), CHOICES, label], input_column="text").of_choices
    assert chosen(text("text"), tags, label, input_column="text,tags") == ("text+tags", "label")


@pytest.mark.parametrize(
    ("columns", "fact", "hint"),
    [
        (
            [text("article"), text("question"), CHOICES, ANSWER],
            "more than one column could be the context: article, question",
            "name it: --input-column article --input-column choices",
        ),
        (
            [CONTEXT, CHOICES, Column(name="options", kind=Kind.CHOICES), ANSWER],
            "more than one column could be the choices: choices, options",
            "name the context and one of them: --input-column question --input-column choices",
        ),
        (
            [CONTEXT, CHOICES, ANSWER, text("label")],
            "more than one column could be the label: answer, label",
            "name one: --label-column answer",
        ),
        (
            [CHOICES, text("answer")],
            "no column holds the context of the choices in choices",
            "name it: --input-column question --input-column choices",
        ),
    ],
)
def test_two_that_could_serve_are_refused_with_the_option(
    columns: list[Column], fact: str, hint: str
) -> None:
    with pytest.raises(DataError) as refusal:
        choose_columns(columns)
    assert (refusal.value.fact, refusal.value.hint) == (fact, hint)


def test_choices_alone_are_no_input() -> None:
    with pytest.raises(DataError, match=r"choices \(lists of texts\) cannot be one input") as refusal:
        choose_columns([CONTEXT, CHOICES], input_column="choices")
    assert refusal.value.hint == (
        "name a column of text beside it: --input-column question --input-column choices"
    )


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([0, 3, 1], [0, 3, 1]),
        ([1.0, 0.0, 2.0], [1, 0, 2]),
        (["0", "2", "1"], [0, 2, 1]),
        (["A", "d", "(B)"], [0, 3, 1]),
        (["C.", " b ", "A:"], [2, 1, 0]),
        (["west", "north", " east"], [3, 0, 1]),
        ([4, 1, 2], [3, 0, 1]),
        (["4", "1", "2"], [3, 0, 1]),
        ([True, False, True], [1, 0, 1]),
    ],
)
def test_an_answer_may_be_a_place_a_letter_or_the_text(values: list[Any], places: list[int]) -> None:
    assert answers(*values) == places


def test_numbers_that_count_from_one_are_told_with_the_proof() -> None:
    column = Column(name="answer", kind=Kind.INTEGER)
    found = read_answers([4, 1, 4], read_choices([FOUR] * 3, "choices"), column)
    assert found is not None
    assert found.decision == "answers counted from 1: none is 0, and 2 are the number of choices"
    zero = read_answers([0, 3], read_choices([FOUR] * 2, "choices"), column)
    assert zero is not None
    assert zero.decision == "answers counted from 0"


def test_numbers_that_could_count_from_zero_or_one_are_refused() -> None:
    found = refused(1, 2, 1)
    assert found.fact == (
        "the answers in answer fit counted from 0 and counted from 1, and mean different choices"
    )
    assert found.details == ("row 0: 1 is choice 1 or 0, from 0",)
    assert found.hint is not None
    assert found.hint.startswith("write each answer as the text of its choice")


def test_an_answer_that_is_a_number_and_a_text_is_refused_unless_both_mean_one_choice() -> None:
    assert (
        "fit as the text of a choice and counted from 0" in refused("1", "0", choices=[["1", "0"]] * 2).fact
    )
    assert answers("0", "1", choices=[["0", "1"]] * 2) == [0, 1]
    assert answers("B", "A", choices=[["A", "B"]] * 2) == [1, 0]
    assert "fit as the text of a choice and as letters" in refused("B", "A", choices=[["B", "A"]] * 2).fact


def test_a_text_that_stands_there_twice_names_no_choice() -> None:
    assert (
        "1 of 2 answers in answer name none of their choices"
        in refused("up", "down", choices=[["up", "up", "down"], ["up", "down"]]).fact
    )


def test_labels_beside_the_choices_decide_alone() -> None:
    arc = [{"text": FOUR, "label": ["1", "2", "3", "4"]}, {"text": FOUR[:3], "label": ["A", "B", "C"]}]
    assert answers("2", "C", choices=arc) == [1, 2]
    assert answers("2", "1", choices=[arc[0], arc[0]]) == [1, 0]


def test_class_labels_are_read_by_their_names() -> None:
    assert answers(1, 0, names=("A", "B", "C", "D")) == [1, 0]
    assert answers(0, 1, names=("south", "west", "north", "east")) == [2, 3]
    assert answers(0, 3, names=("first", "second", "third", "fourth")) == [0, 3]


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (
            [0, 4, 7, 1, 9, 11],
            "rows (4): 1 (4 of 4 choices), 2 (7 of 4 choices), 4 (9 of 4 choices), … 1 more",
        ),
        (["A", "E", "B"], "rows (1): 1 ('E' of 4 choices)"),
        ([0, 1.5], "rows (1): 1 (1.5 of 4 choices)"),
        ([0, -2], "rows (1): 1 (-2 of 4 choices)"),
    ],
)
def test_answers_out_of_range_are_refused_with_their_rows(values: list[Any], rows: str) -> None:
    found = refused(*values)
    assert "name none of their choices" in found.fact
    assert found.details == (rows,)


def test_some_missing_answers_are_refused_and_none_at_all_is_no_label() -> None:
    assert refused(0, None, 1).fact == "1 of 3 rows have no answer"
    rows = read_choices([FOUR, FOUR], "choices")
    assert read_answers([None, None], rows, ANSWER) is None


@pytest.mark.parametrize(
    ("bad", "fact", "detail"),
    [
        ([], "1 of 3 rows have fewer than two choices", "rows (1): 1 (none)"),
        (None, "1 of 3 rows have fewer than two choices", "rows (1): 1 (none)"),
        (["only"], "1 of 3 rows have fewer than two choices", "rows (1): 1 (one)"),
        (["a", " "], "1 of 3 rows have an empty text among their choices", "rows (1): 1"),
        (["a", None], "1 of 3 rows have an empty text among their choices", "rows (1): 1"),
    ],
)
def test_rows_without_two_choices_are_refused_with_their_numbers(bad: Any, fact: str, detail: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_choices([FOUR, bad, FOUR], "choices")
    assert refusal.value.fact == fact
    assert refusal.value.details == (detail,)


def test_questions_may_have_different_numbers_of_choices() -> None:
    rows = read_choices([FOUR, FOUR[:2]], "choices")
    assert (rows.texts[1], rows.decision) == (("north", "east"), "2 to 4 choices a question")


def test_questions_of_a_file_are_read_and_told(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "Where to?", "options": FOUR, "answer": "B"},
        {"id": "b", "question": "And then?", "options": FOUR[:3], "answer": "C"},
    ]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = open_examples("quiz.jsonl", directory=tmp_path)
    assert (found.of_choices, found.of_text, found.labelled, found.class_names) == (True, False, True, None)
    assert [example.label for example in found] == [1, 2]
    assert next(iter(found)).input == Choices(context="Where to?", choices=tuple(FOUR))
    assert found.decisions == (
        "input question and options (by name, a context with choices), label answer (by name, text)",
        "3 to 4 choices a question",
        "answers as letters",
        *gaps_in(found.decisions),
        "2 examples",
    )
    assert [gap.what for gap in gaps_in(found.decisions)] == [
        "of the columns question and options was read, label answer; not read: id"
    ]


def test_a_missing_context_is_refused_with_its_row(tmp_path: Path) -> None:
    rows = [{"context": one, "choices": FOUR, "answer": 0} for one in ("x", None)]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"context in row 1 of quiz\.jsonl is empty"):
        list(open_examples("quiz.jsonl", directory=tmp_path))


def test_choices_with_labels_of_their_own_are_read_as_arc_has_them() -> None:
    rows = {
        "question": ["Where?", "When?"],
        "choices": [
            {"text": FOUR, "label": ["1", "2", "3", "4"]},
            {"text": FOUR, "label": ["A", "B", "C", "D"]},
        ],
        "answerKey": ["3", "A"],
    }
    found = examples_of(datasets.Dataset.from_dict(rows))
    assert [example.label for example in found] == [2, 0]
    assert "answers as the labels of the choices" in found.decisions


def test_questions_are_told_apart_by_every_text_and_where_it_ends() -> None:
    held = [
        Choices(context="ab", choices=("c", "d")),
        Choices(context="a", choices=("bc", "d")),
        Choices(context="ab", choices=("cd",)),
        Choices(context="ab", choices=("d", "c")),
        Choices(context="", choices=("ab", "c", "d")),
    ]
    assert len({content_hash(one) for one in held}) == len(held)
    assert content_hash(held[0]) == content_hash(Choices(context="ab", choices=("c", "d")))
