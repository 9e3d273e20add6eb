import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgetaudit.data.labels import names_beside, natural_order, order_decision, places_of_ones, read_labels
from forgetaudit.errors import DataError


def test_names_are_sorted_as_a_person_would() -> None:
    assert sorted(["10", "2", "1", "b", "a10", "a9"], key=natural_order) == ["1", "2", "10", "a9", "a10", "b"]


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab01 9", max_size=6), unique=True))
def test_the_order_of_names_depends_on_the_names_alone(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural_order) == sorted(backwards, key=natural_order)


def test_an_order_that_others_would_not_choose_is_said() -> None:
    assert order_decision(("1", "2", "10"), "from folders,") == (
        "3 classes (1, 2, 10), from folders, in natural order; sorted as strings, class 1 would be 10, not 2"
    )


def test_an_order_that_all_agree_on_is_not_dwelt_upon() -> None:
    assert order_decision(("a", "b", "c", "d"), "from text,") == (
        "4 classes (a, b, c, …), from text, in natural order"
    )


def test_names_become_places_in_the_natural_order() -> None:
    labels = read_labels(["cat 10", "ant", "cat 2", "ant"], None, "y")
    assert labels is not None
    assert labels.class_names == ("ant", "cat 2", "cat 10")
    assert labels.ids == (2, 0, 1, 0)


def test_whole_numbers_stay_as_they_are_however_they_are_written() -> None:
    for values in ([3, 0, 7], [3.0, 0.0, 7.0]):
        labels = read_labels(values, None, "y")
        assert labels is not None
        assert (labels.ids, labels.class_names) == ((3, 0, 7), None)
        assert labels.decision == "classes 0 to 7, without names"


def test_truth_values_are_two_classes() -> None:
    labels = read_labels([True, False], None, "y")
    assert labels is not None
    assert labels.ids == (1, 0)


@pytest.mark.parametrize("values", [[None, None], [-1, -1], [math.nan, math.nan], ["", ""]])
def test_labels_hidden_throughout_are_none(values: list[object]) -> None:
    assert read_labels(values, None, "y") is None


@pytest.mark.parametrize("gap", [None, -1, math.nan])
def test_labels_missing_in_some_rows_are_refused_with_the_rows(gap: object) -> None:
    with pytest.raises(DataError) as refusal:
        read_labels([0, gap, 1, gap], None, "y")
    assert refusal.value.fact == "2 of 4 rows have no y"
    assert refusal.value.details == ("rows without a label (2): 1, 3",)


def test_labels_beyond_the_names_are_refused() -> None:
    with pytest.raises(DataError) as refusal:
        read_labels([0, 1, 5], ("a", "b"), "y")
    assert refusal.value.fact == "y holds labels that are none of its 2 classes"
    assert refusal.value.details == ("labels (1): 5",)


@pytest.mark.parametrize("value", [0.5, "seven", math.inf, 1e300])
def test_what_is_neither_number_nor_name_is_refused_with_its_row(value: object) -> None:
    with pytest.raises(DataError, match=r"y .* in row 1 is not a class"):
        read_labels([0, value], None, "y")


def test_a_column_beside_names_the_numbers_only_where_each_has_one_name_of_its_own() -> None:
    assert names_beside([1, 0, 1], ["pos", "neg", "pos"]) == ("neg", "pos")
    assert names_beside([1, 0, 1], ["pos", "neg", "neg"]) is None
    assert names_beside([1, 0], ["same", "same"]) is None
    assert names_beside([2, 0], ["pos", "neg"]) is None
    assert names_beside([0, None], ["neg", "pos"]) is None
    assert names_beside([0, 1], ["neg", None]) is None
    assert names_beside([], []) is None


def test_rows_with_one_1_are_the_class_at_its_place() -> None:
    assert places_of_ones([[0, 1, 0], [1.0, 0.0, 0.0], [False, False, True]], "y") == [1, 0, 2]
    assert places_of_ones([[3], [0]], "y") == [3, 0]


@pytest.mark.parametrize("row", [[1, 1, 0], [0, 0], [0.5, 0.5], [], [[0, 1]], [2, 0], [None, 1], ["a", "b"]])
def test_rows_of_several_classes_or_none_are_refused_with_their_row(row: list[object]) -> None:
    with pytest.raises(
        DataError, match=r"1 of 2 rows of y are neither one class nor one-hot\n  rows \(1\): 1"
    ):
        places_of_ones([[0, 1], row], "y")
