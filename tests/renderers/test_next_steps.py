"""What to run next is grounded in what was found."""

import subprocess
import sys
from pathlib import Path

import pytest

from forgetaudit.judge.saved import load_report
from forgetaudit.renderers.headline import subjects
from forgetaudit.renderers.html import html
from forgetaudit.renderers.markdown import markdown
from forgetaudit.renderers.next_steps import next_steps
from forgetaudit.report.report import AuditReport

LOCATE = ("forgetaudit locate …", "which parts carry the loss")


@pytest.fixture(scope="module")
def compared(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, AuditReport]:
    found, folder = {}, tmp_path_factory.mktemp("next")
    for name in ("tuned", "frozen", "frozen-eval", "base"):
        path = folder / f"{name}.json"
        words = ["compare", "base.safetensors", f"{name}.safetensors", "--data", "src_val", "-q"]
        subprocess.run(
            [sys.executable, "-m", "forgetaudit", *words, "--output", f"json={path}"], cwd=sample, check=True
        )
        found[name] = load_report(path)
    return found


def steps(report: AuditReport) -> tuple[tuple[str, str], ...]:
    (subject,) = subjects(report)
    return next_steps(report, subject)


def test_a_loss_is_to_be_located_and_repaired(compared: dict[str, AuditReport]) -> None:
    assert steps(compared["tuned"]) == (LOCATE, ("forgetaudit repair …", "what of it can be won back"))


def test_statistics_that_moved_are_to_be_restored(compared: dict[str, AuditReport]) -> None:
    locate, (command, _) = steps(compared["frozen"])
    assert locate == LOCATE
    assert command == "forgetaudit repair … --families buffers"


def test_a_loss_that_is_the_heads_by_proof_is_not_to_be_located(compared: dict[str, AuditReport]) -> None:
    ((command, _),) = steps(compared["frozen-eval"])
    assert command == "forgetaudit repair … --families head,stitch"


def test_where_nothing_was_lost_there_is_nothing_to_run(compared: dict[str, AuditReport]) -> None:
    assert steps(compared["base"]) == ()


def test_pages_say_it_too(compared: dict[str, AuditReport]) -> None:
    assert "- `forgetaudit locate …` which parts carry the loss" in markdown(compared["tuned"])
    assert "<code>forgetaudit locate …</code> which parts carry the loss" in html(compared["tuned"])
    assert "To run next" not in html(compared["base"])
