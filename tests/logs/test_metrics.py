"""Which metric decides is taken where it is plain, said, and else asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.logs import written

from forgetaudit.errors import AuditError, DataError, UsageError
from forgetaudit.logs.lm_eval import read_log
from forgetaudit.logs.metrics import SelectedMetric, choose_metric
from forgetaudit.logs.pairing import pair_answers


@pytest.fixture
def choose(tmp_path: Path) -> Any:
    def choose(
        *metrics: dict[str, Any], wanted: str | None = None, tuned: Sequence[Any] | None = None
    ) -> SelectedMetric:
        lines = [written.generated_line(i, True, filter_="none", **one) for i, one in enumerate(metrics)]
        base = read_log(written.write(tmp_path / "base.jsonl", lines), lambda n: None)
        other = read_log(written.write(tmp_path / "tuned.jsonl", tuned or lines), lambda n: None)
        names = base.filters["none"].metrics
        return choose_metric(pair_answers(base, other, "none"), names, wanted)

    return choose


def refusal(kind: type[AuditError], choose: Any, *metrics: dict[str, Any], wanted: str | None = None) -> str:
    with pytest.raises(kind) as caught:
        choose(*metrics, wanted=wanted)
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    ("metrics", "taken", "said"),
    [
        ({"acc": 1.0, "acc_norm": 0.0}, "acc", "metric acc (also there: acc_norm)"),
        ({"exact_match": 1.0}, "exact_match", "metric exact_match (the only one)"),
        ({"f1": 0.5, "exact_match": 1.0}, "exact_match", "metric exact_match (also there: f1)"),
        ({"acc": 1.0, "f1": [1, 0]}, "acc", "metric acc (the only one)"),
        ({"pass@1": 1.0}, "pass@1", "metric pass@1 (the only one)"),
        ({"rougeL": 0.4, "bleu": ["a", "b"]}, "rougeL", "metric rougeL (the only one that is a number for each document)"),
    ],
)  # fmt: skip
def test_the_usual_metric_is_taken_and_it_is_said(
    choose: Any, metrics: dict[str, Any], taken: str, said: str
) -> None:
    chosen = choose(metrics, metrics)
    assert (chosen.metric.name, chosen.decision) == (taken, said)


def test_a_typed_metric_beats_the_usual_one(choose: Any) -> None:
    chosen = choose({"acc": 1.0, "acc_norm": 0.0}, {"acc": 1.0, "acc_norm": 1.0}, wanted="acc_norm")
    assert (chosen.metric.name, chosen.metric.base) == ("acc_norm", (0.0, 1.0))
    assert [other.name for other in chosen.others] == ["acc"]


def test_right_or_wrong_is_told_from_a_number(choose: Any) -> None:
    assert choose({"acc": 1.0}, {"acc": 0.0}).metric.is_binary
    assert not choose({"f1": 1.0}, {"f1": 0.5}).metric.is_binary


def test_among_several_unusual_metrics_none_is_taken(choose: Any) -> None:
    said = refusal(UsageError, choose, {"f1": 0.5, "rougeL": 0.5}, {"f1": 0.2, "rougeL": 0.5})
    assert "the logs hold 2 metrics, and none is the usual one" in said
    assert "choose one: --metric f1" in said


def test_a_mistyped_metric_is_refused_with_the_nearest(choose: Any) -> None:
    said = refusal(UsageError, choose, {"acc": 1.0, "acc_norm": 1.0}, wanted="acc_nrom")
    assert "they have acc, acc_norm" in said
    assert "did you mean acc_norm?" in said


def test_a_score_of_the_whole_set_is_refused_with_the_reason(choose: Any) -> None:
    said = refusal(UsageError, choose, {"acc": 1.0, "f1": [1, 0]}, wanted="f1")
    assert "f1 is no number for each document: it is computed over the whole set" in said
    assert "pass one of acc" in said


def test_logs_of_predictions_only_hold_no_scores(choose: Any) -> None:
    assert "made with --predict_only" in refusal(DataError, choose, {"bypass": 999}, {"bypass": 999})


def test_a_metric_that_is_not_finite_everywhere_is_not_used(choose: Any) -> None:
    said = refusal(DataError, choose, {"acc": float("nan")}, {"acc": 1.0})
    assert "acc is NaN or infinite on 2 lines" in said


@pytest.mark.parametrize("value", [-1e308, 10**400, "-1e308", "9" * 5000])
def test_a_metric_too_large_to_be_summed_counts_as_infinite(choose: Any, value: Any) -> None:
    said = refusal(DataError, choose, {"acc": value}, {"acc": 1.0})
    assert "acc is NaN or infinite on 2 lines (numbers beyond 1e+100 count as infinite)" in said


@pytest.mark.parametrize("length", [0, -20, 1e-300, float("nan"), 1e308])
def test_a_perplexity_over_no_length_is_not_used(tmp_path: Path, length: float) -> None:
    lines = [written.rolling_line(i, -60.0, 20) for i in range(3)]
    for line in lines:
        line["word_perplexity"] = [-60.0, length]
    log = read_log(written.write(tmp_path / "x.jsonl", lines), lambda n: None)
    pairs = pair_answers(log, log, "none")
    assert choose_metric(pairs, log.filters["none"].metrics, None).metric.name == "byte_perplexity"


def test_a_metric_that_some_lines_lack_is_not_used(choose: Any) -> None:
    chosen = choose({"acc": 1.0, "hard_acc": 1.0}, {"acc": 1.0})
    assert chosen.others == ()
    assert "hard_acc is missing from 2 lines" in refusal(UsageError, choose, {"acc": 1.0, "hard_acc": 1.0}, {"acc": 1.0}, wanted="hard_acc")  # fmt: skip


def test_perplexities_are_one_log_likelihood_in_several_units(tmp_path: Path) -> None:
    path = written.write(tmp_path / "x.jsonl", [written.rolling_line(i, -60.0, 20) for i in range(3)])
    log = read_log(path, lambda n: None)
    answers = log.filters["none"]
    assert (
        choose_metric(pair_answers(log, log, "none"), answers.metrics, None).metric.name == "word_perplexity"
    )
