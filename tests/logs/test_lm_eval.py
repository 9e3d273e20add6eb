"""What lm-eval wrote is read as it is; everything else is named for what it is."""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.logs import written

from forgetaudit.errors import DataError
from forgetaudit.logs.answers import Kind, Log, PerUnit
from forgetaudit.logs.lm_eval import read_log


def read(path: Path) -> Log:
    return read_log(path, lambda n_bytes: None)


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Log]:
    return lambda lines, name="log.jsonl": read(written.write(tmp_path / name, lines))


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.hint
    return str(caught.value)


def test_a_line_becomes_an_answer(log: Callable[..., Log]) -> None:
    found = log([written.choice_line(3, chosen=1)]).filters["none"]
    (answer,) = found.rows
    assert (answer.doc_id, answer.line, answer.kind, answer.n_options) == ("3", 1, Kind.MULTIPLE_CHOICE, 4)
    assert answer.scores == {"acc": 0.0, "acc_norm": 0.0}
    assert answer.log_loss == pytest.approx(26.98)
    assert found.metrics == ("acc", "acc_norm")


def test_a_log_is_identified_by_its_bytes_and_tells_how_many_were_read(tmp_path: Path) -> None:
    path, told = written.write(tmp_path / "log.jsonl", written.choices(20)), []
    found = read_log(path, told.append)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.n_bytes == sum(told) == path.stat().st_size


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("samples_arc_easy_2026-08-07T10-11-12.123456.jsonl", "arc_easy"),
        ("samples_mmlu_pro_2_2026-08-07T10-11-12.123456.jsonl", "mmlu_pro_2"),
        ("base.jsonl", None),
        ("samples_mine.jsonl", None),
    ],
)
def test_the_task_is_told_by_the_name_of_the_file_alone(
    log: Callable[..., Log], name: str, task: str | None
) -> None:
    assert log(written.choices(2), name).task == task


def test_filters_are_kept_apart(log: Callable[..., Log]) -> None:
    strict = [written.generated_line(i, False, filter_="strict-match") for i in range(3)]
    loose = [written.generated_line(i, True, filter_="flexible-extract") for i in range(3)]
    filters = log([*strict, *loose]).filters
    assert [answer.scores["exact_match"] for answer in filters["strict-match"].rows] == [0, 0, 0]
    assert [answer.scores["exact_match"] for answer in filters["flexible-extract"].rows] == [1, 1, 1]


def test_numbers_are_read_however_they_were_written(log: Callable[..., Log]) -> None:
    line = written.generated_line(0, True, a="0.5", b=True, c=1, d=[[1], [2]], e=None, f="text")
    (answer,) = log([line]).filters["none" if line["filter"] == "none" else "strict-match"].rows
    assert answer.scores == {"a": 0.5, "b": 1.0, "c": 1.0, "d": None, "e": None, "f": None}


def test_a_perplexity_is_a_log_likelihood_and_a_length(log: Callable[..., Log]) -> None:
    (answer,) = log([written.rolling_line(0, -123.5, 40)]).filters["none"].rows
    assert answer.kind is Kind.ROLLING
    assert answer.scores["word_perplexity"] == PerUnit(log_likelihood=-123.5, n_units=40)
    assert answer.log_loss == 123.5


def test_a_log_without_a_list_of_metrics_is_read(log: Callable[..., Log]) -> None:
    line = written.choice_line(0, chosen=0)
    del line["metrics"]
    assert log([line]).filters["none"].metrics == ("acc", "acc_norm")


def test_blank_lines_are_nothing(tmp_path: Path) -> None:
    path = written.write(tmp_path / "log.jsonl", written.choices(3))
    path.write_text(path.read_text().replace("\n", "\n\n"))
    assert len(read(path).filters["none"].rows) == 3


def test_a_missing_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    written.write(tmp_path / "base.jsonl", written.choices(2))
    said = refusal(tmp_path / "bsae.jsonl")
    assert "there is no log" in said
    assert "did you mean base.jsonl?" in said


def test_a_folder_names_the_logs_in_it(tmp_path: Path) -> None:
    name = "samples_arc_easy_2026-08-07T10-11-12.123456.jsonl"
    written.write(tmp_path / "org__model" / name, written.choices(2))
    said = refusal(tmp_path)
    assert "is a folder" in said
    assert f"org__model/{name}" in said


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "holds no samples"),
        (json.dumps(written.choices(2)), "is one JSON list"),
        ("[\n  {\n", "is one JSON list"),
        (json.dumps({"results": {"arc": {}}, "configs": {}}, indent=2), "a summary of results"),
        (json.dumps({"results": {"arc": {}}, "configs": {}}), "a summary of results"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a git-lfs pointer"),
        ("doc_id,acc\n0,1\n", "line 1 is not JSON"),
        ("3\n", "line 1 is not a JSON object"),
        ('{"text": "some training data"}\n', "line 1 has no doc_hash"),
        ('{"doc_id": 0, "doc": {}, "acc": 1.0}\n', "run both models again with lm-eval 0.4.3 or newer"),
    ],
)  # fmt: skip
def test_other_files_are_named_for_what_they_are(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    assert said in refusal(tmp_path / "x.jsonl")


def test_a_compressed_log_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    assert "is compressed" in refusal(tmp_path / "x.jsonl.gz")


def test_a_log_that_breaks_off_says_in_which_line(tmp_path: Path) -> None:
    path = written.write(tmp_path / "log.jsonl", written.choices(5))
    path.write_bytes(path.read_bytes()[:-200])
    assert "breaks off in line 5" in refusal(path)


def test_json_nested_without_end_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("[" * 100_000)
    assert "is one JSON list" in refusal(tmp_path / "x.jsonl")


def test_a_run_appended_to_another_is_refused_with_counts(tmp_path: Path) -> None:
    lines = written.choices(10)
    said = refusal(written.write(tmp_path / "log.jsonl", [*lines, *lines[:3]]))
    assert "holds 3 of its 10 documents more than once" in said
    assert "3 lines too many under the filter none" in said
    assert "doc_id 0 on lines 1, 11" in said
    assert "two runs were written to one file" in said


def test_documents_that_the_data_repeat_are_refused_with_another_advice(tmp_path: Path) -> None:
    lines = written.choices(4)
    lines.append({**lines[1], "doc_id": 4})
    said = refusal(written.write(tmp_path / "log.jsonl", lines))
    assert "holds 1 of its 4 documents more than once" in said
    assert "the data set itself repeats them" in said


def test_the_same_document_under_two_filters_is_no_repeat(log: Callable[..., Log]) -> None:
    both = [written.generated_line(i, True, filter_=name) for name in ("a", "b") for i in range(3)]
    assert set(log(both).filters) == {"a", "b"}


def test_two_subtasks_of_the_same_columns_are_told_by_their_places(tmp_path: Path) -> None:
    one, other = written.choices(5), written.choices(10)[5:]
    for doc_id, line in enumerate(other):
        line["doc_id"] = doc_id
    said = refusal(written.write(tmp_path / "log.jsonl", [*one, *other]))
    assert "holds several tasks" in said
    assert "doc_ids that stand for several documents (5): 0, 1, 2, 3, 4" in said


def test_two_tasks_of_other_columns_are_told_by_them(tmp_path: Path) -> None:
    other = written.last_word_line(9, -1.0, greedy=True)
    said = refusal(written.write(tmp_path / "log.jsonl", [*written.choices(5), other]))
    assert "holds several tasks" in said
    assert "columns that only some documents have (5): choices, gold, id, question, text" in said
