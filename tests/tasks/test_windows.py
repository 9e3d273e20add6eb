import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.language import start_of_window

from forgetaudit.tasks.windows import Window, cut, strided


def spans(windows: list[Window]) -> list[tuple[int, int, int]]:
    return [(window.start, window.stop, window.first) for window in windows]


def test_a_text_that_fits_is_one_window_in_which_all_but_the_first_token_are_asked() -> None:
    assert spans([*strided(5, 8, 4)]) == [(0, 5, 1)]
    assert spans([*strided(8, 8, 4)]) == [(0, 8, 1)]


def test_a_longer_one_goes_on_in_windows_that_overlap() -> None:
    assert spans([*strided(9, 8, 4)]) == [(0, 8, 1), (4, 9, 8)]
    assert spans([*strided(17, 8, 4)]) == [(0, 8, 1), (4, 12, 8), (8, 16, 12), (12, 17, 16)]
    assert spans([*strided(10, 4, 3)]) == [(0, 4, 1), (3, 7, 4), (6, 10, 7)]


def test_fewer_than_two_tokens_ask_nothing() -> None:
    assert [*strided(0, 8, 4)] == [*strided(1, 8, 4)] == []


@given(n=st.integers(0, 80), context=st.integers(2, 12), data=st.data())
def test_every_token_is_asked_once_with_enough_before_it(n: int, context: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, context - 1))
    windows = [*strided(n, context, stride)]
    asked = [(token, window) for window in windows for token in range(window.first, window.stop)]
    assert [token for token, _ in asked] == [*range(1, n)]
    for token, window in asked:
        assert window.start == start_of_window(token, context, stride)
        assert token - window.start >= min(token, context - stride)
        assert window.stop - window.start <= context


@pytest.mark.parametrize("stride", [0, 8, 9])
def test_a_stride_that_leaves_a_token_without_one_before_it_is_a_mistake(stride: int) -> None:
    with pytest.raises(ValueError, match=f"a stride of {stride} in a context of 8"):
        next(strided(20, 8, stride))


@given(n=st.integers(0, 80), longest=st.integers(1, 12))
def test_pieces_lose_nothing_and_share_nothing(n: int, longest: int) -> None:
    pieces = [*cut(n, longest)]
    assert [token for piece in pieces for token in range(piece.start, piece.stop)] == [*range(n)]
    assert all(piece.stop - piece.start == longest for piece in pieces[:-1])
