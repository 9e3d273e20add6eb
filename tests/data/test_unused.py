"""No column is dropped without a word: layouts whose answers are scored are refused, all else is named."""

import json
from pathlib import Path

import pytest

from forgetaudit.data.examples import Examples
from forgetaudit.data.readers import open_examples
from forgetaudit.errors import DataError
from forgetaudit.gaps import gaps_in

PROSE = "a text of several words"


def read(folder: Path, row: dict[str, object], **asked: str) -> Examples:
    (folder / "val.jsonl").write_text("\n".join([json.dumps(row)] * 3))
    return open_examples("val.jsonl", directory=folder, **asked)  # type: ignore[arg-type]


LAYOUTS = [
    ("prompts with completions", ["prompt", "completion"]),
    ("prompts with responses", ["Prompt", "Response"]),
    ("instructions", ["instruction", "input", "output"]),
    ("instructions", ["instruction", "context", "response", "category"]),
    ("preferences", ["prompt", "chosen", "rejected"]),
    ("questions with answers", ["question", "answers"]),
    ("MedMCQA", ["question", "exp", "opa", "opb", "opc", "opd", "cop"]),
    ("WinoGrande", ["sentence", "option1", "option2", "answer"]),
    ("SciQ", ["question", "distractor1", "distractor2", "distractor3", "correct_answer", "support"]),
    ("PIQA", ["goal", "sol1", "sol2", "label"]),
    ("summaries", ["document", "summary"]),
    ("problems with solutions", ["problem", "solution"]),
]


@pytest.mark.parametrize(("name", "columns"), LAYOUTS)
@pytest.mark.parametrize("text", [PROSE, "short"])
def test_data_whose_answers_are_scored_are_refused_by_name(
    tmp_path: Path, name: str, columns: list[str], text: str
) -> None:
    with pytest.raises(DataError, match=f"the data are {name} ") as refusal:
        read(tmp_path, dict.fromkeys(columns, text))
    assert "--input-column" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("TruthfulQA", {"question": PROSE, "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]}}),
        ("conversations", {"messages": [{"role": "user", "content": PROSE}]}),
        ("conversations", {"conversations": [{"from": "human", "value": PROSE}], "text": PROSE}),
        ("translations", {"translation": {"de": PROSE, "en": PROSE}}),
    ],
)
def test_layouts_of_nested_columns_are_refused_by_name_too(
    tmp_path: Path, name: str, row: dict[str, object]
) -> None:
    with pytest.raises(DataError, match=f"the data are {name} "):
        read(tmp_path, row)


def test_a_prompt_that_is_asked_for_is_read_and_what_was_left_stands_on_the_first_screen(
    tmp_path: Path,
) -> None:
    found = read(tmp_path, {"prompt": PROSE, "completion": "x"}, input_column="prompt")
    (gap,) = gaps_in(found.decisions)
    assert gap.what == "of the columns prompt was read, as asked; not read: completion"
    assert (gap.ident, gap.holds) == ("columns-not-read", "nothing")
    both = read(tmp_path, {"prompt": PROSE, "completion": "x"}, input_column="prompt,completion")
    assert gaps_in(both.decisions) == ()


@pytest.mark.parametrize(
    "columns",
    [
        ("sentence1", "sentence2"),
        ("premise", "hypothesis"),
        ("question", "answer"),
        ("query", "passage"),
        ("text",),
    ],
)
def test_pairs_and_single_texts_are_read_without_a_gap(tmp_path: Path, columns: tuple[str, ...]) -> None:
    found = read(tmp_path, {**dict.fromkeys(columns, PROSE), "label": 1, "idx": 3})
    assert gaps_in(found.decisions) == ()
    assert "not used: 1 column, idx" in found.decisions


def test_plain_columns_beside_the_text_are_named(tmp_path: Path) -> None:
    found = read(tmp_path, {"text": PROSE, "label": 0, "title": PROSE, "uid": "a1", "lang": "de"})
    assert [gap.what for gap in gaps_in(found.decisions)] == [
        "of the columns text was read, label label; not read: title, uid, lang"
    ]


@pytest.mark.parametrize("other", ["evidence", "reply", "hypothesis"])
def test_prose_beside_a_text_that_was_taken_by_its_name_is_ambiguous(tmp_path: Path, other: str) -> None:
    row = {"text": PROSE, "label": 0, other: "other words than these here"}
    with pytest.raises(DataError, match=f"more than one column could be the input: text, {other}") as refusal:
        read(tmp_path, row)
    assert refusal.value.hint == (
        f"name what is meant: --input-column text, or both: --input-column text --input-column {other}"
    )
    assert len(read(tmp_path, row, input_column="text")) == 3


def test_what_stands_in_the_text_that_is_read_is_not_left(tmp_path: Path) -> None:
    row = {"ctx": f"{PROSE} and more", "ctx_a": PROSE, "endings": ["a", "b"], "label": 0}
    assert read(tmp_path, row).of_choices


def test_a_second_column_of_classes_is_named() -> None:
    import datasets

    from forgetaudit.data.readers import examples_of

    classes = datasets.ClassLabel(names=["a", "b"])
    features = datasets.Features(text=datasets.Value("string"), label=classes, coarse=classes)
    found = examples_of(
        datasets.Dataset.from_dict({"text": [PROSE], "label": [0], "coarse": [1]}, features=features)
    )
    assert [gap.what for gap in gaps_in(found.decisions)] == [
        "of the columns text was read, label label; not read: coarse"
    ]


def test_empty_texts_are_counted_and_most_of_them_hold_the_gate(tmp_path: Path) -> None:
    def gap_of(texts: list[str]) -> tuple[str, str]:
        (tmp_path / "val.jsonl").write_text("\n".join(json.dumps({"text": t, "label": 0}) for t in texts))
        (gap,) = gaps_in(open_examples("val.jsonl", directory=tmp_path).decisions)
        return gap.what, gap.holds

    assert gap_of(["a", "", "b", " \n"]) == ("2 of 4 texts in text are empty: rows 1, 3", "nothing")
    assert gap_of(["a", "", " "])[1] == "behaviour"
    with pytest.raises(DataError, match="every text in text is empty"):
        gap_of(["", "  "])
