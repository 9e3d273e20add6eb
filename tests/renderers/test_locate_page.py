"""The page of a search for the loss: the parts with their shares, the resets, and what does not add up."""

import re

from tests.renderers import hostile
from tests.renderers.pages import Page, renamed, told

from forgetaudit.renderers.html import html
from forgetaudit.renderers.locate_words import located as located_lines
from forgetaudit.renderers.markdown import MOST_CHARACTERS, markdown
from forgetaudit.report.locate import LocateSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport


def section_of(report: AuditReport) -> LocateSection:
    return report.locate[0]


def with_section(report: AuditReport, **values: object) -> AuditReport:
    return report.model_copy(update={"locate": (section_of(report).model_copy(update=values),)})


def test_the_verdict_is_that_of_the_screen(located: AuditReport) -> None:
    (line,) = located_lines(located)
    page = told(Page(located))
    assert line.startswith("LOCATED  ")
    assert "LOCATED " + line.removeprefix("LOCATED  ") in page
    assert "NOT JUDGED" not in page
    assert markdown(located).startswith(f"**LOCATED** {line.removeprefix('LOCATED  ')}")


def test_an_annotation_says_the_same(located: AuditReport) -> None:
    from forgetaudit.renderers.github import github

    assert "LOCATED  source accuracy fell" in github(located, None)
    assert "NOT JUDGED" not in github(located, None)


def test_where_nothing_is_blamed_it_is_not_located(located: AuditReport) -> None:
    players = tuple(row.model_copy(update={"blamed": False}) for row in section_of(located).players)
    assert markdown(with_section(located, players=players)).startswith("**NOT LOCATED** ")


def test_of_two_data_sets_each_has_a_verdict_and_a_table(located: AuditReport) -> None:
    other = section_of(located).model_copy(update={"data": "other"})
    (source,) = located.source if not isinstance(located.source, Absent) else ()
    both = located.model_copy(
        update={
            "locate": (section_of(located), other),
            "source": (source, source.model_copy(update={"data": "other"})),
        }
    )
    page = Page(both)
    assert page.text.count("<caption>Parts of the network</caption>") == 2
    assert "2 comparisons: 2 located" in told(page)


def test_every_part_has_a_row_with_its_interval_on_one_axis(located: AuditReport) -> None:
    page = Page(located)
    rows = page.rows("Parts of the network")
    players = section_of(located).players
    assert [row["part"] for row in rows] == [player.name for player in players]
    blamed = sum(player.blamed for player in players)
    assert 0 < blamed < len(players)
    # The drop of base against tuned has a figure of its own, which is no span of a table.
    assert page.classes("svg").count("span bad") >= blamed
    for row, player in zip(rows, players, strict=True):
        assert not isinstance(player.shapley, Absent)
        assert row["share, pt"].removesuffix(" *").lstrip(
            "−<"
        ) == f"{abs(100 * player.shapley.estimate):.1f}".removeprefix("<")
        assert row["rolled back"].endswith("!") == player.rolled_back.sure


def test_without_shares_the_rollbacks_are_drawn(located: AuditReport) -> None:
    why = Absent(not_measured="no orders were sampled")
    players = tuple(row.model_copy(update={"shapley": why}) for row in section_of(located).players)
    sums = section_of(located).sums.model_copy(update={"shapley": why})
    page = Page(with_section(located, players=players, sums=sums))
    assert "won back, pt" in page.tables["Parts of the network"][0]
    assert "No shares: no orders were sampled." in told(page)
    assert "<dt>shares</dt>" not in page.text


def test_resets_from_each_end_and_the_sums_are_told(located: AuditReport) -> None:
    page = Page(located)
    resets = page.rows("Layers reset from each end")
    assert len(resets) == len(section_of(located).resets)
    assert (resets[0]["reset to base"], resets[0]["as far as"]) == ("first layer", "stem")
    assert resets[-1]["reset to base"] == "last 4 layers"
    sums = dict(re.findall(r"<dt>([\w ]+)</dt><dd>\+?([\d.]+) pt", page.text))
    assert sums["shares"] == sums["the drop"]
    assert sums["rolled back"] != sums["the drop"]


def test_names_of_parts_are_shown_and_never_obeyed(located: AuditReport) -> None:
    texts = ("src_val", "stem", "block1", "block2", "block3", "head", "running statistics")
    wild = dict(zip(texts, hostile.NAMES, strict=False))
    tame = {text: f"name{at}" for at, text in enumerate(wild)}
    assert Page(renamed(located, wild)).skeleton() == Page(renamed(located, tame)).skeleton()
    assert "<script" not in html(renamed(located, wild))
    assert len(markdown(renamed(located, wild))) < MOST_CHARACTERS


def test_of_many_parts_those_with_the_largest_shares_are_shown(located: AuditReport) -> None:
    section = section_of(located)
    small = section.players[0]
    many = tuple(small.model_copy(update={"name": f"extra.{at}", "blamed": False}) for at in range(300))
    resets = tuple(section.resets[at % len(section.resets)] for at in range(600))
    report = with_section(located, players=(*many, *section.players), resets=resets)
    page = Page(report)
    rows = page.rows("Parts of the network")
    assert len(rows) == 150
    assert {"block2", "block3"} <= {row["part"] for row in rows}
    n_parts = len(many) + len(section.players)
    assert f"{n_parts - 150} parts more in the report." in told(page)
    assert "450 resets more in the report." in told(page)
    assert len(markdown(report)) < MOST_CHARACTERS
