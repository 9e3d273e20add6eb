"""The log-likelihood of the right answer: taken where the log tells which it is, and else not guessed."""

from typing import Any

import pytest
from tests.logs import written

from forgetaudit.logs.answers import Kind
from forgetaudit.logs.likelihoods import kind_of, log_loss_of, n_options_of


def multiple_choice(
    likelihoods: list[float], target: object, texts: list[str], **metrics: Any
) -> dict[str, Any]:
    scored = [[str(value), "False"] for value in likelihoods]
    return written.line(
        0, {"q": "?"}, target, metrics, arguments=[["?", f" {text}"] for text in texts],
        resps=[[pair] for pair in scored], filtered_resps=scored,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (written.choice_line(0, chosen=0), Kind.MULTIPLE_CHOICE),
        (written.last_word_line(0, -1.5, greedy=True), Kind.LOG_LIKELIHOOD),
        (written.rolling_line(0, -80.0, 20), Kind.ROLLING),
        (written.generated_line(7, right=True), Kind.GENERATION),
    ],
)
def test_the_kind_is_seen_from_the_responses(line: dict[str, Any], kind: Kind) -> None:
    assert kind_of(line) is kind


def test_a_generated_number_is_no_log_likelihood() -> None:
    line = written.line(0, {"q": "?"}, "4", {"exact_match": 1.0}, arguments=[["2 + 2 =", {}]], resps=[["4"]], filtered_resps=["4"])  # fmt: skip
    assert kind_of(line) is Kind.GENERATION


def test_the_target_is_an_index() -> None:
    line = multiple_choice([-3.0, -26.98, -5.0], 1, ["yes", "no", "maybe"], acc=0.0)
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) == 26.98


def test_the_target_is_the_text_of_one_choice() -> None:
    line = multiple_choice([-3.0, -26.98, -5.0], " maybe", ["yes", "no", "maybe"], acc=0.0)
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) == 5.0


def test_a_pair_that_names_the_right_choice_is_believed_first() -> None:
    line = multiple_choice([-3.0, -26.98, -5.0], "maybe", ["yes", "no", "maybe"], mcc=[1, 0])
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) == 26.98


@pytest.mark.parametrize("target", ["[0, 2]", "something else", 7, ""])
def test_where_the_right_choice_is_not_told_there_is_no_log_loss(target: object) -> None:
    assert (
        log_loss_of(multiple_choice([-3.0, -4.0], target, ["yes", "no"], acc=1.0), Kind.MULTIPLE_CHOICE)
        is None
    )


def test_choices_of_one_text_name_none() -> None:
    """As in winogrande, where the contexts differ and the ending does not."""
    line = multiple_choice([-3.0, -4.0], "was late.", ["was late.", "was late."], acc=1.0)
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) is None


def test_an_index_that_acc_contradicts_was_none() -> None:
    # The target "1" is the text of the first choice here.
    line = multiple_choice([-3.0, -4.0], "1", ["1", "2"], acc=1.0)
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) is None


def test_mutual_information_asks_twice_and_only_the_first_half_counts() -> None:
    line = multiple_choice(
        [-3.0, -4.0, -9.0, -9.5], 1, ["yes", "no", "yes", "no"], acc=0.0, acc_mutual_info=1.0
    )
    assert n_options_of(line, Kind.MULTIPLE_CHOICE) == 2
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) == 4.0


@pytest.mark.parametrize("metrics", [3, None, "acc", {"a": 1}, [["a"]]])
def test_metrics_that_are_no_list_hide_nothing(metrics: Any) -> None:
    line = written.choice_line(0, chosen=0) | {"metrics": metrics}
    assert n_options_of(line, Kind.MULTIPLE_CHOICE) == 4


def test_a_target_of_thousands_of_digits_is_no_index() -> None:
    line = written.choice_line(0, chosen=0) | {"target": "9" * 5000}
    assert log_loss_of(line, Kind.MULTIPLE_CHOICE) is None
