import hashlib
from collections import Counter
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from forgetaudit.data.examples import Examples, Input, content_hash, sample
from forgetaudit.errors import DataError, UsageError


def examples(
    inputs: list[Input], labels: list[int] | None = None, class_names: tuple[str, ...] | None = None
) -> Examples:
    return Examples(
        lambda row: inputs[row], range(len(inputs)), labels=labels, class_names=class_names, decisions=()
    )


def test_ids_are_the_same_on_every_pass(scans: list[Image.Image]) -> None:
    found = examples([*scans], labels=[0] * len(scans))
    assert [e.id for e in found] == [e.id for e in found]
    assert len(found) == len(scans)


def test_the_same_content_twice_has_two_ids_that_differ_in_the_occurrence(scans: list[Image.Image]) -> None:
    first, other, again = examples([scans[0], scans[1], scans[0]])
    assert first.id.removesuffix("-0") == again.id.removesuffix("-1")
    assert other.id.endswith("-0")
    assert len({first.id, other.id, again.id}) == 3


def test_ids_follow_the_content_and_not_the_file_format(scans: list[Image.Image]) -> None:
    for kind in ("PNG", "BMP", "TIFF"):
        file = BytesIO()
        scans[0].save(file, kind)
        assert content_hash(Image.open(file)) == content_hash(scans[0])


def test_ids_notice_one_pixel_the_mode_and_the_size(scans: list[Image.Image]) -> None:
    touched = scans[0].copy()
    touched.putpixel((3, 3), 1 + (scans[0].getpixel((3, 3)) or 0))
    wide = Image.frombytes("L", (16, 4), scans[0].tobytes())
    hashes = {content_hash(image) for image in (scans[0], touched, wide, scans[0].convert("RGB"))}
    assert len(hashes) == 4


def test_ids_notice_another_palette_under_the_same_indices(scans: list[Image.Image]) -> None:
    first, second = (scans[0].convert("P") for _ in range(2))
    second.putpalette(list(range(255, -1, -1)) * 3)
    assert first.tobytes() == second.tobytes()
    assert content_hash(first) != content_hash(second)


def test_ids_of_arrays_notice_dtype_and_shape_but_not_the_layout() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert (
        content_hash(values) == content_hash(np.asfortranarray(values)) == content_hash(values.astype(">f4"))
    )
    assert len({content_hash(v) for v in (values, values.T, values.ravel(), values.astype(np.float64))}) == 4


def test_the_fingerprint_is_the_same_on_demand_and_after_a_pass(scans: list[Image.Image]) -> None:
    demanded, passed = examples([*scans], [1] * len(scans)), examples([*scans], [1] * len(scans))
    list(passed)
    assert demanded.fingerprint == passed.fingerprint


def test_a_pass_broken_off_leaves_no_fingerprint_of_a_part(scans: list[Image.Image]) -> None:
    broken_off = examples([*scans])
    next(iter(broken_off))
    assert broken_off.fingerprint == examples([*scans]).fingerprint


def test_the_fingerprint_notices_labels_class_names_order_and_length(scans: list[Image.Image]) -> None:
    a, b = scans[:2]
    prints = [
        examples([a, b], [0, 1], ("x", "y")),
        examples([a, b], [1, 0], ("x", "y")),
        examples([a, b], [0, 1], ("y", "x")),
        examples([b, a], [0, 1], ("x", "y")),
        examples([a], [0], ("x", "y")),
        examples([a, b]),
    ]
    assert len({found.fingerprint for found in prints}) == len(prints)


def test_no_example_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="the data set is empty"):
        examples([])


def test_without_labels_there_are_none(scans: list[Image.Image]) -> None:
    found = examples([*scans])
    assert not found.labelled
    assert {e.label for e in found} == {None}


def test_a_limit_takes_rows_in_their_order_and_says_so() -> None:
    rows, said = sample(1000, 50, seed=0)
    assert list(rows) == sorted(set(rows))
    assert said == "50 of 1,000 examples, a random sample (seed 0)"


def test_a_limit_is_never_the_head_and_spreads_over_all() -> None:
    rows, _ = sample(10_000, 1_000, seed=0)
    tenths = Counter(row // 1_000 for row in rows)
    # Binomial with mean 100 and standard deviation 9.5 in each tenth.
    assert set(tenths) == set(range(10))
    assert all(60 < count < 140 for count in tenths.values())


def test_a_limit_beyond_the_rows_takes_all_of_them() -> None:
    assert (list(sample(3, 5, 0)[0]), sample(3, 5, 0)[1]) == ([0, 1, 2], "3 examples")
    assert list(sample(3, None, 0)[0]) == [0, 1, 2]


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 5))
def test_a_larger_limit_holds_every_row_of_a_smaller_one(n: int, limit: int, seed: int) -> None:
    assert set(sample(n, limit, seed)[0]) <= set(sample(n, limit + 7, seed)[0])


def test_seeds_draw_different_samples() -> None:
    assert sample(1000, 50, 0)[0] != sample(1000, 50, 1)[0]


def test_the_draw_is_the_documented_one() -> None:
    places = sorted(range(100), key=lambda row: hashlib.sha256(f"7 {row}".encode()).hexdigest())
    assert list(sample(100, 10, 7)[0]) == sorted(places[:10])


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match=f"--limit {limit} leaves no example"):
        sample(10, limit, 0)


def test_ids_of_texts_follow_the_text_and_tell_a_pair_from_what_it_spells() -> None:
    held: list[Input] = ["abc", "abd", ("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), "", ("", "")]
    assert len({content_hash(content) for content in held}) == len(held)
    assert content_hash("größer") == content_hash("gr" + "ößer")
    assert content_hash("\ud800") != content_hash("\ud801")


def test_the_labels_present_are_those_of_the_chosen_rows() -> None:
    chosen = Examples(lambda row: "text", [0, 2], labels=[3, 5, 4], class_names=None, decisions=())
    assert chosen.labels_present == {3, 4}
    assert examples(["text"]).labels_present == frozenset()
