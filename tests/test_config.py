"""The config: found upwards, read strictly, refused with the nearest known key."""

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
    rules = {rule.name: rule for rule in policy.rules}
    assert (rules["accuracy"].limit, rules["accuracy"].min_samples) == (0.02, 30)
    assert rules["frozen"].patterns == ("stem.*",)
    assert rules["cka/block2"].where == "block2"


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
