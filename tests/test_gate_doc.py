"""docs/gate.md is complete, its config is read, and its tables are what the enumeration gives."""

import re
from pathlib import Path

import pytest
from tests.inference import gate_tables

from forgetaudit.config import read_config
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
