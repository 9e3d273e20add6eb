"""Two halves by content: always the same, disjoint, and with no example of one known to the other."""

import numpy as np
import pytest

from forgetaudit.data.examples import Examples
from forgetaudit.data.split_halves import split_halves
from forgetaudit.errors import DataError


def examples(values: list[int], groups: list[str] | None = None) -> Examples:
    return Examples(
        lambda row: np.array([values[row]]),
        range(len(values)),
        labels=[0] * len(values),
        class_names=("one",),
        decisions=(),
        groups=groups,
    )


def held(part: Examples) -> list[int]:
    return [int(np.asarray(example.input)[0]) for example in part]


def test_every_example_is_in_one_half_and_the_halves_are_about_even() -> None:
    search, confirm = split_halves(examples(list(range(400))), "d")
    assert sorted([*held(search), *held(confirm)]) == list(range(400))
    assert 150 < len(search) < 250


def test_the_halves_do_not_depend_on_the_order_of_the_rows() -> None:
    forwards, _ = split_halves(examples(list(range(100))), "d")
    backwards, _ = split_halves(examples(list(range(99, -1, -1))), "d")
    assert set(held(forwards)) == set(held(backwards))


def test_what_is_equal_lies_in_one_half() -> None:
    search, confirm = split_halves(examples([*range(50), *range(50)]), "d")
    assert not set(held(search)) & set(held(confirm))


def test_a_group_lies_in_one_half() -> None:
    groups = [f"g{row % 20}" for row in range(200)]
    search, confirm = split_halves(examples(list(range(200)), groups), "d")
    assert not {e.group for e in search} & {e.group for e in confirm}


def test_data_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(DataError, match="src cannot be halved") as told:
        split_halves(examples([7, 7, 7, 7]), "src")
    assert "different examples" in str(told.value)
