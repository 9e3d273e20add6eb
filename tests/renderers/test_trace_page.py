"""The page of a run: its curve, its turning points and every checkpoint, on each source data set."""

import re

from tests.renderers import hostile
from tests.renderers.pages import Page, renamed, told

from forgetaudit.renderers.html import html
from forgetaudit.renderers.markdown import MOST_CHARACTERS, markdown
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport
from forgetaudit.report.trace import TraceSection


def run_of(report: AuditReport) -> TraceSection:
    assert report.trace is not None
    return report.trace


def long(report: AuditReport, n: int) -> AuditReport:
    """The run with its last checkpoint again and again."""
    trace = run_of(report)
    first, *_, last = trace.points
    more = tuple(last.model_copy(update={"variant": f"step-{at}", "step": 1_000 + at}) for at in range(n - 2))
    end = last.model_copy(update={"step": 1_000 + n})
    points = (first, *more, end)
    summaries = tuple(one.model_copy(update={"largest_drop": "step-77"}) for one in trace.summaries)
    return report.model_copy(
        update={"trace": trace.model_copy(update={"points": points, "summaries": summaries})}
    )


def test_a_trace_page_plots_every_checkpoint(traced: AuditReport) -> None:
    page = Page(traced)
    trace = run_of(traced)
    names = [f"{point.variant}: " for point in trace.points]
    assert [word for word in page.words if any(word.startswith(name) for name in names)][:3]
    assert page.classes("path").count("line open") == 1
    assert page.classes("path").count("line other") == 1
    sure = sum(answer.sure for point in trace.points for answer in point.answers)
    # One more is the key.
    assert page.classes("circle").count("sure") == sure + 1
    assert page.classes("line").count("reach sure") == sure
    assert page.classes("rect").count("other") == len(trace.points) + 2


def test_the_chart_is_told_in_words_and_needs_no_script(traced: AuditReport) -> None:
    (chart,) = [attrs for tag, attrs in Page(traced).tags if attrs.get("role") == "img"]
    trace = run_of(traced)
    said = chart["aria-label"] or ""
    assert said.startswith("Line plot of accuracy at base and 3 checkpoints. On src_val: ")
    assert trace.points[-1].variant in said
    assert "On target_val" in said
    assert "<script" not in html(traced)


def test_every_checkpoint_has_a_row_with_its_numbers(traced: AuditReport) -> None:
    page = Page(traced)
    rows = page.rows("Checkpoints")
    assert [row["checkpoint"] for row in rows] == ["checkpoint-20", "checkpoint-60", "checkpoint-120"]
    assert [row["step"] for row in rows] == ["20", "60", "120"]
    assert {row["rules"] for row in rows} == {"fail"}
    for row, point in zip(rows, run_of(traced).points, strict=True):
        source, target = point.answers
        assert row["accuracy"] == f"{100 * source.accuracy:.1f} %"
        assert row["target"] == f"{100 * target.accuracy:.1f} %" + (" *" if point.on_front else "")
        assert row["drop, pt"] == f"{100 * (source.base - source.accuracy):.1f}"
    way = page.rows("Features and weights")
    assert way[0]["net/path"] == "1"
    assert all(row["budget used"].endswith(" %") for row in way)


def test_the_turning_points_are_named(traced: AuditReport) -> None:
    rows = {row[""]: row for row in Page(traced).rows("Turning points")}
    (summary,) = run_of(traced).summaries
    assert rows["first sure loss"]["checkpoint"] == summary.first_sure
    assert rows["largest drop"]["checkpoint"] == summary.largest_drop
    assert rows["best of base and all"]["checkpoint"] == summary.best == "base"
    assert rows["last within the limits"]["checkpoint"] == "none"
    assert rows["last"]["step"] == "120"


def test_a_page_and_the_screen_say_the_same_of_the_run(traced: AuditReport) -> None:
    from forgetaudit.renderers.terminal import render

    screen = render(traced)
    facts = [
        words for label, words in Page(traced).facts if label in ("sure loss", "within", "order", "power law")
    ]
    assert len(facts) == 4
    for words in facts:
        assert words.split(";")[0].split(",")[0] in screen


def test_two_data_sets_have_a_plot_and_a_table_each_and_their_measures(traced_on_two: AuditReport) -> None:
    page = Page(traced_on_two)
    assert len([attrs for _, attrs in page.tags if attrs.get("role") == "img"]) == 2
    assert {"The run on src_val", "The run on turned"} <= set(page.words)
    assert page.text.count("<caption>Checkpoints</caption>") == 2
    measures = page.rows("Continual learning")
    assert [row["continual"] for row in measures] == ["BWT", "forgetting", "Avalanche", "Mammoth"]
    assert "Lopez-Paz" in measures[0]["formula"]
    assert "turned by checkpoint-20" in told(page)


def test_without_target_or_limits_nothing_is_said_of_them(traced_on_two: AuditReport) -> None:
    page = Page(traced_on_two)
    head = page.tables["Checkpoints"][0]
    assert not {"target", "front", "rules"} & set(head)
    assert "line other" not in page.classes("path")
    assert page.classes("line").count("limit") == 0
    rows = {row[""]: row for row in page.rows("Turning points")}
    assert rows["last within the limits"]["checkpoint"] == "not judged"
    assert "not measured: no target data were passed" in told(page)


def test_a_run_without_steps_is_plotted_in_its_order(traced: AuditReport) -> None:
    trace = run_of(traced)
    points = tuple(point.model_copy(update={"step": None}) for point in trace.points)
    page = Page(traced.model_copy(update={"trace": trace.model_copy(update={"points": points})}))
    assert "Accuracy over checkpoints" in page.words
    assert {row["step"] for row in page.rows("Checkpoints")} == {point.variant for point in points}
    assert {"base", "1", "2", "3"} <= set(page.words)


def test_what_was_not_measured_of_a_checkpoint_is_a_dot(traced: AuditReport) -> None:
    why = Absent(not_measured="x")
    trace = run_of(traced)
    blank = dict.fromkeys(
        ("lowest_cka", "distance", "relative", "moved", "net_over_path", "budget_used"), why
    )
    answers = [
        tuple(one.model_copy(update={"drop": why, "below_best": why, "sure": False}) for one in point.answers)
        for point in trace.points
    ]
    points = tuple(
        point.model_copy(update={**blank, "lowest_layer": None, "answers": mine})
        for point, mine in zip(trace.points, answers, strict=True)
    )
    page = Page(traced.model_copy(update={"trace": trace.model_copy(update={"points": points})}))
    assert {row["drop, pt"] for row in page.rows("Checkpoints")} == {"·"}
    assert {row["budget used"] for row in page.rows("Features and weights")} == {"·"}
    assert not [name for name in page.classes("line") if name.startswith("reach sure")]


def test_names_out_of_a_run_are_shown_and_never_obeyed(traced: AuditReport) -> None:
    texts = ("src_val", "target_val", "checkpoint-20", "checkpoint-60", "checkpoint-120", "block3", "stem")
    wild = dict(zip(texts, hostile.NAMES, strict=False)) | {"head": hostile.NAMES[14]}
    tame = {text: f"name{at}" for at, text in enumerate(wild)}
    assert Page(renamed(traced, wild)).skeleton() == Page(renamed(traced, tame)).skeleton()
    assert "<script" not in html(renamed(traced, wild))
    assert len(markdown(renamed(traced, wild))) < MOST_CHARACTERS


def test_a_long_run_is_cut_to_its_turning_points_and_evenly_and_says_so(traced: AuditReport) -> None:
    report = long(traced, 500)
    page = Page(report)
    rows = page.rows("Checkpoints")
    assert 100 < len(rows) <= 150
    shown = {row["checkpoint"] for row in rows}
    assert {"checkpoint-20", "checkpoint-120", "step-77"} <= shown
    assert f"{500 - len(rows)} checkpoints more in the report." in told(page)
    marks = re.search(r"The line passes through all 500 checkpoints; (\d+) of them have a mark\.", told(page))
    assert marks is not None
    assert 50 < int(marks[1]) <= 60
    assert len(page.text.encode()) < 500_000
    text = markdown(report)
    assert len(text) < MOST_CHARACTERS
    assert "checkpoints more in the report" in text


def test_markdown_has_the_same_tables(traced: AuditReport) -> None:
    text = markdown(traced)
    assert "### Turning points" in text
    assert "| `checkpoint-60` | 60 |" in text
    assert "<svg" not in text
    assert text.startswith("**FAIL** source accuracy fell")
