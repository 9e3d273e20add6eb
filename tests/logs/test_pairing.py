"""Pairs are made of the same documents, prompts and targets, or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.logs import written

from forgetaudit.errors import AuditError, DataError, UsageError
from forgetaudit.logs.answers import Log
from forgetaudit.logs.lm_eval import read_log
from forgetaudit.logs.pairing import choose_filter, pair_answers, task_of


@pytest.fixture
def logs(tmp_path: Path) -> Any:
    def make(
        base: Sequence[Any], tuned: Sequence[Any], names: tuple[str, str] = ("base.jsonl", "tuned.jsonl")
    ) -> Any:
        return tuple(
            read_log(written.write(tmp_path / name, lines), lambda n: None)
            for name, lines in zip(names, (base, tuned), strict=True)
        )

    return make


def refusal(base: Log, tuned: Log, filter_: str = "none") -> AuditError:
    with pytest.raises(DataError) as caught:
        pair_answers(base, tuned, filter_)
    return caught.value


def test_documents_are_paired_whatever_their_order(logs: Any) -> None:
    lines = written.choices(6)
    pairs = pair_answers(*logs(lines, lines[::-1]), "none")
    assert [pair.base.doc_hash for pair in pairs] == [pair.tuned.doc_hash for pair in pairs]
    assert [pair.base.doc_id for pair in pairs] == ["0", "1", "2", "3", "4", "5"]


def test_missing_documents_are_counted_on_each_side(logs: Any) -> None:
    lines = written.choices(12)
    said = refusal(*logs(lines[:11], lines[2:]))
    assert said.fact == "3 documents stand in one log only (9 in both)"
    assert said.details == ("only in base.jsonl: doc_id (2): 0, 1", "only in tuned.jsonl: doc_id (1): 11")
    assert said.hint is not None
    assert "--limit" in said.hint


def test_documents_that_changed_are_told_from_missing_ones(logs: Any) -> None:
    lines, changed = written.choices(12), written.choices(12)
    for line in changed[3:5]:
        line["doc_hash"] = written.sha(f"other {line['doc_id']}")
    said = refusal(*logs(lines, changed))
    assert said.fact == "2 documents are not the same in both logs (10 are)"
    assert said.details == ("same doc_id, other content (2): 3, 4",)
    assert said.hint is not None
    assert "the data changed" in said.hint


def test_logs_that_share_nothing_are_of_different_tasks(logs: Any) -> None:
    other = [written.last_word_line(i, -1.0, greedy=True) for i in range(3)]
    assert refusal(*logs(written.choices(5), other)).fact == (
        "the logs have no document in common: 5 in base.jsonl, 3 in tuned.jsonl"
    )


def test_other_prompts_are_refused_with_what_makes_them(logs: Any) -> None:
    lines, templated = written.choices(8), written.choices(8)
    for line in templated:
        line["prompt_hash"] = written.sha("<|user|>" + line["doc"]["question"])
    said = refusal(*logs(lines, templated))
    assert said.fact == "the prompts differ for 8 of 8 documents: other few-shot examples or chat template"
    assert said.details == ("doc_id (8): 0, 1, 2, 3, 4, … 3 more",)


def test_other_targets_are_refused(logs: Any) -> None:
    lines, corrected = written.choices(8), written.choices(8)
    corrected[5]["target_hash"] = written.sha("2")
    said = refusal(*logs(lines, corrected))
    assert said.fact == "the targets differ for 1 of 8 documents"
    assert said.details == ("doc_id (1): 5",)


def test_logs_without_prompt_hashes_are_paired_all_the_same(logs: Any) -> None:
    lines = written.choices(4)
    for line in lines:
        del line["prompt_hash"], line["target_hash"]
    assert len(pair_answers(*logs(lines, written.choices(4)), "none")) == 4


def test_two_tasks_in_the_names_of_the_files_are_refused(logs: Any) -> None:
    names = [f"samples_{task}_2026-08-07T10-11-12.123456.jsonl" for task in ("arc_easy", "hellaswag")]
    with pytest.raises(DataError, match="different tasks: arc_easy and hellaswag"):
        task_of(*logs(written.choices(2), written.choices(2), tuple(names)))
    assert task_of(*logs(written.choices(2), written.choices(2), (names[0], "x.jsonl"))) == "arc_easy"


def filtered(*names: str) -> list[Any]:
    return [written.generated_line(i, True, filter_=name) for name in names for i in range(2)]


def test_the_only_filter_is_taken(logs: Any) -> None:
    assert choose_filter(*logs(written.choices(2), written.choices(2)), None)[0] == "none"
    assert choose_filter(*logs(filtered("a", "b"), filtered("b")), None)[0] == "b"


def test_several_filters_are_to_be_chosen_from(logs: Any) -> None:
    both = logs(filtered("strict-match", "flexible-extract"), filtered("strict-match", "flexible-extract"))
    with pytest.raises(UsageError) as caught:
        choose_filter(*both, None)
    assert caught.value.details == ("strict-match, flexible-extract",)
    assert caught.value.hint == "choose one: --filter strict-match"
    assert choose_filter(*both, "flexible-extract")[0] == "flexible-extract"


def test_a_filter_that_is_not_there_is_refused_with_the_nearest(logs: Any) -> None:
    both = logs(filtered("strict-match", "flexible-extract"), filtered("strict-match", "flexible-extract"))
    with pytest.raises(UsageError) as caught:
        choose_filter(*both, "strict")
    assert caught.value.hint == "did you mean strict-match?"
    assert "base.jsonl: strict-match, flexible-extract" in caught.value.details


def test_logs_of_two_versions_of_a_task_may_share_no_filter(logs: Any) -> None:
    with pytest.raises(DataError, match="no filter in common"):
        choose_filter(*logs(filtered("a"), filtered("b")), None)
