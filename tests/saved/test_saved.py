"""Seven real reports, saved: every format tells them as it did, and the commands still make them.

The net under every change of what tells or makes a report. `python -m tests.saved.make_saved` writes all anew.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Run
from tests.saved.make_saved import COMMANDS, FORMATS, SAVED, made

from forgetaudit.judge.saved import load_report

# Of what another processor rounds otherwise: an answer may flip there, and what is counted or drawn with it.
CLOSE = 1e-4


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_format_tells_a_saved_report_as_it_did(
    name: str, form: str, forgetaudit: Callable[..., Run], tmp_path: Path
) -> None:
    done = forgetaudit("show", SAVED / f"{name}.json", "--format", form, "-o", tmp_path / "out", cwd=tmp_path)
    assert done.code == 0, done.err
    golden = SAVED / f"{name}.{FORMATS[form]}"
    assert (tmp_path / "out").read_text("utf-8") == golden.read_text("utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_saved_report_adds_up(name: str) -> None:
    assert load_report(SAVED / f"{name}.json").command == COMMANDS[name][1].split()[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_still_makes_the_report(name: str, tmp_path: Path) -> None:
    saved = json.loads((SAVED / f"{name}.json").read_text("utf-8"))
    again = made(name, tmp_path)
    assert differences(_without_versions(again), _without_versions(saved)) == []


def test_the_comparison_of_reports_can_fail() -> None:
    assert differences({"a": 1.0}, {"a": 1.0 + 1e-6}) == []
    assert differences({"a": [1.0, "x"]}, {"a": [1.1, "y"]}) == ["a.0: 1.0, was 1.1", "a.1: 'x', was 'y'"]
    assert differences({"a": 1}, {"b": 1}) == ["keys a, were b"]


def _without_versions(report: dict[str, Any]) -> dict[str, Any]:
    return report | {"inputs": report["inputs"] | {"versions": {}}}


def differences(now: Any, before: Any, where: str = "") -> list[str]:
    """What is not the same, numbers as numbers."""
    here = f"{where}: " if where else ""
    if isinstance(now, dict) and isinstance(before, dict):
        if now.keys() != before.keys():
            return [f"{here}keys {', '.join(now)}, were {', '.join(before)}"]
        pairs = [(f"{where}.{key}" if where else key, now[key], before[key]) for key in now]
    elif isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        pairs = [(f"{where}.{place}", *both) for place, both in enumerate(zip(now, before, strict=True))]
    elif isinstance(now, float) and isinstance(before, (int, float)):
        return [] if now == pytest.approx(before, rel=CLOSE, abs=CLOSE) else [f"{here}{now}, was {before}"]
    else:
        return [] if now == before else [f"{here}{now!r}, was {before!r}"]
    return [line for pair in pairs for line in differences(pair[1], pair[2], pair[0])]
