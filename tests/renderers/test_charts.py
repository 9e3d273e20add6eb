"""Charts: everything drawn lies where its numbers say, and words have room."""

import re
from itertools import pairwise

from forgetaudit.renderers.chart import Chart, Level, Point, Series
from forgetaudit.renderers.charts import HEIGHT, drawn


def chart(*points: Point, levels: tuple[float, ...] = (), ticks: tuple[tuple[float, str], ...] = ()) -> Chart:
    path = tuple((point.x, point.y) for point in points)
    return Chart(
        ident="c", title="t", x_title="x", y_title="y", x_ticks=ticks, told="", note="",
        series=(Series(points=points, path=path, look="open", legend=()),),
        levels=tuple(Level(y=y, words="") for y in levels),
    )  # fmt: skip


def at(x: float, y: float, low: float | None = None, high: float | None = None) -> Point:
    return Point(x=x, y=y, low=low, high=high, name="p", look="open")


def test_higher_accuracies_stand_higher_and_later_steps_to_the_right() -> None:
    first, second = drawn(chart(at(0, 0.9), at(10, 0.5))).marks
    assert first.x < second.x
    assert first.y < second.y


def test_a_point_on_a_tick_is_drawn_on_it() -> None:
    found = drawn(chart(at(0, 0.9), at(10, 0.5), at(7, 0.7)))
    places = {tick.words: tick.place for tick in found.y_ticks}
    assert [mark.y for mark in found.marks] == [places["90 %"], places["50 %"], places["70 %"]]
    ticks = drawn(chart(at(0, 0.9), at(10, 0.5), ticks=((10, "ten"), (20, "twenty")))).x_ticks
    assert (
        next(tick.place for tick in ticks if tick.words == "ten")
        == drawn(chart(at(0, 0.9), at(10, 0.5), at(20, 0.5))).marks[1].x
    )


def test_a_tick_beyond_all_points_widens_the_axis_instead_of_moving() -> None:
    narrow, wide = (drawn(chart(at(0.5, 0.9), at(0.9, 0.8), ticks=ticks)) for ticks in ((), ((0.0, "0 %"),)))
    assert wide.marks[0].x > narrow.marks[0].x


def test_no_accuracy_is_ticked_beyond_0_and_1() -> None:
    for low, high in ((0.0, 1.0), (0.98, 1.0), (0.0, 0.004), (0.5, 0.5), (1.0, 1.0), (0.0, 0.0)):
        found = drawn(chart(at(0, low), at(1, high)))
        values = [float(tick.words.rstrip(" %")) for tick in found.y_ticks]
        assert 0 <= min(values) < max(values) <= 100
        assert 2 <= len(values) <= 8
        assert all(0 <= tick.place <= HEIGHT for tick in found.y_ticks)


def test_ticks_name_their_places_exactly() -> None:
    found = drawn(chart(at(0, 0.9912), at(1, 0.9934)))
    words = [tick.words for tick in found.y_ticks]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"\d{1,3}(\.\d)? %", word) for word in words)


def test_intervals_and_levels_are_on_the_axis_too() -> None:
    found = drawn(chart(at(0, 0.5, low=0.2, high=0.9), levels=(0.05,)))
    (mark,) = found.marks
    assert mark.low is not None
    assert mark.high is not None
    assert 0 <= mark.high < mark.y < mark.low < found.levels[0] <= HEIGHT


def test_words_of_ticks_never_touch_and_fewer_stand_on_a_phone() -> None:
    ticks = tuple((float(step), f"{step:,}") for step in range(0, 50_001, 500))
    found = drawn(chart(at(0, 0.5), at(50_000, 0.6), ticks=ticks)).x_ticks
    narrow = [tick for tick in found if not tick.more]
    assert 3 <= len(narrow) < len(found) < 20
    assert narrow[0].words == "0"
    assert narrow[-1].words == "50,000"
    for shown, width in ((found, 620), (narrow, 290)):
        for one, next_ in pairwise(shown):
            words = 7 * (len(one.words) + len(next_.words)) / 2
            assert (next_.place - one.place) * width / 100 > words


def test_one_point_alone_has_a_place() -> None:
    (mark,) = drawn(chart(at(3, 0.7))).marks
    assert 0 < mark.x < 100
    assert 0 <= mark.y <= HEIGHT
