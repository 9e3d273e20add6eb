"""--group-by, --stop-early and --noise-floor on the sample's real weights and data, and on trained language models."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from tests.fixtures.held_out import read_lines

import forgetaudit
from forgetaudit.errors import DataError, UsageError
from forgetaudit.plan import Settings

ROOT = Path(__file__).parent.parent.parent
SAMPLES, FIXTURES = ROOT / "sample_data", ROOT / "tests" / "fixtures"


def audit(tuned: str = "tuned.safetensors", data: Any = None, **options: Any) -> Any:
    gate = {name: options.pop(name) for name in ("max_drop",) if name in options}
    return forgetaudit.compare(
        SAMPLES / "base.safetensors",
        SAMPLES / tuned,
        data=str(data or SAMPLES / "src_val"),
        model=f"{SAMPLES / 'digits.py'}:build",
        settings=Settings(**options),
        **gate,
    )


@pytest.fixture(scope="module")
def by_writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's digits, with a column that says who wrote them: forty writers, of whom one wrote every 8."""
    path = tmp_path_factory.mktemp("data") / "digits"
    digits = Dataset.load_from_disk(str(SAMPLES / "src_val"))
    label = digits["label"]
    digits.add_column(
        "writer", [f"w{40 if one == 8 else row % 40}" for row, one in enumerate(label)]
    ).save_to_disk(str(path))
    return path


def test_examples_of_one_writer_are_not_independent(by_writer: Path) -> None:
    plain, grouped = audit().source[0], audit(data=by_writer, group_by="writer").source[0]
    assert grouped.flips == plain.flips
    assert (grouped.groups.n, grouped.groups.by) == (41, "writer")
    assert grouped.groups.drop_effect > 1.5
    wide, narrow = grouped.accuracy.drop, plain.accuracy.drop
    assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)


def test_each_group_is_told_and_together_they_are_all(by_writer: Path) -> None:
    section = audit(data=by_writer, group_by="writer").source[0]
    assert sum(group.n for group in section.per_group) == section.n
    lost = sum(round((group.base - group.tuned) * group.n) for group in section.per_group)
    assert lost == section.flips.forgotten - section.flips.gained
    eights = next(group for group in section.per_group if group.name == "w40")
    of_class = next(one for one in section.per_class if one.name == "8")
    assert (eights.n, eights.base, eights.tuned) == (of_class.n, of_class.base, of_class.tuned)


def test_texts_of_one_group_are_counted_together_not_their_windows(tmp_path: Path) -> None:
    texts = [row["text"] for row in read_lines(FIXTURES / "data" / "docs.jsonl")]
    path = tmp_path / "texts.parquet"
    Dataset.from_dict({"text": texts, "module": [row // 8 for row in range(len(texts))]}).to_parquet(
        str(path)
    )
    report = forgetaudit.compare(
        FIXTURES / "gpt2" / "base",
        FIXTURES / "gpt2" / "tuned",
        data=str(path),
        settings=Settings(group_by="module"),
    )
    assert report.source[0].groups.n == 25  # type: ignore[union-attr, index]


def test_a_column_that_is_not_there_is_named_with_the_nearest(by_writer: Path) -> None:
    with pytest.raises(DataError, match="there is no column wrtier") as refusal:
        audit(data=by_writer, group_by="wrtier")
    assert "did you mean writer?" in (refusal.value.hint or "")


def test_a_clear_loss_is_decided_early_and_the_limits_hold_for_looking() -> None:
    report = audit(stop_early=True, max_drop="2pt", batch_size=16)
    section, rule = report.source[0], report.verdict.rules[0]
    assert report.verdict.outcome == "fail"
    assert section.n < 400
    assert section.sequential
    assert section.accuracy.drop.method == "betting"
    assert rule.limits.low > 0.02
    assert all(layer.n == section.n for layer in report.features[0].layers)


def test_equal_files_are_decided_as_soon_as_min_samples_allow() -> None:
    section = audit("base.safetensors", stop_early=True, max_drop="2pt", batch_size=50).source[0]
    assert 200 <= section.n < 797


def test_the_order_is_random_and_the_same_every_time() -> None:
    first, second = (audit(stop_early=True, max_drop="2pt", batch_size=16) for _ in range(2))
    assert first.source == second.source
    other = audit(stop_early=True, max_drop="2pt", batch_size=16, seed=1)
    assert other.source != first.source


def test_stopping_early_needs_a_limit_and_independent_questions(by_writer: Path) -> None:
    with pytest.raises(UsageError, match="--stop-early needs a limit"):
        audit(stop_early=True)
    with pytest.raises(UsageError, match="independent questions"):
        audit(stop_early=True, max_drop="2pt", data=by_writer, group_by="writer")
    with pytest.raises(UsageError, match="independent questions"):
        forgetaudit.compare(
            FIXTURES / "gpt2" / "base",
            FIXTURES / "gpt2" / "tuned",
            data=str(FIXTURES / "data" / "docs.jsonl"),
            settings=Settings(stop_early=True),
            max_drop="2pt",
        )


def test_base_in_other_batches_is_the_noise_of_the_machine() -> None:
    (noise,) = audit(noise_floor=True).noise
    assert (noise.n, noise.batch_sizes) == (797, (64, 33))
    assert noise.n_answers_changed <= 1
    assert noise.n_flips <= noise.n_answers_changed
    assert noise.largest_nll_change < 1e-3


def test_a_coarse_dtype_has_more_noise_than_a_fine_one() -> None:
    fine, coarse = (audit(noise_floor=True, dtype=dtype).noise[0] for dtype in ("float64", "bfloat16"))
    assert fine.largest_nll_change < 1e-9
    assert coarse.largest_nll_change >= fine.largest_nll_change
