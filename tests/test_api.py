"""The same audit from Python, silently."""

import importlib
from pathlib import Path

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
    assert forgetaudit.AuditReport.load(path) == report


def test_a_named_config_is_read_and_no_other(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample)
    with pytest.raises(ModelError, match="nothing says which network"):
        forgetaudit.compare("base.safetensors", "tuned.safetensors", data="src_val")
    report = forgetaudit.compare(
        "base.safetensors", ["tuned.safetensors", "lowlr.safetensors"], data="src_val", config="forgetaudit.toml",
        settings=forgetaudit.Settings(limit=100),
    )  # fmt: skip
    assert [variant.name for variant in report.variants] == ["base", "tuned", "lowlr"]


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "forgetaudit.report/99"}', "no json"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError, match="is not a report of the schema"):
        forgetaudit.AuditReport.load(tmp_path / "r.json")


def test_every_public_name_is_there() -> None:
    for name in forgetaudit.__all__:
        assert getattr(forgetaudit, name) is not None
    assert not hasattr(forgetaudit, "nothing")
