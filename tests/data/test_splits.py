import pytest

from forgetaudit.data.splits import choose_split
from forgetaudit.errors import DataError


def test_the_only_split_is_taken_whatever_its_name_and_said() -> None:
    assert choose_split(["train"], None, "d") == ("train", "split train, the only one")


def test_a_test_split_comes_before_a_validation_split() -> None:
    assert choose_split(["train", "validation", "test"], None, "d") == (
        "test",
        "split test, of train, validation, test",
    )
    assert choose_split(["train", "val"], None, "d")[0] == "val"


def test_train_is_taken_only_when_asked_for() -> None:
    assert choose_split(["train", "test"], "train", "d") == ("train", "split train, asked for")
    with pytest.raises(DataError) as refusal:
        choose_split(["train", "extra"], None, "d")
    assert refusal.value.fact == "d has several splits, and none is named test or validation"
    assert refusal.value.hint == "name one: --data d:train"


def test_a_split_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError) as refusal:
        choose_split(["train", "test"], "tset", "d")
    assert refusal.value.fact == "d has no split tset"
    assert refusal.value.details == ("splits: train, test",)
    assert refusal.value.hint == "pass --data d:test"
