"""The page of a repair: what was asked and confirmed, everything that was tried, and what was made."""

import pytest
from tests.renderers import hostile
from tests.renderers.pages import Page, renamed, told

from forgetaudit.renderers.html import html
from forgetaudit.renderers.markdown import MOST_CHARACTERS, markdown
from forgetaudit.renderers.repair_words import share_words
from forgetaudit.report.parts import Absent
from forgetaudit.report.repair import RepairSection
from forgetaudit.report.report import AuditReport


def repair_of(report: AuditReport) -> RepairSection:
    assert report.repair is not None
    return report.repair


def with_repair(report: AuditReport, **values: object) -> AuditReport:
    return report.model_copy(update={"repair": repair_of(report).model_copy(update=values)})


def test_everything_that_was_tried_is_a_point_and_a_row(repaired: AuditReport) -> None:
    page, repair = Page(repaired), repair_of(repaired)
    names = {one.name for one in repair.candidates}
    assert {row["tried"] for row in page.rows("Remedies")} == names
    points = [word.rpartition(": ")[0] for word in page.words if word.rpartition(": ")[0] in names]
    assert set(points) == names
    front = sum(one.on_front and one.name != repair.chosen for one in repair.candidates)
    # One more is the key.
    assert page.classes("circle").count("front") == front + 1
    assert page.classes("circle").count("chosen ring") == 2
    assert page.classes("rect").count("tuned") == 2


def test_base_and_tuned_are_where_the_searching_half_has_them(
    repaired: AuditReport, repaired_blindly: AuditReport
) -> None:
    for report in (repaired, repaired_blindly):
        repair = repair_of(report)
        base, tuned = (end.accuracy for end in repair.ends)
        assert not isinstance(repair.lost, Absent)
        assert base - tuned == pytest.approx(repair.lost.estimate)
        for one in repair.candidates:
            assert not isinstance(one.won_back, Absent)
            assert one.accuracy == pytest.approx(tuned + one.won_back * (base - tuned))
        page = Page(report)
        # The second is the key.
        assert page.classes("path").count("base") == page.classes("rect").count("tuned") == 2


def test_without_a_target_the_way_back_is_the_other_axis(repaired_blindly: AuditReport) -> None:
    page = Page(repaired_blindly)
    assert "share of fine-tuning taken back" in page.words
    assert "target" not in page.tables["Remedies"][0]
    assert "the target" in [row["data"] for row in page.rows("Confirmed on the other half")]
    assert "not measured: no target data" in told(page) or "not measured" in told(page)


def test_remedies_that_lead_beyond_base_are_counted_and_not_drawn(repaired_blindly: AuditReport) -> None:
    first, *others = repair_of(repaired_blindly).candidates
    far = first.model_copy(update={"change": 12.3, "name": "stitch"})
    page = Page(with_repair(repaired_blindly, candidates=(far, *others)))
    assert "1 remedy that changes the weights more than base would" in told(page)
    assert "stitch" in {row["tried"] for row in page.rows("Remedies")}
    assert not any(word.startswith("stitch: ") for word in page.words)


def test_what_was_asked_and_confirmed_comes_first(repaired: AuditReport) -> None:
    page, repair = Page(repaired), repair_of(repaired)
    asked = [words for label, words in page.facts if label == "asked"]
    assert [": yes, " in words for words in asked] == [one.met for one in repair.demands]
    assert asked
    source, target = page.rows("Confirmed on the other half")
    assert not isinstance(repair.confirmed, Absent)
    assert source["repaired"] == f"{100 * repair.confirmed.repaired:.1f} %"
    assert (source["data"], target["data"]) == ("src_val", "target_val")
    assert page.text.index("<h3>What was asked") < page.text.index("<caption>Remedies")


def test_a_loss_on_the_target_is_told_with_its_sign_and_limits_in_order(repaired: AuditReport) -> None:
    row = next(row for row in Page(repaired).rows("Remedies") if row["tried"] == "mixture 0.3")
    assert row["change, pt"].startswith("−")
    low, high = row["two-sided 95 %"].split(" to ")
    assert low.startswith("−")
    assert float(low[1:]) > float(high[1:])


def test_the_repaired_is_never_called_tuned(repaired: AuditReport) -> None:
    page = Page(repaired)
    assert page.tables["Before and after"][0][2] == "repaired"
    assert page.tables["Classes"][0][3] == "repaired"
    assert "Drop = base − repaired" in told(page)
    assert page.tables["Flips"][0][1:] == ["repaired right", "repaired wrong"]


def test_where_nothing_was_tried_or_chosen_the_page_says_so(repaired: AuditReport) -> None:
    why = Absent(not_measured="no remedy was chosen")
    none = with_repair(repaired, chosen=None, confirmed=why, strengths={}, met=False)
    page = Page(none)
    assert "Confirmed on the other half" not in page.tables
    assert "What is kept of fine-tuning" not in page.tables
    assert "chosen" not in page.classes("circle")
    empty = Page(with_repair(none, candidates=()))
    assert "Remedies" not in empty.tables
    assert not [attrs for _, attrs in empty.tags if attrs.get("role") == "img"]


def test_a_share_of_nothing_lost_is_a_dot(repaired: AuditReport) -> None:
    why = Absent(not_measured="nothing was lost on this half")
    tried = tuple(one.model_copy(update={"won_back": why}) for one in repair_of(repaired).candidates)
    assert {row["won back"] for row in Page(with_repair(repaired, candidates=tried)).rows("Remedies")} == {
        "·"
    }


def test_strengths_and_what_was_written_are_told(repaired: AuditReport) -> None:
    page = Page(repaired)
    strengths = repair_of(repaired).strengths
    assert {row["part"] for row in page.rows("What is kept of fine-tuning")} == set(strengths)
    assert dict(page.facts)["wrote"].startswith("nothing: no place was named")
    wrote = with_repair(repaired, written="out/fixed.safetensors", form="safetensors", notes=("a note",))
    facts = dict(Page(wrote).facts)
    assert facts["wrote"] == "out/fixed.safetensors   safetensors"
    assert facts["note"] == "a note"


def test_names_of_a_repair_are_shown_and_never_obeyed(repaired: AuditReport) -> None:
    texts = ("src_val", "target_val", repair_of(repaired).chosen or "", "stem", "block1", "block2", "block3")
    wild = dict(zip(texts, hostile.NAMES, strict=False)) | {"head": hostile.NAMES[14]}
    tame = {text: f"name{at}" for at, text in enumerate(wild)}
    assert Page(renamed(repaired, wild)).skeleton() == Page(renamed(repaired, tame)).skeleton()
    assert "<script" not in html(renamed(repaired, wild))
    assert len(markdown(renamed(repaired, wild))) < MOST_CHARACTERS


def test_of_many_remedies_the_chosen_one_is_never_left_out(repaired: AuditReport) -> None:
    repair = repair_of(repaired)
    worst = repair.candidates[0].model_copy(
        update={"accuracy": 0.0, "on_front": False, "name": repair.chosen}
    )
    many = tuple(
        repair.candidates[at % 9].model_copy(update={"name": f"mixture {at}", "on_front": False})
        for at in range(500)
    )
    report = with_repair(repaired, candidates=(*many, worst))
    page = Page(report)
    rows = page.rows("Remedies")
    assert len(rows) == 150
    assert rows[-1][""] == "chosen"
    assert "351 remedies more in the report." in told(page)
    assert len(markdown(report)) < MOST_CHARACTERS


@pytest.mark.parametrize(
    ("share", "said"),
    [(1.0, "100 %"), (0.999, "99+ %"), (0.001, "<1 %"), (0.0, "0 %"), (-0.06, "−6 %"), (1.008, "101 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert share_words(share) == said
