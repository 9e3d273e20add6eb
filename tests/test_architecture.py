"""ARCHITECTURE.md and docs/engine.md draw the tree that there is."""

import re
from pathlib import Path

import pytest
from tests.test_structure import ROWS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "forgetaudit"
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def named_files(text: str) -> set[str]:
    return set(re.findall(r"`([\w/.*]+\.(?:py|md))`", text))


def exists(name: str) -> bool:
    return any(list(home.glob(name)) for home in (PACKAGE, ROOT))


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "docs/engine.md", "CONTRIBUTING.md"])
def test_every_file_that_is_named_exists(document: str) -> None:
    names = named_files((ROOT / document).read_text("utf-8"))
    assert names
    assert [name for name in sorted(names) if not exists(name)] == []


def test_the_check_of_names_can_fail() -> None:
    assert named_files("`audits/nowhere.py` and `gaps.py`") == {"audits/nowhere.py", "gaps.py"}
    assert not exists("audits/nowhere.py")


def test_every_package_stands_in_the_tree() -> None:
    tree = TEXT.partition("```")[2].partition("```")[0]
    drawn = set(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE))
    assert drawn == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_the_rows_are_those_that_are_tested() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(len(ROWS), 0, -1))
    assert [set(re.findall(r"`(\w+)`", names)) for _, names in reversed(rows)] == ROWS
