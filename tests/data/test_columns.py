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
    return chosen.input.name, None if chosen.label is None else chosen.label.name


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


def test_text_is_refused_as_belonging_to_the_text_tasks() -> None:
    with pytest.raises(DataError) as refusal:
        choose_columns([TEXT, WHOLE])
    assert refusal.value.fact == "the data set holds text, no images or arrays"
    assert refusal.value.hint == "text needs the text tasks, which come with the next version"


def test_text_asked_for_as_input_is_refused_likewise() -> None:
    with pytest.raises(DataError, match="column sentence holds text: it cannot be an input"):
        choose_columns([TEXT, IMAGE], input_column="sentence")


def test_images_cannot_be_labels() -> None:
    with pytest.raises(DataError, match="column image holds images: it cannot be a label"):
        choose_columns([IMAGE, ARRAY], label_column="image")


def test_one_column_cannot_be_both() -> None:
    with pytest.raises(DataError, match="column image cannot be input and label at once"):
        choose_columns([IMAGE, WHOLE], input_column="image", label_column="image")


def test_a_data_set_without_inputs_is_refused_with_what_it_holds() -> None:
    with pytest.raises(DataError, match=r"columns: year \(whole numbers\), label \(whole numbers\)"):
        choose_columns([YEAR, WHOLE])
