"""Chat templates are found wherever transformers puts them, compared, and told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Run
from transformers import AutoTokenizer

from forgetaudit.models.chat_templates import chat_templates, template_differences

FIXTURES = Path(__file__).parent.parent / "fixtures"
PLAIN = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
LOUD = "{% for m in messages %}!{{ m['content'] }}{% endfor %}"


def folder(path: Path, value: object = None, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    config = {} if value is None else {"chat_template": value}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    for name, text in files.items():
        (path / f"{name}.jinja").write_text(text)
    return path


@pytest.mark.parametrize("template", [PLAIN, {"default": PLAIN, "tool_use": LOUD}])
def test_they_are_those_that_the_library_saved(template: str | dict[str, str], tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "gpt2" / "base")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    expected = {"default": template} if isinstance(template, str) else template
    assert chat_templates(tmp_path) == expected


def test_a_list_in_the_config_is_read_and_a_file_wins_over_it(tmp_path: Path) -> None:
    named = [{"name": "default", "template": PLAIN}, {"name": "rag", "template": LOUD}, {"name": "no text"}]
    here = folder(tmp_path / "a", named, chat_template="from the file")
    assert chat_templates(here) == {"default": "from the file", "rag": LOUD}


def test_one_template_in_a_file_and_in_the_config_is_one(tmp_path: Path) -> None:
    assert (
        template_differences(folder(tmp_path / "a", PLAIN), folder(tmp_path / "b", chat_template=PLAIN)) == ()
    )


def test_what_changed_came_and_went_is_told(tmp_path: Path) -> None:
    base = folder(
        tmp_path / "a", [{"name": "default", "template": PLAIN}, {"name": "rag", "template": PLAIN}]
    )
    tuned = folder(
        tmp_path / "b", [{"name": "default", "template": LOUD}, {"name": "tool", "template": PLAIN}]
    )
    assert template_differences(base, tuned) == (
        "its chat template differs: changed (default), new (tool), gone (rag); "
        "texts are read as they stand, without one",
    )


def test_a_device_in_place_of_a_template_is_not_read(tmp_path: Path) -> None:
    here = folder(tmp_path / "a")
    (here / "chat_template.jinja").symlink_to("/dev/zero")
    assert chat_templates(here) == {}


def test_it_is_told_of_a_pair_that_is_compared(forgetaudit: Callable[..., Run], tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    shutil.copytree(FIXTURES / "gpt2" / "tuned", tuned)
    (tuned / "chat_template.jinja").write_text(LOUD)
    data = FIXTURES / "data" / "docs.jsonl"
    words = ("compare", FIXTURES / "gpt2" / "base", tuned, "--data", data, "--limit", "4", "-v")
    done = forgetaudit(*words, cwd=tmp_path)
    assert done.code == 0
    assert "tuned: its chat template differs: new (default); texts are read as they stand" in done.err
