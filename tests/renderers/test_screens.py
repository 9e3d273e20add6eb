"""The first screen, byte by byte, as each reader gets it; `python -m tests.renderers.make_golden` writes it anew."""

from pathlib import Path

import pytest
from tests.renderers.screens import screens

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(screens()))
def test_the_first_screen_is_still_this_one(name: str) -> None:
    assert screens()[name] == (GOLDEN / name).read_text(encoding="utf-8")
