"""A checkpoint and data whose every name is meant to be obeyed, audited for real: no form of the report obeys one."""

import json
import re
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import datasets
import numpy as np
import pytest
from markdown_it import MarkdownIt
from safetensors.numpy import save_file

from forgetaudit.renderers.escapes import printable

MODULE = "<img src=x onerror=alert(1)>|`@all`\x1b[31m\n::error::x"
CLASSES = ["=HYPERLINK(1)", "</template><script>alert(1)</script>", "![a](http://evil.example)\u202e"]
MODEL = f"""
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module({MODULE!r}, nn.Linear(4, 8))
        self.add_module("head", nn.Linear(8, 3))

    def forward(self, x):
        return self.head(torch.relu(getattr(self, {MODULE!r})(x)))

def build():
    return Net()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Base reads the class off the largest of three values; tuned takes the first for the second."""
    (tmp_path / "net.py").write_text(textwrap.dedent(MODEL))
    first = np.vstack([np.eye(4), -np.eye(4)]).astype(np.float32)
    head = np.hstack([np.eye(3, 4), -np.eye(3, 4)]).astype(np.float32)
    base = {
        f"{MODULE}.weight": first,
        f"{MODULE}.bias": np.zeros(8, np.float32),
        "head.weight": head,
        "head.bias": np.zeros(3, np.float32),
    }
    save_file(base, tmp_path / "base.safetensors")
    moved = {
        **base,
        "head.bias": np.array([-9, 0, 0], np.float32),
        f"{MODULE}.weight": first * np.float32(1.1),
    }
    save_file(moved, tmp_path / "tuned.safetensors")
    labels = np.arange(300) % 3
    values = np.random.default_rng(0).normal(0, 0.1, (300, 4)).astype(np.float32)
    values[np.arange(300), labels] += 2
    features = datasets.Features(
        {"x": datasets.Sequence(datasets.Value("float32")), "label": datasets.ClassLabel(names=CLASSES)}
    )
    rows = {"x": values.tolist(), "label": labels.tolist()}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "val"))
    return tmp_path


def test_no_form_of_a_real_report_obeys_a_name(forgetaudit: Any, place: Path) -> None:
    forms = ("json", "txt", "md", "html", "junit", "csv", "github")
    asked = [word for form in forms for word in ("--output", f"{form}=r.{form}")]
    words = [
        "base.safetensors",
        "tuned.safetensors",
        "--data",
        "val",
        "--model",
        "net.py:build",
        "--max-drop",
        "2pt",
        "--frozen",
        "*",
    ]
    run = forgetaudit("compare", *words, "--no-config", *asked, cwd=place)
    assert run.code == 1, run.err
    said = {form: (place / f"r.{form}").read_text("utf-8") for form in forms}

    report = json.loads(said["json"])
    assert MODULE in {layer["layer"] for layer in report["weights"][0]["layers"]}
    assert {row["name"] for row in report["source"][0]["per_class"]} == set(CLASSES)

    for form in ("txt", "md", "html", "junit", "csv", "github"):
        assert "\x1b" not in said[form]
        assert "\u202e" not in said[form]
        assert not re.search(r"^\s*::error::x", said[form], re.MULTILINE)
    for text in (run.out, said["txt"]):
        assert printable(MODULE) in text
    read = MarkdownIt("commonmark").enable("table").parse(said["md"])
    inside = {child.type for token in read for child in token.children or []}
    assert not {"image", "link_open"} & inside
    assert "'=HYPERLINK(1)" in said["csv"]
    ElementTree.fromstring(said["junit"].encode())
    tags: set[str] = set()
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.add(tag)  # type: ignore[method-assign]
    reader.feed(said["html"])
    assert not {"script", "img"} & tags
    assert forgetaudit("show", "r.html", "--format", "json", cwd=place).out == said["json"]
