import pytest

from forgetaudit.data.columns import Column, Kind, choose_columns
from forgetaudit.errors import DataError

IMAGE = Column(name="image", kind=Kind.IMAGE)
THUMBNAIL = Column(name="thumbnail", kind=Kind.IMAGE)
ARRAY = Column(name="x", kind=Kind.ARRAY)
CLASS = Column(name="digit", kind=Kind.CLASS, class_names=("0", "1"))
WHOLE = Column(name="label", kind=Kind.INTEGER)
YEAR = Column(name="year", kind=Kind.INTEGER)
TEXT = Column(name="sentence", kind=Kind.TEXT)


def names(*columns: Column, **asked: str) -> tuple[str, str | None]:
    chosen = choose_columns(columns, **asked)
    return " + ".join(c.name for c in chosen.inputs), None if chosen.label is None else chosen.label.name


def texts(*columns: str) -> list[Column]:
    return [Column(name=name, kind=Kind.TEXT) for name in columns]


def test_types_decide_before_names() -> None:
    assert names(WHOLE, CLASS, ARRAY, THUMBNAIL) == ("thumbnail", "digit")


def test_names_decide_between_columns_of_one_type() -> None:
    label = Column(name="Label ", kind=Kind.CLASS)
    assert names(THUMBNAIL, IMAGE, CLASS, label) == ("image", "Label ")


def test_labels_without_a_type_are_found_by_name() -> None:
    assert names(IMAGE, YEAR, WHOLE) == ("image", "label")
    assert names(ARRAY, Column(name="y", kind=Kind.TEXT)) == ("x", "y")


def test_a_number_is_no_label_because_it_is_the_only_one() -> None:
    chosen = choose_columns([IMAGE, YEAR])
    assert chosen.label is None
    assert chosen.decision == "input image (by type, images), no label column"


def test_the_decision_names_both_columns_and_why() -> None:
    assert choose_columns([IMAGE, WHOLE]).decision == (
        "input image (by type, images), label label (by name, whole numbers)"
    )


def test_columns_asked_for_overrule_the_detection() -> None:
    assert names(IMAGE, THUMBNAIL, CLASS, YEAR, input_column="thumbnail", label_column="year") == (
        "thumbnail",
        "year",
    )


def test_two_inputs_are_refused_with_their_names_and_the_option() -> None:
    columns = [Column(name=name, kind=Kind.IMAGE) for name in ("left", "right")]
    with pytest.raises(DataError) as refusal:
        choose_columns(columns)
    assert refusal.value.fact == "more than one column could be the input: left, right"
    assert refusal.value.hint == "name one: --input-column left"


def test_two_labels_are_refused_with_their_names_and_the_option() -> None:
    columns = [IMAGE, *(Column(name=name, kind=Kind.CLASS) for name in ("fine_label", "coarse_label"))]
    with pytest.raises(DataError) as refusal:
        choose_columns(columns)
    assert refusal.value.fact == "more than one column could be the label: fine_label, coarse_label"
    assert refusal.value.hint == "name one: --label-column fine_label"


def test_an_unknown_column_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError) as refusal:
        choose_columns([IMAGE, WHOLE], label_column="lable")
    assert refusal.value.fact == "there is no column lable for --label-column"
    assert refusal.value.details == ("columns: image, label",)
    assert refusal.value.hint == "did you mean --label-column label?"


@pytest.mark.parametrize("name", ["text", "Sentence", "content", "review", "question", "premise", "motto"])
def test_the_only_text_is_the_input_whatever_its_name(name: str) -> None:
    assert names(*texts(name), WHOLE) == (name, "label")


def test_a_usual_name_decides_between_texts() -> None:
    assert names(*texts("id", "title", "content"), WHOLE) == ("content", "label")
    assert choose_columns([*texts("id", "text"), WHOLE]).decision == (
        "input text (by name, text), label label (by name, whole numbers)"
    )


@pytest.mark.parametrize(
    "pair",
    [
        ("sentence1", "sentence2"),
        ("premise", "hypothesis"),
        ("question1", "question2"),
        ("question", "passage"),
        ("question", "answer"),
        ("anchor", "positive"),
        ("question", "sentence"),
        ("sentence_A", "sentence_B"),
    ],
)
def test_two_texts_that_are_judged_together_are_read_together_and_in_order(pair: tuple[str, str]) -> None:
    chosen = choose_columns([*texts("idx", pair[1], pair[0]), WHOLE])
    assert tuple(column.name for column in chosen.inputs) == pair
    assert chosen.decision.startswith(f"input {pair[0]} and {pair[1]} (by name, pairs of texts), label")


@pytest.mark.parametrize(
    "held", [("headline", "body"), ("premise", "hypothesis", "text"), ("text", "content")]
)
def test_texts_between_which_nothing_decides_are_refused_with_their_names(held: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as refusal:
        choose_columns([*texts(*held), WHOLE])
    assert refusal.value.fact == f"more than one column could be the input: {', '.join(held)}"
    assert refusal.value.hint == (
        f"name one: --input-column {held[0]}, or two that are judged together: "
        f"--input-column {held[0]} --input-column {held[1]}"
    )


def test_a_pair_asked_for_is_taken_in_the_order_asked() -> None:
    columns = [*texts("body", "headline", "text"), WHOLE]
    assert names(*columns, input_column="headline,body") == ("headline + body", "label")
    assert names(*columns, input_column=" headline , body ") == ("headline + body", "label")
    assert choose_columns(columns, input_column="headline,body").decision.startswith(
        "input headline and body (asked for, pairs of texts)"
    )


def test_a_name_that_holds_a_comma_is_one_name() -> None:
    assert names(*texts("a,b", "a", "b"), input_column="a,b") == ("a,b", None)


def test_labels_in_words_are_not_taken_for_the_text() -> None:
    assert names(*texts("motto", "label")) == ("motto", "label")


def test_images_and_arrays_come_before_text_that_is_not_named_as_an_input() -> None:
    assert names(*texts("caption"), IMAGE, WHOLE) == ("image", "label")
    assert names(*texts("text"), IMAGE, WHOLE) == ("image", "label")
    assert names(*texts("name"), ARRAY, WHOLE) == ("x", "label")


def test_what_a_tokenizer_left_beside_the_text_is_no_input() -> None:
    left = [Column(name=name, kind=Kind.ARRAY) for name in ("input_ids", "attention_mask")]
    assert names(*texts("text"), *left, WHOLE) == ("text", "label")
    assert names(left[0]) == ("input_ids", None)


def test_arrays_beside_text_that_is_named_as_an_input_are_refused() -> None:
    with pytest.raises(DataError, match=r"could be the input: text, embedding\n"):
        choose_columns([*texts("text"), Column(name="embedding", kind=Kind.ARRAY), WHOLE])


def test_what_cannot_be_one_input_is_refused_as_asked() -> None:
    columns = [*texts("a", "b", "c"), IMAGE, WHOLE]
    for asked in ("a,b,c", "a,image", "a,a"):
        with pytest.raises(DataError) as refusal:
            choose_columns(columns, input_column=asked)
        assert refusal.value.fact.endswith("cannot be one input")
        assert refusal.value.hint == "--input-column takes one column, or two of text"
    with pytest.raises(DataError, match="there is no column d for --input-column"):
        choose_columns(columns, input_column="a,d")
    with pytest.raises(DataError, match="column label holds whole numbers: it cannot be an input"):
        choose_columns(columns, input_column="label")


def test_images_cannot_be_labels() -> None:
    with pytest.raises(DataError, match="column image holds images: it cannot be a label"):
        choose_columns([IMAGE, ARRAY], label_column="image")


def test_one_column_cannot_be_both() -> None:
    with pytest.raises(DataError, match="column image cannot be input and label at once"):
        choose_columns([IMAGE, WHOLE], input_column="image", label_column="image")


def test_a_data_set_without_inputs_is_refused_with_what_it_holds() -> None:
    with pytest.raises(DataError, match=r"columns: year \(whole numbers\), label \(whole numbers\)"):
        choose_columns([YEAR, WHOLE])


def test_rows_of_labels_are_the_label_and_not_another_input() -> None:
    rows = Column(name="y", kind=Kind.ARRAY)
    assert names(ARRAY, rows) == ("x", "y")
    assert names(IMAGE, rows) == ("image", "y")
    assert names(*texts("text"), Column(name="labels", kind=Kind.ARRAY)) == ("text", "labels")
    assert names(rows) == ("y", None)
    assert names(ARRAY, Column(name="code", kind=Kind.ARRAY), label_column="code") == ("x", "code")


def test_labels_of_tokens_are_no_labels_of_texts() -> None:
    left = [Column(name=name, kind=Kind.ARRAY) for name in ("input_ids", "labels")]
    assert names(*texts("text"), *left) == ("text", None)
