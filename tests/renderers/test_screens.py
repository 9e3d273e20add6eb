"""The first screen, byte by byte, as each reader gets it; `python -m tests.renderers.make_golden` writes it anew."""

from pathlib import Path

import pytest
from tests.renderers.screens import previews, screens

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(screens()))
def test_the_first_screen_is_still_this_one(name: str) -> None:
    assert screens()[name] == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(previews()))
def test_the_screen_of_a_preview_is_still_this_one_within_80_columns(name: str) -> None:
    told = previews()[name]
    assert told == (GOLDEN / name).read_text(encoding="utf-8")
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(screens()))
def test_a_name_longer_than_the_terminal_is_whole_and_leaves_the_other_lines_alone(name: str) -> None:
    lines = screens()[name].splitlines()
    assert any(line.startswith("backbone.encoder") and ".block" in line for line in lines)
    assert any("block1" in line and "0.710" in line and "0.100" in line for line in lines)
