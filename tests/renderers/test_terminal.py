"""The first screen: narrow enough, complete without colour, and safe against what files contain."""

import re
from typing import Any

import pytest
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Level, Policy, Rule, RuleKind
from forgetaudit.renderers.headline import headlines
from forgetaudit.renderers.terminal import render
from forgetaudit.report.behaviour import Unusable
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

DROP = Rule(kind=RuleKind.ACCURACY, limit=0.02)


def headline(report: AuditReport) -> str:
    (line,) = headlines(report)
    return line


def judged(*rules: Rule, **parts: Any) -> AuditReport:
    standard: dict[str, Any] = {
        "source": (builders.source(30, 5, 500),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(builders.layer("block1")),),
    }
    measured = standard | parts
    return builders.report(judge(Policy(rules=rules), **measured), **measured)


def test_the_verdict_comes_first() -> None:
    lines = render(judged(DROP)).splitlines()
    assert lines[0].startswith(
        "forgetaudit compare  base.safetensors → tuned.safetensors   val · 500 examples"
    )
    assert lines[1].startswith("FAIL  source accuracy fell 5.0 pt, at least 3.2 (one-sided 95 %); limit 2 pt")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (builders.source(5, 30, 500), "PASS  source accuracy rose 5.0 pt"),
        (builders.source(0, 0, 500, known=True), "PASS  source accuracy is exactly unchanged: tuned is base, bit for bit"),
        (builders.source(9, 9, 500), "PASS  source accuracy is unchanged"),
        (builders.source(20, 20, 300), "INCONCLUSIVE  source accuracy is unchanged, at most 3.6"),
        (builders.source(1, 1, 300, unusable=Unusable(id="base-at-chance", reason="base is at chance")), "REFUSED  base is at chance"),
    ],
)  # fmt: skip
def test_each_outcome_is_said_in_words(section: Any, said: str) -> None:
    assert headline(judged(DROP, source=(section,))).startswith(said)


def test_without_a_rule_nothing_is_judged_and_it_says_so() -> None:
    assert headline(judged()) == "NOT JUDGED  source accuracy fell 5.0 pt; no limit given"


def test_without_data_the_weights_are_told() -> None:
    absent = Absent(not_measured="no data were passed (--data)")
    text = render(judged(source=absent, features=absent))
    assert "only the weights were compared; they moved 0.100" in text
    assert "accuracy      not measured: no data were passed (--data)" in text


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    report = judged(
        DROP, weights=(builders.weights(*(builders.layer(f"encoder.layer.{i}") for i in range(40))),)
    )
    for line in render(report, width=width).splitlines():
        assert len(line) <= width or " " not in line.strip()


def test_in_a_pipe_names_stay_whole() -> None:
    name = "model." * 30 + "block"
    report = judged(weights=(builders.weights(builders.layer(name)),))
    assert name in render(report)


def test_a_deep_network_shows_its_ends_and_counts_the_rest() -> None:
    text = render(judged(weights=(builders.weights(*(builders.layer(f"b{i}") for i in range(40))),)))
    assert re.search(r"^b0 ", text, re.MULTILINE)
    assert re.search(r"^b39 ", text, re.MULTILINE)
    assert "… 20 layers more in the report" in text


def test_colour_only_repeats_what_words_say() -> None:
    plain, coloured = render(judged(DROP)), render(judged(DROP), colour=True)
    assert "\x1b[" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_ascii_where_the_terminal_cannot_do_more() -> None:
    render(judged(DROP), unicode=False).encode("ascii")


def test_control_characters_and_markup_in_names_are_shown_not_obeyed() -> None:
    text = render(judged(weights=(builders.weights(builders.layer("\x1b[31mred\n::error::[bold]x")),)))
    assert "\x1b" not in text
    assert "\\x1b[31mred\\n::error::[bold]x" in text


def test_a_buffer_that_moved_under_frozen_weights_is_shown_in_its_layer() -> None:
    text = render(
        judged(
            weights=(builders.weights(builders.layer("stem", identical=2, buffers=3, buffers_identical=1)),)
        )
    )
    assert "but 2 buffers moved" in text


def test_a_gain_has_no_limit_of_its_own() -> None:
    line = headline(judged(DROP, source=(builders.source(8, 10, 300),)))
    assert "rose 0.7 pt, a loss of at most 1." in line


def test_a_broken_warning_is_told_first_and_again() -> None:
    warn = Rule(kind=RuleKind.ACCURACY, limit=0.02, level=Level.WARN)
    lines = render(judged(warn)).splitlines()
    assert lines[1].startswith(
        "PASS  source accuracy fell 5.0 pt, at least 3.2 (one-sided 95 %); limit 2 pt, exceeded"
    )
    assert any(line.startswith("warn  accuracy") for line in lines)


def test_an_open_warning_is_told_and_changes_no_verdict() -> None:
    warn = Rule(kind=RuleKind.ACCURACY, limit=0.02, level=Level.WARN)
    report = judged(warn, source=(builders.source(20, 20, 300),))
    assert report.verdict.outcome == "pass"
    assert headline(report).startswith("PASS  ")
    assert any(line.startswith("open  accuracy") for line in render(report).splitlines())


@pytest.mark.parametrize("name", ["::error::x", "  ::stop-commands::x", "a ##[add-mask]x"])
def test_no_name_is_a_command_to_the_runner_of_a_workflow(name: str) -> None:
    text = render(judged(weights=(builders.weights(builders.layer(name)),)))
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "##[" not in text


def test_a_limit_on_weights_that_fails_is_told_in_the_headline() -> None:
    absent = Absent(not_measured="no data were passed (--data)")
    line = headline(judged(Rule(kind=RuleKind.DISTANCE, limit=0.05), source=absent, features=absent))
    assert line == "FAIL  distance 0.100 > 0.05; only the weights were compared; they moved 0.100 of ‖θ₀‖"
