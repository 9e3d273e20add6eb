"""The config: found upwards, read strictly, refused with the nearest known key."""

from datetime import date
from pathlib import Path

import pytest

from forgetaudit.config import find_config, read_config
from forgetaudit.errors import ConfigError
from forgetaudit.policy import FailWhen, Level, OnInconclusive, RuleKind

MIN_SAMPLES = "[gate.rules]\naccuracy = {{ max-drop = '2pt', min-samples = {} }}"


def written(folder: Path, text: str, name: str = "forgetaudit.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        read_config(written(folder, text))
    return refused.value


def test_a_whole_config_is_read(tmp_path: Path) -> None:
    config = read_config(
        written(
            tmp_path,
            """
            model = "digits.py:build"
            [data.val]
            path = "src_val"
            label = "digit"
            [gate]
            confidence = 0.9
            min-samples = 50
            fail-when = "proven"
            on-inconclusive = "fail"
            family-wise = true
            [gate.rules]
            accuracy = { max-drop = "2pt", min-samples = 30 }
            cka = { min = 0.8 }
            "cka/block2" = { min = 0.5, level = "fail" }
            distance = { max = 0.1 }
            frozen = { tensors = ["stem.*"] }
            """,
        )
    )
    assert (config.model, config.data["val"].label, config.directory) == (
        "digits.py:build",
        "digit",
        tmp_path,
    )
    policy = config.policy
    assert (policy.confidence, policy.min_samples) == (0.9, 50)
    assert (policy.fail_when, policy.on_inconclusive) == (FailWhen.PROVEN, OnInconclusive.FAIL)
    assert policy.family_wise
    rules = {rule.name: rule for rule in policy.rules}
    assert (rules["accuracy"].limit, rules["accuracy"].min_samples) == (0.02, 30)
    assert rules["frozen"].patterns == ("stem.*",)
    assert rules["cka/block2"].where == "block2"


def test_rules_are_judged_one_by_one_unless_the_config_says_otherwise(tmp_path: Path) -> None:
    assert not read_config(written(tmp_path, "")).policy.family_wise
    assert not read_config(written(tmp_path, "[gate]\nfamily-wise = false")).policy.family_wise


@pytest.mark.parametrize("value", ["'true'", "1", "'holm'", "[true]"])
def test_family_wise_is_true_or_false(tmp_path: Path, value: str) -> None:
    problem = refusal(tmp_path, f"[gate]\nfamily-wise = {value}")
    assert any("gate.family-wise" in line and "boolean" in line for line in problem.details)


def test_a_misspelt_family_wise_is_refused_with_the_right_word(tmp_path: Path) -> None:
    assert "did you mean family-wise?" in str(refusal(tmp_path, "[gate]\nfamilywise = true").hint)


def test_geometry_warns_unless_the_file_says_fail(tmp_path: Path) -> None:
    text = '[gate.rules]\ncka = { min = 0.8 }\ndistance = { max = 1, level = "fail" }\naccuracy = { max-drop = "1%" }'
    levels = {rule.kind: rule.level for rule in read_config(written(tmp_path, text)).policy.rules}
    assert levels == {RuleKind.CKA: Level.WARN, RuleKind.DISTANCE: Level.FAIL, RuleKind.ACCURACY: Level.FAIL}


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("modle = 'x'", "unknown key modle", "did you mean model?"),
        ("[data.val]\npath = 'x'\nlabl = 'y'", "unknown key data.val.labl", "did you mean label?"),
        ("[gate]\nconfidnce = 0.9", "unknown key gate.confidnce", "did you mean confidence?"),
        ("[gate]\nconfidence = 2.0", "gate.confidence", "README"),
        ("[gate.rules]\naccuracy = { max-drop = 2 }", "has no unit", '"2pt"'),
        ("[gate.rules]\naccuracy = { max-drop = '2' }", "has no unit", '"2pt"'),
        ("[gate.rules]\naccuracy = { maxdrop = '2pt' }", "unknown key maxdrop", "did you mean max-drop?"),
        ("[gate.rules]\naccuracy = { level = 'warn' }", "has no limit", "max-drop"),
        ("[gate.rules]\naccurcy = { max-drop = '2pt' }", "no such rule", "did you mean accuracy?"),
        ("[gate.rules]\n'accuracy/block1' = { max-drop = '2pt' }", "not measured by layer", "accuracy"),
        ("[gate.rules]\ncka = { min = 2 }", "not a number from -1 to 1", "pass a number"),
        ("[gate.rules]\ncka = { min = 0.5, level = 'error' }", "level 'error' is unknown", "fail or warn"),
        ("[gate.rules]\nfrozen = { tensors = 'stem.*' }", "not a list of tensor names", '["stem.*"]'),
        ("[gate.rules]\ncka = { min = 0.5, level = ['fail'] }", "level ['fail'] is unknown", "fail or warn"),
        ("[gate.rules]\ncka = { min = nan }", "nan is not a number from -1 to 1", "pass a number"),
        ("[gate.rules]\ndistance = { max = inf }", "inf is not a number of 0 or more", "pass a number"),
        (
            f"[gate.rules]\ndistance = {{ max = 1{'0' * 400} }}",
            "is not a number of 0 or more",
            "pass a number",
        ),
        (MIN_SAMPLES.format("inf"), "min-samples inf is not a whole number from 2 to", "pass a number"),
        (MIN_SAMPLES.format("2.7"), "min-samples 2.7 is not a whole number from 2 to", "pass a number"),
        (MIN_SAMPLES.format("9" * 30), "is not a whole number from 2 to", "pass a number"),
        ("[gate]\nmin-samples = inf", "gate.min-samples", "README"),
        ("[gate]\nmin-samples = 2.7", "gate.min-samples", "README"),
        (f"[gate]\nmin-samples = {'9' * 30}", "gate.min-samples", "README"),
        ("[gate]\nconfidence = nan", "gate.confidence", "README"),
        ("model = ", "not valid TOML", "--no-config"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(tmp_path: Path, text: str, fact: str, hint: str) -> None:
    problem = refusal(tmp_path, text)
    assert fact in "\n".join([problem.fact, *problem.details])
    assert problem.hint is not None
    assert hint in problem.hint


def test_the_nearest_config_upwards_wins_and_the_repository_is_the_end(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    deep = tmp_path / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    written(tmp_path, "")
    assert find_config(deep) is None
    outer = written(tmp_path / "repo", "[tool.forgetaudit]\nmodel = 'm:f'", "pyproject.toml")
    assert find_config(deep) == outer
    assert read_config(outer).model == "m:f"
    written(tmp_path / "repo" / "a", "[project]\nname = 'x'", "pyproject.toml")
    assert find_config(deep) == outer
    inner = written(tmp_path / "repo" / "a", "")
    assert find_config(deep) == inner


WAIVED = "[gate.rules]\naccuracy = { max-drop = '2pt' }\n'accuracy.per-class' = { max-drop = '5pt' }\n[[gate.waivers]]\n"
WHY = "reason = 'see #123'\nexpires = 2027-01-31\n"


def test_every_rule_can_be_written_and_its_limit_has_its_unit(tmp_path: Path) -> None:
    policy = read_config(
        written(
            tmp_path,
            """
            [gate.rules]
            "accuracy.per-class" = { max-drop = "10pt", min-samples = 30, level = "warn" }
            "accuracy.group/north" = { max-drop = "5%" }
            nll = { max-increase = "0.1 nats" }
            forgotten = { max = "5pt", fail-when = "proven" }
            disagreement = { max = "5pt" }
            calibration = { max-increase = "2pt" }
            """,
        )
    ).policy
    rules = {rule.name: rule for rule in policy.rules}
    assert (rules["accuracy.per-class"].limit, rules["accuracy.per-class"].level) == (0.1, Level.WARN)
    assert (rules["accuracy.group/north"].where, rules["accuracy.group/north"].relative) == ("north", True)
    assert (rules["nll"].limit, rules["nll"].relative) == (0.1, False)
    assert rules["forgotten"].fail_when is FailWhen.PROVEN
    assert {rules["disagreement"].level, rules["calibration"].level} == {Level.FAIL}


def test_one_rule_may_have_a_limit_for_each_data_set(tmp_path: Path) -> None:
    text = "[gate.rules]\naccuracy = [{ max-drop = '2pt', data = 'a' }, { max-drop = '5pt', data = 'b' }]"
    rules = read_config(written(tmp_path, text)).policy.rules
    assert [(rule.data, rule.limit) for rule in rules] == [("a", 0.02), ("b", 0.05)]


def test_a_waiver_has_a_rule_a_wider_limit_a_reason_and_a_last_day(tmp_path: Path) -> None:
    text = WAIVED + "rule = 'accuracy.per-class/9'\nlimit = '14pt'\ndata = 'val'\n" + WHY
    [waiver] = read_config(written(tmp_path, text)).policy.waivers
    assert (waiver.rule, waiver.limit, waiver.data, waiver.reason) == (
        "accuracy.per-class/9", 0.14, "val", "see #123",
    )  # fmt: skip
    assert not waiver.has_expired(date(2027, 1, 31))
    assert waiver.has_expired(date(2027, 2, 1))


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("[gate.rules]\nnll = { max-increase = 0.1 }", "nll.max-increase 0.1 has no unit", '"0.1%"'),
        ("[gate.rules]\nnll = { max-increase = '2pt' }", "2pt is not a log loss", '"2%"'),
        ("[gate.rules]\nnll = { max-increase = '9999999999%' }", "limits nothing", "at most"),
        ("[gate.rules]\nforgotten = { max = '0.1 nats' }", "is not a share of examples", "pt"),
        ("[gate.rules]\nforgotten = { max = 5 }", "forgotten.max 5 has no unit", '"5pt"'),
        ("[gate.rules]\ncalibration = { max-increase = '2%' }", "calibration is in points", "use pt"),
        ("[gate.rules]\naccuracy.per-class = { max-drop = '2pt' }", "per-class is a table", '"accuracy.per-class"'),
        ("[gate.rules]\n'accuracy.perclass' = { max-drop = '2pt' }", "no such rule", "did you mean accuracy.per-class?"),
        ("[gate.rules]\n'cka/' = { min = 0.5 }", "nothing is named after the /", '"cka"'),
        ("[gate.rules]\n'forgotten/9' = { max = '5pt' }", "not measured by layer", '"forgotten"'),
        ("[gate.rules]\naccuracy = '2pt'", "is not a table", 'max-drop = "2pt"'),
        ("[gate.rules]\naccuracy = []", "is empty", 'max-drop = "2pt"'),
        ("[gate.rules]\naccuracy = { max-drop = '2pt', fail-when = 'maybe' }", "'maybe' is unknown", "likely or proven"),
        ("[gate.rules]\ndistance = { max = 1, data = 'val' }", "unknown key data", "it takes level, max"),
        ("[gate.rules]\nnll = { max-increase = '5%', data = 3 }", "is not the name of a data set", "data"),
        ("[gate.rules]\naccuracy = [{ max-drop = '2pt' }, { max-drop = '3pt' }]", "given twice for the same data", "data"),
        (WAIVED + WHY + "limit = '9pt'", "has no rule", 'rule = "accuracy"'),
        (WAIVED + "rule = 'accuracy'\nlimit = '9pt'\nexpires = 2027-01-31", "has no reason", "say why"),
        (WAIVED + "rule = 'accuracy'\nlimit = '9pt'\nreason = ' '\nexpires = 2027-01-31", "has no reason", "say why"),
        (WAIVED + "rule = 'accuracy'\nlimit = '9pt'\nreason = 'x'", "(accuracy) never ends", "expires = 2027-01-31"),
        (WAIVED + "rule = 'accuracy'\nlimit = '9pt'\nreason = 'x'\nexpires = '2027'", "expires 2027 is not a day", "2027-01-31"),
        (WAIVED + "rule = 'accuracy'\n" + WHY, "has no limit", '"14pt"'),
        (WAIVED + "rule = 'accuracy'\nlimit = 9\n" + WHY, "limit 9 has no unit", '"9pt"'),
        (WAIVED + "rule = 'accuracy'\nlimit = '1pt'\n" + WHY, "no wider than the rule's own", "change the rule"),
        (WAIVED + "rule = 'forgotten'\nlimit = '9pt'\n" + WHY, "no rule of this file is waived by it", "waive one of"),
        (WAIVED + "rule = 'acuracy'\nlimit = '9pt'\n" + WHY, "no such rule", "did you mean accuracy?"),
        (WAIVED + "rule = 'accuracy'\nlimt = '9pt'\n" + WHY, "unknown key limt", "did you mean limit?"),
        ("[gate.rules]\nfrozen = { tensors = ['a'] }\n[[gate.waivers]]\nrule = 'frozen'\nlimit = 1\n" + WHY, "no limit that could be wider", "fewer tensors"),
        (WAIVED + (one := "rule = 'accuracy'\nlimit = '9pt'\n" + WHY) + "[[gate.waivers]]\n" + one, "waived twice", "keep one"),
    ],
)  # fmt: skip
def test_a_limit_or_waiver_that_does_not_say_enough_is_refused(
    tmp_path: Path, text: str, fact: str, hint: str
) -> None:
    problem = refusal(tmp_path, text)
    assert fact in "\n".join([problem.fact, *problem.details])
    assert hint in str(problem.hint)
