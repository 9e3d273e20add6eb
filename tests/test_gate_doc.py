"""docs/gate.md is complete, its config is read, and its tables are what the enumeration gives."""

import re
from pathlib import Path

import pytest
from tests.inference import gate_tables

from forgetaudit.config import read_config
from forgetaudit.inference.verdicts import verdict_chances
from forgetaudit.policy import RuleKind

DOC = (Path(__file__).parent.parent / "docs" / "gate.md").read_text("utf-8")


@pytest.mark.parametrize("kind", list(RuleKind))
def test_every_rule_has_a_section_and_a_line_in_the_example(kind):
    assert f"\n### {kind.value}\n" in DOC
    assert re.search(rf'^"?{re.escape(kind.value)}"?(/\w+)? *=', DOC, re.MULTILINE)


def test_the_example_is_a_config_that_is_read(tmp_path):
    [example] = re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)
    path = tmp_path / "forgetaudit.toml"
    path.write_text(example)
    policy = read_config(path).policy
    assert {rule.kind for rule in policy.rules} == set(RuleKind)
    assert [waiver.rule for waiver in policy.waivers] == ["accuracy.per-class/9"]


@pytest.mark.parametrize("name", list(gate_tables.TABLES))
def test_every_table_is_what_exact_enumeration_gives(name):
    [said] = re.findall(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", DOC, re.DOTALL)
    assert said == gate_tables.TABLES[name]()


def test_what_the_text_says_of_the_tables_is_true():
    assert f"finds the loss in {100 * gate_tables.unpaired():.0f} %" in DOC

    def column(name, index, **where):
        rows = [row.strip("| ").split(" | ") for row in gate_tables.TABLES[name]().splitlines()[2:]]
        kept = [row for row in rows if all(row[int(at[1:])] == value for at, value in where.items())]
        return [float(row[index].strip("<+")) for row in kept]

    assert max(column("nothing-lost", 4)) <= 5.2
    assert max(column("on-the-limit", 2)) <= 5.2
    assert 5 <= min(column("on-the-limit", 4)) <= max(column("on-the-limit", 4)) <= 6.5
    likely, proven = column("some-lost", 4, c1="1.5"), column("some-lost", 5, c1="1.5")
    assert (min(likely), max(likely), max(proven)) == (12.0, 30.6, 3.3)
    assert column("some-lost", 4, c0="200", c1="4", c2="4")[0] >= 85


def test_what_several_rules_err_by_is_what_the_gate_says():
    [said] = re.findall(r"<!-- family -->\n(.*?)\n<!-- end -->", DOC, re.DOTALL)
    rows = [row.strip("| ").split(" | ") for row in said.splitlines()[2:]]
    assert [row[0] for row in rows] == ["1", "2", "5", "12", "20"]
    for n, alone, together in rows:
        assert (alone, together) == (f"{100 * (1 - 0.95 ** int(n)):.2g} %", "5 %")
    chances = [
        verdict_chances(
            800, forgotten=0.07, gained=0.03, limit=0.02, confidence=1 - 0.05 / rules
        ).fails_likely
        for rules in (12, 1)
    ]
    assert "fails in {:.0f} % instead of {:.0f} %".format(*(100 * chance for chance in chances)) in DOC
