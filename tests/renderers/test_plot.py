"""A curve as text."""

from forgetaudit.renderers.plot import Dot, plot


def drawn(*dots: Dot, ticks: tuple[tuple[float, str], ...] = ()) -> list[str]:
    return ["".join(text for text, _ in line) for line in plot(dots, ticks)]


def test_higher_values_stand_higher_and_later_ones_to_the_right() -> None:
    rows = drawn(Dot(place=0.0, value=0.9, mark="a"), Dot(place=1.0, value=0.5, mark="b"))
    first, last = (next(at for at, row in enumerate(rows) if mark in row) for mark in "ab")
    assert first < last
    assert rows[first].index("a") < rows[last].index("b")


def test_the_axis_ends_at_whole_tens_around_all_values() -> None:
    rows = drawn(Dot(place=0.0, value=0.87, mark="a"), Dot(place=1.0, value=0.52, mark="b"))
    assert rows[0].startswith(" 90 % ┤")
    assert rows[8].startswith(" 50 % ┤")


def test_no_accuracy_is_drawn_beyond_0_and_1() -> None:
    rows = drawn(Dot(place=0.0, value=1.0, mark="a"), Dot(place=1.0, value=0.0, mark="b"))
    assert rows[0].startswith("100 % ┤")
    assert rows[8].startswith("  0 % ┤")


def test_a_flat_line_has_an_axis_all_the_same() -> None:
    assert any("a" in row for row in drawn(Dot(place=0.0, value=1.0, mark="a")))
    assert any("a" in row for row in drawn(Dot(place=0.0, value=0.0, mark="a")))


def test_an_interval_reaches_from_end_to_end() -> None:
    rows = drawn(Dot(place=0.5, value=0.5, low=0.1, high=0.9, mark="a"), Dot(place=0.0, value=1.0, mark="b"))
    column = next(row.index("a") for row in rows if "a" in row)
    assert [row[column : column + 1] for row in rows].count("│") >= 5


def test_ticks_that_would_touch_are_left_out() -> None:
    ticks = tuple((at / 100, f"{at}00") for at in range(101))
    words = drawn(Dot(place=0.0, value=0.5, mark="a"), ticks=ticks)[-1].split()
    assert words[0] == "000"
    assert 5 < len(words) < 20
    assert max(map(len, drawn(Dot(place=0.0, value=0.5, mark="a"), ticks=ticks))) <= 80
