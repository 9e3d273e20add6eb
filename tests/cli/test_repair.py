"""repair, as a user meets it: what is written, what it is worth by compare, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

BASIC = ("repair", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--families", "mixture")


def test_what_is_written_wins_back_by_compare_what_repair_said(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(*BASIC, "-o", "fixed.safetensors", "--output", "json=r.json", cwd=workplace)
    assert run.code == 0, run.err
    assert run.out.startswith(
        "forgetaudit repair  base.safetensors → tuned.safetensors   src_val · 407 examples"
    )
    assert "REPAIRED  mixture 0.7 wins back 15.6 pt, 56 % of what was lost" in run.out
    assert "not measured: pass --target" in run.out
    assert "wrote         fixed.safetensors   safetensors" in run.out
    report = json.loads((workplace / "r.json").read_text())
    found = report["repair"]["confirmed"]
    assert found["from_files"]
    assert (found["n"], report["repair"]["n_search"]) == (390, 407)
    # Audited again by compare, on all examples: at least half of the 29 lost points are there.
    again = forgetaudit(
        "compare", "base.safetensors", "fixed.safetensors", "--data", "src_val", "--output", "json=c.json",
        cwd=workplace,
    )  # fmt: skip
    assert again.code == 0
    source = json.loads((workplace / "c.json").read_text())["source"][0]["accuracy"]
    assert source["base"] - source["tuned"] < 0.29 / 2


def test_the_file_is_the_mixture_in_tuneds_form_with_a_card_beside_it(
    forgetaudit: Any, workplace: Path
) -> None:
    assert forgetaudit(*BASIC, "-o", "fixed.safetensors", "-q", cwd=workplace).code == 0
    base, tuned, fixed = (load_file(workplace / f"{n}.safetensors") for n in ("base", "tuned", "fixed"))
    assert list(fixed) == list(tuned)
    for name, tensor in fixed.items():
        mixture = (1 - 0.7) * base[name].double() + 0.7 * tuned[name].double()
        wanted = mixture.to(tensor.dtype) if tensor.is_floating_point() else tuned[name]
        assert torch.equal(tensor, wanted), name
    card = (workplace / "fixed.safetensors.card.md").read_text()
    assert "with `mixture 0.7`" in card
    assert "| `block2` | 0.7 |" in card
    assert "Target accuracy was not measured." in card


def test_on_the_sample_half_the_loss_cannot_be_won_back_for_a_point_of_the_target_and_that_is_said(
    forgetaudit: Any, workplace: Path
) -> None:
    run = forgetaudit(
        *BASIC, "--target", "target_val", "--win-back", "50%", "-o", "fixed.safetensors", cwd=workplace
    )
    assert run.code == 1
    assert "NOT REPAIRED  nothing was written: none of 9 remedies does" in run.out
    assert "win back at least 50 % of the lost points, losing at most 1.0 pt of the target" in run.out
    assert not (workplace / "fixed.safetensors").exists()
    assert not list(workplace.glob(".*"))


def test_with_a_target_what_wins_back_most_within_the_loss_allowed_is_chosen(
    forgetaudit: Any, workplace: Path
) -> None:
    run = forgetaudit(
        *BASIC, "--target", "target_val", "--keep-target", "15pt", "--output", "json=r.json", cwd=workplace
    )
    assert run.code == 0
    repair = json.loads((workplace / "r.json").read_text())["repair"]
    allowed = [one for one in repair["candidates"] if one["allowed"]]
    assert repair["chosen"] == max(allowed, key=lambda one: one["accuracy"])["name"] == "mixture 0.6"
    assert repair["confirmed"]["target_loss"]["high"] < 0.15
    assert "nothing: no place was named (-o OUT)" in run.out


def test_what_would_make_base_itself_is_told_so(forgetaudit: Any, workplace: Path) -> None:
    base = load_file(workplace / "base.safetensors")
    moved = {name: value * 2 + 1 if "running" in name else value for name, value in base.items()}
    save_file(moved, workplace / "moved.safetensors")
    run = forgetaudit(
        "repair", "base.safetensors", "moved.safetensors", "--data", "src_val", "--families", "buffers",
        "--limit", "300", cwd=workplace,
    )  # fmt: skip
    # Nothing else had changed, so that what would be written is base.
    assert run.code == 1
    assert "every remedy asked for would make base itself" in run.out


def test_out_that_is_there_is_kept_unless_forced(forgetaudit: Any, workplace: Path) -> None:
    (workplace / "fixed.safetensors").write_text("mine")
    run = forgetaudit(*BASIC, "-o", "fixed.safetensors", cwd=workplace)
    assert run.code == 2
    assert "-o fixed.safetensors is there already" in run.err
    assert (workplace / "fixed.safetensors").read_text() == "mine"
    assert forgetaudit(*BASIC, "-o", "fixed.safetensors", "--force", "-q", cwd=workplace).code == 0
    assert load_file(workplace / "fixed.safetensors")


def test_a_dry_run_says_what_would_be_tried_and_writes_nothing(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(*BASIC, "-o", "fixed.safetensors", "--dry-run", cwd=workplace)
    assert run.code == 0
    assert "remedies mixture, on one half of the examples" in run.out
    assert "writes   fixed.safetensors" in run.out
    assert not (workplace / "fixed.safetensors").exists()


def test_a_repair_is_told_in_one_line_when_quiet(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(*BASIC, "-q", cwd=workplace)
    assert run.out.startswith("REPAIRED  mixture 0.7 would win back 15.6 pt")
    assert run.out.count("\n") == 1


def test_a_report_of_a_repair_is_shown_again_as_it_was(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(*BASIC, "--output", "json=r.json", cwd=workplace)
    assert forgetaudit("show", "r.json", cwd=workplace).out == run.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "target_val"), "repair needs one data set of the source task, and there are 2"),
        (("--force",), "--force replaces what is at OUT, and none was passed"),
        (("--keep-target", "1pt"), "--keep-target needs --target"),
        (("--target", "target_val", "--keep-target", "1%"), "--keep-target 1% is no number of points"),
        (("--win-back", "half"), "--win-back half is no share of the lost points"),
        (("--win-back", "0%"), "--win-back 0% is no share of the lost points"),
        (("--families", "mixture,magic"), "there is no family 'magic'"),
        (("-o", "fixed.pt"), "tuned is tuned.safetensors, and what is written is of its form"),
        (("-o", "none/fixed.safetensors"), "there is no folder"),
        (("-o", "tuned.safetensors", "--force"), "is tuned itself, which is read"),
        (("-o", "src_val"), "tuned is tuned.safetensors"),
    ],
)
def test_words_that_do_not_fit_are_refused_before_any_work(
    forgetaudit: Any, workplace: Path, words: tuple[str, ...], said: str
) -> None:
    run = forgetaudit(*BASIC, *words, cwd=workplace)
    assert run.code == 2
    assert said in run.err
    assert "hint:" in run.err


def test_no_data_and_identical_checkpoints_are_refused(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit("repair", "base.safetensors", "tuned.safetensors", cwd=workplace)
    assert run.code == 2
    assert "needs one data set of the source task, and there are none" in run.err
    shutil.copy(workplace / "base.safetensors", workplace / "same.safetensors")
    run = forgetaudit("repair", "base.safetensors", "same.safetensors", "--data", "src_val", cwd=workplace)
    assert run.code == 2
    assert "tuned is base, bit for bit: there is nothing to repair" in run.err


def test_one_that_lost_nothing_needs_no_repair(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(
        "repair",
        "tuned.safetensors",
        "base.safetensors",
        "--data",
        "src_val",
        "--families",
        "mixture",
        cwd=workplace,
    )
    assert run.code == 1
    assert "nothing was written: tuned lost nothing on these examples" in run.out


def test_a_limit_that_the_repaired_still_breaks_is_a_demand_not_met(
    forgetaudit: Any, workplace: Path
) -> None:
    run = forgetaudit(*BASIC, "--max-drop", "2pt", "-o", "fixed.safetensors", cwd=workplace)
    assert run.code == 1
    assert "keep every limit: no" in run.out
    assert not (workplace / "fixed.safetensors").exists()


def test_a_page_of_a_repair_begins_with_what_came_of_it(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(*BASIC, "--output", "md=r.md", cwd=workplace)
    assert run.code == 0
    assert (workplace / "r.md").read_text().startswith("**REPAIRED** mixture 0.7 would win back 15.6 pt")
