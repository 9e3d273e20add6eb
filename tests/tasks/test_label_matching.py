import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetaudit.errors import DataError
from forgetaudit.tasks.label_matching import LabelMatch, match_labels

SENTIMENT = ("negative", "neutral", "positive")
PLACEHOLDERS = tuple(f"LABEL_{number}" for number in range(10))


def match(
    data: tuple[str, ...] | None, model: tuple[str, ...] | None, present: set[int] | None = None
) -> LabelMatch:
    held = range(len(data or ())) if present is None else present
    return match_labels(data, model, present=frozenset(held), name="src_val")


@given(st.permutations(["entailment", "neutral", "contradiction", "none of these", "Both"]))
def test_every_class_finds_its_own_name_in_whatever_order(order: list[str]) -> None:
    model = ("entailment", "neutral", "contradiction", "none of these", "Both")
    found = match(tuple(order), model)
    assert found.class_names == model
    numbers = range(len(model)) if found.label_map is None else found.label_map
    assert [model[number] for number in numbers] == order


def test_case_hyphens_underscores_and_spaces_make_no_other_name() -> None:
    found = match(("Not Entailment", "ENTAILMENT"), ("entailment", "not_entailment"))
    assert found.label_map == (1, 0)
    assert found.decision == (
        "labels by name: the model's 2 classes, renumbered Not Entailment 0 → 1, ENTAILMENT 1 → 0"
    )


def test_the_same_classes_in_the_same_order_are_left_as_they_are() -> None:
    found = match(("Negative", "Neutral", "Positive"), SENTIMENT)
    assert (found.label_map, found.class_names) == (None, SENTIMENT)
    assert found.decision == "labels by name: the model's 3 classes, in its order"


def test_a_part_of_the_models_classes_is_matched_and_counted() -> None:
    found = match(("positive", "negative"), SENTIMENT)
    assert found.label_map == (2, 0)
    assert found.decision.startswith("labels by name: 2 of the model's 3 classes, renumbered positive 0 → 2")


def test_a_list_of_synonyms_is_known_by_its_first() -> None:
    assert match(("goldfish", "tench"), ("tench, Tinca tinca", "goldfish, Carassius auratus")).label_map == (
        1,
        0,
    )


def test_names_that_differ_only_in_case_are_told_apart_where_they_are_spelt_alike() -> None:
    assert match(("us", "US", "x"), ("US", "x", "us")).label_map == (2, 0, 1)
    with pytest.raises(DataError, match="1 of the 2 classes of src_val are none of the model's"):
        match(("Us", "x"), ("US", "us", "x"))


def test_names_that_stand_twice_in_both_are_the_same_in_the_same_order() -> None:
    twice = ("crane", "maillot", "crane", "maillot")
    assert match(twice, twice).label_map is None


@pytest.mark.parametrize(
    ("data", "model", "why"),
    [
        (None, None, "neither data nor model name them"),
        (("cat", "dog"), None, "the model does not name its classes"),
        (None, SENTIMENT, "the data do not name their classes"),
        (("cat", "dog"), PLACEHOLDERS[:2], "the model names its classes LABEL_0, …"),
        (("0", "1", "2"), SENTIMENT, "the data name their classes 0, …"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), SENTIMENT, "the data name their classes LABEL_0, …"),
    ],
)
def test_where_one_side_has_no_names_numbers_are_taken_and_it_is_said(
    data: tuple[str, ...] | None, model: tuple[str, ...] | None, why: str
) -> None:
    found = match(data, model)
    assert found.label_map is None
    assert found.decision == f"labels by number: {why}"


def test_names_are_shown_from_whichever_side_has_them() -> None:
    assert match(("cat", "dog"), None).class_names == ("cat", "dog")
    assert match(None, SENTIMENT).class_names == SENTIMENT
    assert match(("0", "1", "2"), SENTIMENT).class_names == SENTIMENT
    assert match(("cat", "dog"), PLACEHOLDERS[:3]).class_names == ("cat", "dog", "LABEL_2")
    assert match(("a", "b", "c"), PLACEHOLDERS[:2]).class_names == ("a", "b")


def test_folders_3_and_7_are_classes_3_and_7_of_a_model_that_names_none() -> None:
    found = match(("3", "7"), PLACEHOLDERS)
    assert found.label_map == (3, 7)
    assert found.decision == (
        "labels by number: the model names its classes LABEL_0, …, and the data's are numbers: 3 is 3, 7 is 7"
    )


@pytest.mark.parametrize("data", [("1", "10"), ("3", "03"), ("3", "three")])
def test_numbers_that_cannot_be_the_models_are_not_taken_for_them(data: tuple[str, ...]) -> None:
    assert match(data, PLACEHOLDERS).label_map is None


def test_other_classes_are_refused_with_both_sides() -> None:
    with pytest.raises(DataError) as refusal:
        match(("cat", "dog"), SENTIMENT)
    assert refusal.value.fact == "the classes of src_val are not the model's"
    assert refusal.value.details == (
        "in the data (2): cat, dog",
        "in the model (3): negative, neutral, positive",
    )
    assert refusal.value.hint == (
        "rename the data's classes to the model's, or store the labels as whole numbers to match by number"
    )


def test_the_classes_without_a_match_are_named_with_the_nearest() -> None:
    with pytest.raises(DataError) as refusal:
        match(("negative", "positiv", "mixed"), SENTIMENT)
    assert refusal.value.fact == "2 of the 3 classes of src_val are none of the model's"
    assert refusal.value.details == (
        "only in src_val (2): positiv, mixed",
        "only in the model (2): neutral, positive",
    )
    assert refusal.value.hint == "rename positiv if it is the model's positive, or leave its examples out"


def test_a_hint_names_the_class_that_is_near_and_not_another() -> None:
    with pytest.raises(DataError) as refusal:
        match(("mixed", "positiv", "negative"), SENTIMENT)
    assert refusal.value.hint == "rename positiv if it is the model's positive, or leave its examples out"
    with pytest.raises(DataError) as refusal:
        match(("negative", "mixed"), SENTIMENT)
    assert refusal.value.hint == "leave out the examples of mixed, or rename it to the model's name for it"


def test_a_class_without_examples_need_not_be_the_models() -> None:
    found = match(("mixed", "positive"), SENTIMENT, present={1})
    assert found.label_map is not None
    assert found.label_map[1] == 2
    assert found.decision.endswith("; 1 more in the data, without examples, are none of the model's")
    with pytest.raises(DataError):
        match(("mixed", "positive"), SENTIMENT, present={0, 1})
