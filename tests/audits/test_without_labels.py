"""Data without labels: no more can have been lost than answers have changed, and that needs no label."""

from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import forgetaudit
from forgetaudit.inference.proportions import clopper_pearson

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "sample_data"


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "digits"
    load_from_disk(str(SAMPLES / "src_val")).remove_columns("label").save_to_disk(str(path))
    return path


def audit(data: Path, tuned: str = "tuned.safetensors", **options: Any) -> Any:
    return forgetaudit.compare(
        SAMPLES / "base.safetensors",
        SAMPLES / tuned,
        data=str(data),
        model=f"{SAMPLES / 'digits.py'}:build",
        **options,
    )


def test_what_changed_bounds_what_was_lost(unlabelled: Path) -> None:
    without, labelled = audit(unlabelled).source[0], audit(SAMPLES / "src_val").source[0]
    assert without.unlabelled
    assert without.disagreement == labelled.disagreement
    lost = labelled.flips.forgotten / labelled.n
    assert labelled.accuracy.drop.estimate <= lost <= without.disagreement.estimate


def test_what_needs_labels_is_not_measured(unlabelled: Path) -> None:
    section = audit(unlabelled).source[0]
    assert section.metric == "agreement"
    assert section.nll.base.not_measured == "the task gives none"
    assert section.calibration.not_measured == "the data have no labels"
    assert section.per_class == ()


def test_few_changes_pass_a_limit_without_a_label(unlabelled: Path, tmp_path: Path) -> None:
    """The certificate: the exact upper limit of the share of changed answers."""
    report = audit(unlabelled, "lowlr.safetensors", max_drop="60pt")
    (rule,) = report.verdict.rules
    assert rule.outcome == "pass"
    changed = round(report.source[0].disagreement.estimate * 797)
    expected = clopper_pearson(changed, 797, confidence=0.95, sides=1)
    assert rule.limits.high == pytest.approx(expected.high, rel=1e-12)
    assert f"at most {100 * expected.high:.1f} pt can be lost" in rule.reason


def test_many_changes_prove_no_loss(unlabelled: Path) -> None:
    report = audit(unlabelled, max_drop="2pt")
    (rule,) = report.verdict.rules
    assert rule.outcome == "inconclusive"
    assert "a loss can be ruled out, and not shown" in rule.reason
    assert not [finding for finding in report.findings if finding.data == "digits"]


def test_equal_files_are_known_to_have_lost_nothing(unlabelled: Path) -> None:
    report = audit(unlabelled, "base.safetensors", max_drop="2pt")
    assert report.verdict.outcome == "pass"
    assert report.source[0].disagreement.estimate == 0
