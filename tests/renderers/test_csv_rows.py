"""CSV: a row a number, columns that stay, numbers that are read back exactly, and no formulas."""

import csv
import io

import pytest
from tests.renderers import hostile
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Policy
from forgetaudit.renderers.csv_rows import COLUMNS, csv_rows
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport


def plain() -> AuditReport:
    weights = (
        builders.weights(builders.layer("block1"), rows=(builders.row("block1.w", relative=0.1 + 0.2),)),
    )
    features = (builders.features(builders.drift("block1", Absent(not_measured="dead features"))),)
    return builders.report(
        judge(Policy(), source=(), features=features, weights=weights), weights=weights, features=features
    )


def rows(report: AuditReport) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_rows(report))))


def found(section: str, name: str) -> dict[str, str]:
    (row,) = [row for row in rows(plain()) if (row["section"], row["name"]) == (section, name)]
    return row


def test_the_columns_are_those_that_were_promised() -> None:
    heading = csv_rows(plain()).splitlines()[0]
    assert heading == "section,data,variant,name,value,low,high,n,kind" == ",".join(COLUMNS)


def test_numbers_are_read_back_exactly() -> None:
    assert float(found("weights.tensors.relative", "block1.w")["value"]) == 0.1 + 0.2
    drop = found("source.accuracy", "drop")
    assert [float(drop[end]) for end in ("value", "low", "high")] == [0.05, 0.05 - 0.01, 0.05 + 0.01]
    assert (drop["n"], drop["kind"]) == ("500", "statistical")


def test_what_was_not_measured_has_no_value_but_its_reason() -> None:
    row = found("features.cka", "block1")
    assert (row["value"], row["kind"]) == ("", "not measured: dead features")


def test_flips_are_counts() -> None:
    assert found("source.flips", "forgotten")["value"] == "30"


def test_no_row_stands_for_two_numbers() -> None:
    keys = [tuple(row[column] for column in ("section", "data", "variant", "name")) for row in rows(plain())]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", hostile.NAMES)
def test_no_text_is_a_formula_or_breaks_its_row(name: str) -> None:
    for row in rows(hostile.report((name,) * 5)):
        assert set(row) == set(COLUMNS)
        for column in ("section", "data", "variant", "name", "kind"):
            assert not row[column].lstrip().startswith(("=", "+", "-", "@"))
            assert row[column].isprintable()
        for column in ("value", "low", "high", "n"):
            assert not row[column] or float(row[column]) is not None


def test_runs_searches_and_repairs_have_a_row_a_number(
    traced: AuditReport, traced_on_two: AuditReport, located: AuditReport, repaired: AuditReport
) -> None:
    for report in (traced, traced_on_two, located, repaired):
        keys = [
            tuple(row[column] for column in ("section", "data", "variant", "name")) for row in rows(report)
        ]
        assert len(keys) == len(set(keys))
    drops = [
        row for row in rows(traced) if row["section"] == "trace.points.answers" and row["name"] == "drop"
    ]
    assert [(row["data"], row["variant"]) for row in drops[:2]] == [
        ("src_val", "checkpoint-20"),
        ("target_val", "checkpoint-20"),
    ]
    assert traced.trace is not None
    first = traced.trace.points[0].answers[0].drop
    assert not isinstance(first, Absent)
    assert [float(drops[0][end]) for end in ("value", "low", "high")] == [
        first.estimate,
        first.low,
        first.high,
    ]
    shares = [row for row in rows(located) if row["section"] == "locate.players.shapley"]
    assert [row["name"] for row in shares] == [player.name for player in located.locate[0].players]
    tried = [row for row in rows(repaired) if row["section"] == "repair.candidates.accuracy"]
    assert repaired.repair is not None
    assert [row["name"] for row in tried] == [one.name for one in repaired.repair.candidates]


def test_what_was_not_measured_of_a_run_has_its_reason(traced_on_two: AuditReport) -> None:
    (row, _) = [row for row in rows(traced_on_two) if row["section"] == "trace.forecasts"]
    assert row["value"] == ""
    assert row["kind"].startswith("not measured: a power law needs 4 checkpoints")
