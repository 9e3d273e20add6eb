"""A report read back: of this schema, whole, and consistent in itself; or refused."""

import json
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from forgetaudit.errors import UsageError
from forgetaudit.judge.integrity import inconsistencies
from forgetaudit.paths import read_text
from forgetaudit.report.embedding import extracted
from forgetaudit.report.report import SCHEMA, AuditReport

__all__ = ["load_report"]

_FAMILY = SCHEMA.partition("/")[0]
_SHOWN = 5


def load_report(path: str | Path) -> AuditReport:
    """The report that `--output json=PATH` wrote, or the one inside a page that `--output html=PATH` wrote.

    UsageError for a file that is none, a report of another version of the schema, and one whose numbers do not
    follow from each other, as after an edit by hand.
    """
    text = read_text(Path(path), "the report")
    if text[:200].lstrip().lower().startswith("<!doctype html"):
        text = _inside_page(path, text)
    _refuse_other_schema(path, text)
    try:
        report = AuditReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path} is not a report of the schema {SCHEMA}",
            details=[f"{where or 'the file'}: {first['msg']}"],
            hint="pass what --output json=PATH wrote, with this version",
        ) from error
    if found := _faults(report):
        raise UsageError(
            f"the report {path} does not add up: it was edited by hand, or damaged",
            details=found,
            hint="run the audit again, or take the report that it wrote",
        )
    return report


def _faults(report: AuditReport) -> list[str]:
    """What does not fit. Numbers that nothing can be computed from, as a confidence of 2, do not either."""
    try:
        return list(islice(inconsistencies(report), _SHOWN))
    except (ArithmeticError, ValueError) as error:
        return [str(error)]


def _inside_page(path: str | Path, page: str) -> str:
    try:
        found = extracted(page)
    except ValueError as error:
        raise UsageError(
            f"the report in {path} cannot be read", details=[str(error)], hint="write the page again"
        ) from error
    if found is None:
        raise UsageError(f"{path} is a page without a report", hint="pass what --output html=PATH wrote")
    return found


def _refuse_other_schema(path: str | Path, text: str) -> None:
    """What is no JSON, or of no schema at all, is told with its place later."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    schema = found.get("schema") if isinstance(found, dict) else None
    if isinstance(schema, str) and schema.startswith(f"{_FAMILY}/") and schema != SCHEMA:
        raise UsageError(
            f"{path} is not a report of the schema {SCHEMA}, but of {schema}",
            hint="read it with the version of forgetaudit that wrote it, or run the audit again",
        )
