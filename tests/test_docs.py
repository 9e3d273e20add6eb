"""The docs say what the program has: the schema equals the models, and every word of the screen is explained."""

import json
import re
import runpy
from pathlib import Path
from typing import Any, get_args

import pytest

from forgetaudit.report.parts import Kind
from forgetaudit.report.verdict import Outcome, RuleOutcome

DOCS = Path(__file__).parents[1] / "docs"
MADE = runpy.run_path(str(DOCS / "make_schema.py"))
GLOSSARY = (DOCS / "glossary.md").read_text("utf-8")
TERMS = re.findall(r"^## (.+)$", GLOSSARY, re.MULTILINE)

SAID = [
    "base", "tuned", "source task", "target task", "drop", "forgotten", "gained", "kept", "missed", "feature drift",
    "weight distance", "layer", "stage", "variant", "finding", "rule", "gate", "verdict", "fraction", "point",
    "not measured", "log loss", "perplexity", "KL(base‖tuned)", "CKA", "adjusted p", "changed answers", "calibration",
    "flip", "head", "buffer", "frozen", "cast", "interval", "paired", "noise floor", "groups", "example", "question",
    "known", "fingerprint", "budget",
]  # fmt: skip
HINT = (
    "the report's models changed: run `python docs/make_schema.py`, and note new meanings in report/report.py"
)


@pytest.mark.parametrize(("file", "make"), [("report.schema.json", "schema"), ("report-schema.md", "words")])
def test_the_schema_is_that_of_the_models(file: str, make: str) -> None:
    assert (DOCS / file).read_text("utf-8") == MADE[make](), HINT


def test_every_model_has_a_section_and_every_field_a_line() -> None:
    text = (DOCS / "report-schema.md").read_text("utf-8")
    defined = json.loads((DOCS / "report.schema.json").read_text("utf-8"))
    for name, model in {**defined["$defs"], "AuditReport": defined}.items():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{field}` |" in section for field in model["properties"]), name


def test_a_real_report_has_the_keys_of_the_schema(audited: Any) -> None:
    _, report = audited("tuned.safetensors", "--max-drop", "2pt")
    defined = json.loads((DOCS / "report.schema.json").read_text("utf-8"))
    assert set(report) == set(defined["properties"]) >= set(defined["required"])
    source = defined["$defs"]["SourceSection"]
    assert set(report["source"][0]) == set(source["properties"]) >= set(source["required"])


@pytest.mark.parametrize("term", SAID)
def test_every_word_of_the_screen_is_explained(term: str) -> None:
    assert term in TERMS


def test_every_kind_and_outcome_is_explained() -> None:
    for name in {*get_args(Kind), *get_args(Outcome), *get_args(RuleOutcome)}:
        assert name.replace("-", " ") in TERMS


def test_no_term_is_explained_twice_or_left_empty() -> None:
    assert len(TERMS) == len(set(TERMS))
    assert all(body.strip() for body in re.split(r"^## .+$", GLOSSARY, flags=re.MULTILINE)[1:])
