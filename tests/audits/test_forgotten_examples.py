"""The forgotten examples: a few in the report, all of them in a file, and as a data set for rehearsal."""

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from datasets import load_from_disk

import forgetaudit
from forgetaudit.errors import OutputError, UsageError

ROOT = Path(__file__).parent.parent.parent
SAMPLES, FIXTURES = ROOT / "sample_data", ROOT / "tests" / "fixtures"


def digits(tuned: str = "tuned.safetensors", **options: Any) -> Any:
    return forgetaudit.compare(
        SAMPLES / "base.safetensors",
        SAMPLES / tuned,
        data=str(SAMPLES / "src_val"),
        model=f"{SAMPLES / 'digits.py'}:build",
        **options,
    )


def language(data: str, **options: Any) -> Any:
    return forgetaudit.compare(
        FIXTURES / "gpt2" / "base",
        FIXTURES / "gpt2" / "tuned",
        data=str(FIXTURES / "data" / data),
        **options,
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(path).to_pylist()


def test_the_report_shows_the_surest_mistakes_first() -> None:
    report = digits()
    assert len(report.lost) == 24
    confidences = [example.confidence for example in report.lost]
    assert confidences == sorted(confidences, reverse=True)
    source = load_from_disk(str(SAMPLES / "src_val"))
    for example in report.lost:
        assert (example.base, example.n_right_base, example.n_right_tuned) == (example.wanted, 1, 0)
        assert example.tuned != example.wanted
        assert source.features["label"].int2str(source[example.row]["label"]) == example.wanted
        assert example.preview.kind == "image"
        assert example.preview.content.startswith("data:image/png;base64,")


def test_no_samples_leaves_out_what_the_examples_hold() -> None:
    assert all(example.preview is None for example in digits(show_samples=False).lost)
    assert "data:image" not in digits(show_samples=False).to_json()


def test_nothing_is_lost_between_equal_files() -> None:
    assert digits("base.safetensors").lost == ()


def test_every_example_stands_in_the_file_and_together_they_are_the_report(tmp_path: Path) -> None:
    path = tmp_path / "examples.parquet"
    section = digits(examples=path).source[0]
    rows = rows_of(path)
    assert [row["row"] for row in rows] == list(range(797))
    forgotten = [row for row in rows if row["base_n_right"] > row["tuned_n_right"]]
    assert len(forgotten) == section.flips.forgotten
    assert sum(row["tuned_nll"] for row in rows) / 797 == pytest.approx(section.nll.tuned, rel=1e-9)
    for row in rows:
        assert row["base_n_right"] == (row["base_predicted"] == row["wanted"])
        assert 0.1 <= row["base_confidence"] <= 1
        assert (row["tuned_margin"] > 0) == bool(row["tuned_n_right"])


def test_the_forgotten_are_a_data_set_that_base_gets_right_and_tuned_wrong(tmp_path: Path) -> None:
    path = tmp_path / "rehearsal"
    first = digits(rehearsal=path).source[0]
    again = forgetaudit.compare(
        SAMPLES / "base.safetensors",
        SAMPLES / "tuned.safetensors",
        data=str(path),
        model=f"{SAMPLES / 'digits.py'}:build",
    ).source[0]  # type: ignore[index]
    assert again.n == first.flips.forgotten
    assert (again.accuracy.base, again.accuracy.tuned) == (1, 0)


def test_texts_are_kept_whole_and_counted_by_token(tmp_path: Path) -> None:
    path, folder = tmp_path / "examples.parquet", tmp_path / "rehearsal"
    report = language("docs.jsonl", examples=path, rehearsal=folder)
    section, rows = report.source[0], rows_of(path)
    assert len(rows) == 200
    assert sum(row["n_questions"] for row in rows) == section.n
    lost = sum(row["base_n_right"] - row["tuned_n_right"] for row in rows)
    assert lost == section.flips.forgotten - section.flips.gained
    kl = sum(row["tuned_kl"] * row["n_questions"] for row in rows) / section.n
    assert kl == pytest.approx(section.soft[0].value.estimate, rel=1e-9)
    assert len(load_from_disk(str(folder))["text"]) == sum(
        row["base_n_right"] > row["tuned_n_right"] for row in rows
    )
    worst = report.lost[0]
    assert worst.preview.kind == "text"
    assert worst.nll_increase == max(example.nll_increase for example in report.lost)


def test_questions_with_choices_come_back_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "rehearsal"
    first = language("choices.jsonl", rehearsal=folder).source[0]
    assert sorted(load_from_disk(str(folder)).column_names) == ["answer", "choices", "context"]
    again = forgetaudit.compare(FIXTURES / "gpt2" / "base", FIXTURES / "gpt2" / "tuned", data=str(folder))
    assert again.source[0].n == first.flips.forgotten  # type: ignore[index]
    assert again.source[0].accuracy.base == 1  # type: ignore[index]


def test_what_could_not_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is there already"):
        digits(rehearsal=tmp_path)
    with pytest.raises(OutputError, match="there is no folder"):
        digits(examples=tmp_path / "nowhere" / "examples.parquet")
    with pytest.raises(UsageError, match="--examples is for one data set"):
        forgetaudit.compare(
            SAMPLES / "base.safetensors",
            SAMPLES / "tuned.safetensors",
            data=[f"one={SAMPLES / 'src_val'}", f"two={SAMPLES / 'target_val'}"],
            model=f"{SAMPLES / 'digits.py'}:build",
            examples=tmp_path / "examples.parquet",
        )
