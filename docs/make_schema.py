"""Write docs/report.schema.json and docs/report-schema.md from the report's own models. A test keeps them equal."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from forgetaudit.report.parts import Part
from forgetaudit.report.report import SCHEMA, AuditReport

DOCS = Path(__file__).parent

_HEAD = f"""# The JSON report

What `--output json=PATH` writes, and what `show`, `check`, `bless` and `load_report` read, is of the schema
`{SCHEMA}`. [report.schema.json](report.schema.json) is the same for programs (JSON Schema, draft 2020-12).
Both are written by `docs/make_schema.py` from the models that read and write reports.

- Every number says of which **kind** it is: exact, bound, statistical or diagnostic (see [the glossary](glossary.md)).
  Sections of exact numbers say so once.
- Differences of accuracies are **fractions**, never points; a drop is base − tuned, an increase tuned − base.
- What was not measured is `{{"not_measured": "the reason"}}`. There is no NaN, no Infinity, and no key is left
  out; reports of older versions lack the fields that were added since.
- Two runs on the same files give the same report but for the section `run`.
- A report whose counts, intervals and verdict do not follow from each other is refused when it is read.
- Fields may be added under the same version; where the meaning of one changes, the version does. Readers should skip
  fields that they do not know.

An HTML page that `--output html=PATH` writes holds the same JSON, in the element `template` with the id
`forgetaudit-report`: as it is where `data-encoding` is `json`, else compressed (`bz2+base64`).
`forgetaudit show PAGE.html --format json` writes it out.
"""


def schema() -> str:
    """The JSON Schema, as text."""
    made = AuditReport.model_json_schema(by_alias=True, mode="serialization")
    titled = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://forgetaudit.invalid/{SCHEMA}",
        **made,
    }
    return json.dumps(titled, indent=2, ensure_ascii=False) + "\n"


def words() -> str:
    """The same for people: a section for each model, a line for each field."""
    return "\n".join([_HEAD, *(section for model in _models() for section in _section(model))])


def _models() -> list[type[Part]]:
    """Every model of a report, each once, in the order in which it is first met."""
    found: dict[type[Part], None] = {}
    waiting: list[Any] = [AuditReport]
    while waiting:
        thing = waiting.pop(0)
        if inspect.isclass(thing) and not get_args(thing) and issubclass(thing, Part) and thing not in found:
            found[thing] = None
            waiting[:0] = [field.annotation for field in thing.model_fields.values()]
        waiting[:0] = get_args(thing)
    return list(found)


def _section(model: type[Part]) -> Iterator[str]:
    yield f"## {model.__name__}\n"
    yield inspect.cleandoc(model.__doc__ or "") + "\n"
    yield "| field | type |\n|---|---|"
    for name, field in model.model_fields.items():
        yield f"| `{field.alias or name}` | {_type(field.annotation)} |"
    yield ""


def _type(annotation: Any) -> str:
    """As the source writes it, linked where it is a model of the report."""
    text = (
        annotation.__name__
        if inspect.isclass(annotation) and not hasattr(annotation, "__args__")
        else str(annotation)
    )
    plain = re.sub(r"\b(?:forgetaudit\.[\w.]+|typing|datetime)\.(\w+)", r"\1", text)
    plain = (
        re.sub(r"Annotated\[str, .*?\)\]", "str", plain).replace("NoneType", "null").replace("None", "null")
    )
    names = {model.__name__ for model in _models()}
    marked = re.sub(
        r"\w+", lambda word: f"[{word[0]}](#{word[0].lower()})" if word[0] in names else word[0], plain
    )
    return marked.replace("|", "\\|")


def main() -> None:
    """Write both."""
    (DOCS / "report.schema.json").write_text(schema(), encoding="utf-8")
    (DOCS / "report-schema.md").write_text(words(), encoding="utf-8")


if __name__ == "__main__":
    main()
