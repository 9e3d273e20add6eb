"""show: a saved report in every form, without torch; what is no report is refused in words."""

import csv
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.test_structure import heavy_after

from forgetaudit.renderers.numbers import unit

GOLDEN = Path(__file__).parents[1] / "renderers" / "golden"
FORMS = ("terminal", "md", "html", "junit", "github", "csv", "json", "txt")
WORDS = [
    "compare",
    "base.safetensors",
    "tuned.safetensors",
    "--data",
    "src_val",
    "--max-drop",
    "2pt",
    "--min-cka",
    "0.8",
]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """The report of the sample's fine-tune, made once."""
    path = tmp_path_factory.mktemp("saved") / "report.json"
    command = [
        sys.executable,
        "-m",
        "forgetaudit",
        *WORDS,
        "--threads",
        "1",
        "--no-fail",
        "--output",
        f"json={path}",
    ]
    subprocess.run(command, cwd=sample, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_shown_and_the_code_is_0(forgetaudit: Any, saved: Path, form: str) -> None:
    run = forgetaudit("show", saved, "--format", form)
    assert (run.code, run.err) == (0, "")
    assert "29.0" in run.out or "0.2898" in run.out


def test_the_screen_is_that_of_the_run_but_for_its_code(forgetaudit: Any, saved: Path, sample: Path) -> None:
    then = forgetaudit(*WORDS, "--threads", "1").out
    now = forgetaudit("show", saved).out
    assert now == then.replace("exit 1", "exit 0 (show; the verdict asks for 1)")


def test_the_json_comes_back_byte_for_byte_also_out_of_a_page(
    forgetaudit: Any, saved: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert forgetaudit("show", saved, "-o", page).code == 0
    assert forgetaudit("show", page, "--format", "json").out == saved.read_text("utf-8")
    assert forgetaudit("show", page).out == forgetaudit("show", saved).out


@pytest.mark.parametrize(
    ("name", "start"),
    [("r.md", "**FAIL** "), ("r.html", "<!doctype html>"), ("r.xml", "<?xml"), ("r.csv", "section,data"), ("r.json", "{"), ("r.txt", "forgetaudit")],
)  # fmt: skip
def test_the_ending_of_a_file_says_its_form(
    forgetaudit: Any, saved: Path, tmp_path: Path, name: str, start: str
) -> None:
    run = forgetaudit("show", saved, "-o", tmp_path / name)
    assert run.err == f"wrote {tmp_path / name}\n"
    assert run.out == ""
    assert (tmp_path / name).read_text("utf-8").lstrip().startswith(start)


def test_what_a_run_writes_and_what_show_writes_are_the_same(forgetaudit: Any, workplace: Path) -> None:
    forms = {
        "json": "r.json",
        "txt": "r.txt",
        "md": "r.md",
        "html": "r.html",
        "junit": "r.xml",
        "csv": "r.csv",
        "github": "r.log",
    }
    asked = [word for form, name in forms.items() for word in ("--output", f"{form}={name}")]
    run = forgetaudit(*WORDS, *asked, cwd=workplace)
    assert run.code == 1
    assert run.err.splitlines()[-1] == "wrote r.json, r.txt, r.md, r.html, r.xml, r.csv, r.log"
    for form, name in forms.items():
        assert forgetaudit("show", "r.json", "--format", form, cwd=workplace).out == (
            workplace / name
        ).read_text("utf-8")


def test_annotations_stand_on_the_lines_of_the_config(forgetaudit: Any, workplace: Path) -> None:
    config = workplace / "forgetaudit.toml"
    config.write_text(config.read_text() + '\n[gate.rules]\naccuracy = { max-drop = "2pt" }\n')
    forgetaudit(*WORDS[:5], "--output", "json=r.json", cwd=workplace)
    line = config.read_text().splitlines().index('accuracy = { max-drop = "2pt" }') + 1
    out = forgetaudit("show", "r.json", "--format", "github", cwd=workplace).out
    assert out.startswith(
        f"::error file=forgetaudit.toml,line={line},title=accuracy%3A fail (tuned on src_val)::29.0 pt"
    )
    (workplace / "elsewhere").mkdir()
    (workplace / "elsewhere" / ".git").mkdir()
    assert (
        "file=" not in forgetaudit("show", "../r.json", "--format", "github", cwd=workplace / "elsewhere").out
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not a report of the schema forgetaudit.report/1"),
        ("no json", "is not a report of the schema forgetaudit.report/1"),
        ("[]", "is not a report of the schema forgetaudit.report/1"),
        ("{}", "is not a report of the schema forgetaudit.report/1"),
        ('{"schema": "forgetaudit.report/2"}', "forgetaudit.report/2"),
        ('{"schema": "other/1"}', "is not a report of the schema forgetaudit.report/1"),
        ("<!DOCTYPE html><html></html>", "is a page without a report"),
        ("[" * 100_000, "is not a report of the schema"),
    ],
)
def test_what_is_no_report_is_refused(forgetaudit: Any, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "r.json").write_text(content)
    run = forgetaudit("show", tmp_path / "r.json")
    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert "hint: " in run.err
    assert "Traceback" not in run.err


def test_what_cannot_be_read_is_refused(forgetaudit: Any, sample: Path) -> None:
    for path in (sample / "base.safetensors", sample / "src_val", sample / "nothing.json"):
        run = forgetaudit("show", path)
        assert run.code == 2
        assert "cannot be read" in run.err


def test_an_edited_report_is_refused_whichever_way_it_is_shown(
    forgetaudit: Any, saved: Path, tmp_path: Path
) -> None:
    edited = json.loads(saved.read_text("utf-8"))
    edited["source"][0]["flips"]["forgotten"] -= 200
    (tmp_path / "r.json").write_text(json.dumps(edited))
    for form in FORMS:
        run = forgetaudit("show", tmp_path / "r.json", "--format", form)
        assert (run.code, run.out) == (2, "")
        assert "does not add up" in run.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "r.foo"], "does not say in which format"),
        (["-o", "r"], "does not say in which format"),
        (["--format", "pdf"], "pdf"),
        (["-o", "nowhere/r.md"], "there is no folder"),
        (["-o", ".", "--format", "md"], "is a folder"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    forgetaudit: Any, saved: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    run = forgetaudit("show", saved, *words, cwd=tmp_path)
    assert run.code == 2
    assert said in run.err


def test_the_report_is_not_overwritten(forgetaudit: Any, saved: Path) -> None:
    before = saved.read_bytes()
    run = forgetaudit("show", saved, "--format", "md", "-o", saved)
    assert run.code == 2
    assert "would overwrite" in run.err
    assert saved.read_bytes() == before


@pytest.mark.parametrize("form", FORMS)
def test_showing_wakes_neither_torch_nor_datasets(saved: Path, form: str) -> None:
    code = f"from forgetaudit.cli import main; main(['show', {str(saved)!r}, '--format', '{form}', '-o', {os.devnull!r} + '.x'])"
    assert heavy_after(code) == set()


def own_seconds(*command: str) -> float:
    """CPU seconds of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_showing_is_far_quicker_than_importing_torch(saved: Path) -> None:
    # In turns, so that other work on the machine slows both. Alone, 0.21 of it is measured.
    shown, imported = zip(
        *(
            (
                own_seconds(sys.executable, "-m", "forgetaudit", "show", str(saved), "--format", "md"),
                own_seconds(sys.executable, "-c", "import torch"),
            )
            for _ in range(2)
        ),
        strict=True,
    )
    assert min(shown) < 0.4 * min(imported)


def numbers_apart(text: str) -> tuple[str, list[float]]:
    """The text without what differs between machines and versions, its numbers apart."""
    text = re.sub(r"(forgetaudit|python|torch|seconds\.\w+|started|judged_on) [^ ·`|]+", r"\1 …", text)
    text = re.sub(r"\b[0-9a-f]{32,64}(-\d+)?\b", "…", text)
    text = re.sub(r"[▏▎▍▌▋▊▉█]+", "█", text)
    number = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
    found = [float(one.replace(",", "")) for one in number.findall(text)]
    return number.sub("#", text), found


@pytest.mark.parametrize(
    ("form", "name"), [("md", "report.md"), ("junit", "report.xml"), ("github", "report.log")]
)
def test_the_golden_reports_are_still_told_in_these_words(
    forgetaudit: Any, saved: Path, form: str, name: str, tmp_path: Path
) -> None:
    now = numbers_apart(forgetaudit("show", saved, "--format", form, cwd=tmp_path).out)
    then = numbers_apart((GOLDEN / name).read_text("utf-8"))
    assert now[0] == then[0]
    assert now[1] == pytest.approx(then[1], rel=0.1, abs=0.02)


def test_the_golden_numbers_are_still_these(forgetaudit: Any, saved: Path) -> None:
    out = forgetaudit("show", saved, "--format", "csv").out
    now, then = (
        list(csv.reader(io.StringIO(text))) for text in (out, (GOLDEN / "report.csv").read_text("utf-8"))
    )
    # Which mistake is surest may turn on a last digit.
    now, then = ([row for row in rows if not row[0].startswith("lost")] for rows in (now, then))
    texts = (0, 1, 2, 3, 8)
    assert [[row[at] for at in texts] for row in now] == [[row[at] for at in texts] for row in then]
    for mine, theirs in zip(now[1:], then[1:], strict=True):
        for one, other in zip(mine[4:8], theirs[4:8], strict=True):
            assert (one == "") == (other == "")
            assert not one or float(one) == pytest.approx(float(other), rel=0.05, abs=1e-3)


def test_junit_and_markdown_agree_with_the_report(forgetaudit: Any, saved: Path) -> None:
    report = json.loads(saved.read_text("utf-8"))
    root = ElementTree.fromstring(forgetaudit("show", saved, "--format", "junit").out.encode())
    assert root.attrib["failures"] == str(
        sum(rule["outcome"] == "fail" for rule in report["verdict"]["rules"])
    )
    lowest = min(
        layer["cka"]["estimate"] for layer in report["features"][0]["layers"] if "estimate" in layer["cka"]
    )
    assert unit(lowest) in forgetaudit("show", saved, "--format", "md").out
