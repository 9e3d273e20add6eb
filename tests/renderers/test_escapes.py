"""Nothing out of a file is obeyed by what reads a report."""

import pytest
from tests.renderers.hostile import NAMES

from forgetaudit.renderers.escapes import (
    clipped,
    for_github_message,
    for_github_property,
    for_spreadsheet,
    printable,
)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_has_no_control_character_and_no_command(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert "##[" not in shown
    assert not shown.lstrip().startswith("::")


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("block1.bn1", "café", "日本語", "a::b", "‖Δ‖/‖θ₀‖ 1–2 → 3 %"):
        assert printable(name) == name
        assert for_spreadsheet(name) == name


def test_bidirectional_controls_and_surrogates_are_seen() -> None:
    assert printable("a\u202eb") == "a\\u202eb"
    assert printable("a\ud800b") == "a\\ud800b"


def test_what_was_cut_off_is_counted() -> None:
    assert clipped("abcdef", 4) == "abcd… 2 more characters"
    assert clipped("abcd", 4) == "abcd"


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "＝1", "=cmd|'/C calc'!A1"])
def test_no_cell_is_a_formula(name: str) -> None:
    assert for_spreadsheet(name)[0] not in "=+-@\t\r＝ "


def test_annotations_are_escaped_by_githubs_rules() -> None:
    assert for_github_message("100% a:b,c") == "100%25 a:b,c"
    assert for_github_property("100% a:b,c") == "100%25 a%3Ab%2Cc"
    assert for_github_message("a\n::error::b") == "a\\n::error::b"
