"""The same audit from Python, silently."""

import importlib
from pathlib import Path
from typing import Any

import pytest

import forgetaudit
from forgetaudit.errors import ModelError, UsageError


def digits() -> object:
    spec = importlib.util.spec_from_file_location("digits_of_the_sample", Path("digits.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build()


def test_compare_gives_the_report_and_prints_nothing(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sample)
    report = forgetaudit.compare(
        "base.safetensors", "tuned.safetensors", data="src_val", model=digits, max_drop="2pt"
    )
    assert report.verdict.outcome == "fail"
    assert capfd.readouterr() == ("", "")
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")
    assert forgetaudit.load_report(path) == report


def test_a_named_config_is_read_and_no_other(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample)
    with pytest.raises(ModelError, match="nothing says which network"):
        forgetaudit.compare("base.safetensors", "tuned.safetensors", data="src_val")
    report = forgetaudit.compare(
        "base.safetensors", ["tuned.safetensors", "lowlr.safetensors"], data="src_val", config="forgetaudit.toml",
        settings=forgetaudit.Settings(limit=100),
    )  # fmt: skip
    assert [variant.name for variant in report.variants] == ["base", "tuned", "lowlr"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dtype": "float33"}, "dtype 'float33' is unknown.*did you mean float32"),
        ({"head": "foo"}, "head 'foo' is unknown.*the known are auto, own, base"),
        ({"pool": None}, "pool None is unknown"),
        ({"batch_size": 0}, "batch_size 0 is not a whole number from 1 to"),
        ({"batch_size": 2.5}, "batch_size 2.5 is not a whole number"),
        ({"limit": 1}, "limit 1 is not a whole number from 2 to"),
        ({"threads": True}, "threads True is not a whole number"),
        ({"seed": 2**64}, "seed 18446744073709551616 is not a whole number from 0 to"),
        ({"layers": "stem"}, "layers='stem' is not a list of texts"),
        ({"layers": [1]}, "is not a list of texts"),
    ],
)
def test_settings_that_say_nothing_are_refused_where_they_are_made(settings: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){said}"):
        forgetaudit.Settings(**settings)
    assert forgetaudit.Settings(layers=["stem"], seed=2**64 - 1).layers == ("stem",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"tuned": []}, "there is no tuned checkpoint"),
        ({"frozen": "stem"}, "frozen='stem' is not a list of texts"),
        ({"model": 3}, "neither a function nor a text"),
        ({"max_distance": float("inf")}, "is not a number of 0 or more"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    sample: Path, monkeypatch: pytest.MonkeyPatch, words: Any, said: str
) -> None:
    monkeypatch.chdir(sample)
    with pytest.raises(UsageError, match=said):
        forgetaudit.compare(**{"base": "base.safetensors", "tuned": "tuned.safetensors", **words})


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "forgetaudit.report/99"}', "no json"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError, match="is not a report of the schema"):
        forgetaudit.load_report(tmp_path / "r.json")


def test_every_public_name_is_there() -> None:
    for name in forgetaudit.__all__:
        assert getattr(forgetaudit, name) is not None
    assert not hasattr(forgetaudit, "nothing")


def test_a_run_is_traced_and_a_loss_located_from_python_too() -> None:
    root = Path(__file__).parent.parent / "sample_data"
    told = {
        "data": str(root / "src_val"),
        "model": f"{root / 'digits.py'}:build",
        "settings": forgetaudit.Settings(limit=150),
    }
    curve = forgetaudit.trace(root / "base.safetensors", root / "run", max_drop="2pt", **told)
    assert curve.verdict.outcome == "fail"
    assert [point.step for point in curve.trace.points] == [20, 40, 60, 80, 100, 120]
    found = forgetaudit.locate(root / "base.safetensors", root / "tuned.safetensors", **told)
    assert found.command == "locate"
    assert found.locate is not None


def test_a_fine_tune_is_repaired_from_python_too(tmp_path: Path) -> None:
    root, out = Path(__file__).parent.parent / "sample_data", tmp_path / "fixed.safetensors"
    told = {
        "data": str(root / "src_val"),
        "model": f"{root / 'digits.py'}:build",
        "families": ["mixture"],
        "settings": forgetaudit.Settings(limit=400),
    }
    pair = root / "base.safetensors", root / "tuned.safetensors"
    report = forgetaudit.repair(*pair, out=out, win_back="40%", **told)
    assert report.repair.met
    assert out.is_file()
    with pytest.raises(UsageError, match="no share of the lost points"):
        forgetaudit.repair(*pair, win_back="half", **told)
    with pytest.raises(UsageError, match="there is no family 'magic'"):
        forgetaudit.repair(*pair, **told | {"families": ["magic"]})
