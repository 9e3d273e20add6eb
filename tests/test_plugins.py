import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from forgetaudit import plugins
from forgetaudit.errors import UsageError
from forgetaudit.plugins import Part, find_part

BUILT_IN = {"counter": "collections:Counter"}


def find(name: str, directory: Path | None = None) -> Part:
    return find_part(name, BUILT_IN, group="forgetaudit.test", option="--part", directory=directory)


def test_a_name_of_our_own_is_found_and_imported_on_request() -> None:
    from collections import Counter

    part = find("counter")
    assert (part.origin, part.load()) == ("built in", Counter)


def test_an_installed_part_is_found_by_its_entry_point_and_never_shadows_our_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [
        EntryPoint(name=name, value="decimal:Decimal", group="forgetaudit.test")
        for name in ("exact", "counter")
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints(entries).select(group=group))
    from decimal import Decimal

    assert (find("exact").origin, find("exact").load()) == ("installed", Decimal)
    assert find("counter").origin == "built in"
    with pytest.raises(UsageError, match="known: counter, exact\n"):
        find("other")


def test_an_installed_part_that_is_broken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(name="old", value="no_such_module:thing", group="forgetaudit.test")
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints([entry]))
    with pytest.raises(UsageError) as refusal:
        find("old").load()
    assert refusal.value.fact == "--part old (no_such_module:thing) cannot be imported"
    assert refusal.value.details == ("ModuleNotFoundError: No module named 'no_such_module'",)


def test_a_file_or_module_can_be_pointed_at_and_may_import_its_neighbours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "neighbour_of_part.py").write_text("value = 7\n")
    (tmp_path / "part_here.py").write_text(
        "print('hello')\nfrom neighbour_of_part import value\ndef part(): return value\n"
    )
    path_before = list(sys.path)
    for name in ("part_here.py:part", "part_here:part"):
        part = find(name, tmp_path)
        assert part.origin == "pointed at"
        assert part.load()() == 7
    assert sys.path == path_before
    assert not list(tmp_path.rglob("*.pyc"))
    assert capsys.readouterr().out == ""


def test_nothing_is_imported_before_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "part_unread.py").write_text("raise SystemError('read')\n")
    part = find("part_unread.py:part", tmp_path)
    with pytest.raises(UsageError) as refusal:
        part.load()
    assert refusal.value.fact == "--part part_unread.py:part: part_unread.py cannot be imported"
    assert refusal.value.details == ("SystemError: read",)


def test_what_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "part_named.py").write_text("def judge(): ...\n")
    with pytest.raises(UsageError) as refusal:
        find("part_named.py:jugde", tmp_path).load()
    assert refusal.value.fact == "--part part_named.py:jugde: part_named.py has no jugde"
    assert refusal.value.hint == "did you mean judge?"
    with pytest.raises(UsageError, match=r"nowhere\.py cannot be imported"):
        find("nowhere.py:judge", tmp_path).load()


@pytest.mark.parametrize("name", ["count", "a/b", ":x", "module:", "module:no name"])
def test_a_name_that_means_nothing_is_refused_with_those_known(name: str) -> None:
    with pytest.raises(UsageError) as refusal:
        find(name)
    assert refusal.value.fact == f"--part {name} is not known"
    assert refusal.value.details == ("known: counter",)
