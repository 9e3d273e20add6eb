"""The first line names what was asked for: a directory by its own name, not by the file of weights inside it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Run

FIXTURES = Path(__file__).parent.parent / "fixtures"

Forgetaudit = Callable[..., Run]


@pytest.mark.parametrize(
    ("base", "tuned", "title"),
    [
        ("gpt2/base", "gpt2/tuned", "base → tuned"),
        ("gpt2/base/", "gpt2/tuned/model.safetensors", "base → model.safetensors"),
        ("llama/base", "llama/lora", "base → lora"),
        ("llama/lora", "llama/rslora", "lora → rslora"),
        ("vit/tuned", "vit/tuned-state.pt", "tuned → tuned-state.pt"),
        ("gpt2/base/model.safetensors", "gpt2/tuned/model.safetensors",
         "base/model.safetensors → tuned/model.safetensors"),
    ],
)  # fmt: skip
def test_the_title_names_what_was_typed(forgetaudit: Forgetaudit, base: str, tuned: str, title: str) -> None:
    done = forgetaudit("compare", base, tuned, cwd=FIXTURES)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == f"forgetaudit compare  {title}"


def test_here_is_told_by_its_name(forgetaudit: Forgetaudit) -> None:
    done = forgetaudit("compare", "../base", ".", cwd=FIXTURES / "gpt2" / "tuned")
    assert done.out.splitlines()[0] == "forgetaudit compare  base → tuned"


def test_the_report_keeps_both_what_was_asked_for_and_the_file(
    forgetaudit: Forgetaudit, tmp_path: Path
) -> None:
    forgetaudit("compare", "gpt2/base", "gpt2/lora", "--output", f"json={tmp_path / 'r.json'}", cwd=FIXTURES)
    found = json.loads((tmp_path / "r.json").read_text())["inputs"]
    assert found["base"]["named"] == "gpt2/base"
    assert found["base"]["path"] == "gpt2/base/model.safetensors"
    assert found["tuned"][0]["named"] == "gpt2/lora"
    assert found["tuned"][0]["path"] == "gpt2/lora/adapter_model.safetensors"
