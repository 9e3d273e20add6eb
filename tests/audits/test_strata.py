"""--strata on the sample's real weights and data: three domains of unequal size, beside the slow reference."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from tests.fixtures.held_out import read_lines
from tests.reference import statistics as reference

import forgetaudit
from forgetaudit.errors import DataError, UsageError
from forgetaudit.inference.binomial import z_quantile
from forgetaudit.inference.corrections import holm
from forgetaudit.inference.paired import mcnemar
from forgetaudit.judge.integrity import inconsistencies
from forgetaudit.plan import Settings

ROOT = Path(__file__).parent.parent.parent
SAMPLES, FIXTURES = ROOT / "sample_data", ROOT / "tests" / "fixtures"


def audit(data: Path, max_drop: str | None = None, **options: Any) -> Any:
    return forgetaudit.compare(
        SAMPLES / "base.safetensors",
        SAMPLES / "tuned.safetensors",
        data=str(data),
        model=f"{SAMPLES / 'digits.py'}:build",
        settings=Settings(**options),
        max_drop=max_drop,
    )


@pytest.fixture(scope="module")
def by_domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's digits in three domains: every eight is typed, of the rest one of ten was scanned."""
    path = tmp_path_factory.mktemp("data") / "digits"
    digits = Dataset.load_from_disk(str(SAMPLES / "src_val"))
    names = [
        "typed" if one == 8 else "scanned" if row % 10 == 0 else "written"
        for row, one in enumerate(digits["label"])
    ]
    digits.add_column("domain", names).add_column("row", [*map(str, range(len(names)))]).save_to_disk(
        str(path)
    )
    return path


@pytest.fixture(scope="module")
def report(by_domain: Path) -> Any:
    return audit(by_domain, max_drop="2pt", strata="domain")


def test_each_domain_is_counted_by_itself(report: Any, by_domain: Path) -> None:
    section = report.source[0]
    sizes = Counter(Dataset.load_from_disk(str(by_domain))["domain"])
    assert {row.name: row.n for row in section.per_stratum} == sizes
    assert (section.strata, section.groups, section.per_group) == ("domain", None, ())
    for name in ("forgotten", "gained", "kept", "missed"):
        assert sum(getattr(row.flips, name) for row in section.per_stratum) == getattr(section.flips, name)
    of_class = next(one for one in section.per_class if one.name == "8")
    typed = next(row for row in section.per_stratum if row.name == "typed")
    assert (typed.n, typed.base, typed.tuned) == (of_class.n, of_class.base, of_class.tuned)
    p = [mcnemar(row.flips.forgotten, row.flips.gained).mid_p for row in section.per_stratum]
    assert [row.adjusted_p for row in section.per_stratum] == holm(p)


def test_the_limits_of_drop_and_rule_are_those_of_the_reference(report: Any, by_domain: Path) -> None:
    section, rule = report.source[0], report.verdict.rules[0]
    strata = [(row.flips.forgotten, row.flips.gained, row.n) for row in section.per_stratum]
    drop, plain = section.accuracy.drop, audit(by_domain).source[0].accuracy.drop
    assert (drop.method, drop.estimate) == ("stratified-tango", plain.estimate)
    for shown, sides in ((drop, 2), (rule.limits, 1)):
        low, high = reference.stratified_limits(strata, z_quantile(0.95, sides))
        assert (shown.low, shown.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert plain.low <= drop.low
    assert drop.high <= plain.high


def test_a_report_whose_strata_were_edited_does_not_add_up(report: Any) -> None:
    assert not list(inconsistencies(report))
    section = report.source[0]
    first, *rest = section.per_stratum
    flips = first.flips.model_copy(
        update={"forgotten": first.flips.forgotten + 1, "kept": first.flips.kept - 1}
    )
    edited = section.model_copy(update={"per_stratum": (first.model_copy(update={"flips": flips}), *rest)})
    assert any("strata" in said for said in inconsistencies(report.model_copy(update={"source": (edited,)})))


def test_the_screen_and_the_tables_name_the_domain_that_fell(
    forgetaudit: Any, by_domain: Path, tmp_path: Path
) -> None:
    written = [tmp_path / f"report.{kind}" for kind in ("md", "html", "csv", "json")]
    asked = [word for path in written for word in ("--output", f"{path.suffix[1:]}={path}")]
    words = ("base.safetensors", "tuned.safetensors", "--data", by_domain, "--strata", "domain", *asked)
    run = forgetaudit("compare", *words)
    line = next(line for line in run.out.splitlines() if line.split()[:1] == ["strata"])
    assert "domain scanned fell 35.2 pt (n 71," in line
    for path in written:
        assert all(name in path.read_text() for name in ("typed", "scanned", "written")), path.name


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"strata": "domain", "group_by": "row"}, "--strata and --group-by do not go together"),
        ({"strata": "domain", "stop_early": True}, "--strata and --stop-early do not go together"),
    ],
)
def test_what_does_not_go_with_strata_is_refused_with_the_reason(options: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Settings(**options)


def test_a_column_that_is_not_there_or_no_list_of_domains_is_refused(by_domain: Path) -> None:
    with pytest.raises(DataError, match="there is no column domian") as refusal:
        audit(by_domain, strata="domian")
    assert "did you mean domain?" in (refusal.value.hint or "")
    with pytest.raises(UsageError, match="797 values, and at most 200 strata"):
        audit(by_domain, strata="row")


def test_tokens_of_texts_are_not_independent(tmp_path: Path) -> None:
    texts = [row["text"] for row in read_lines(FIXTURES / "data" / "docs.jsonl")]
    path = tmp_path / "texts.parquet"
    Dataset.from_dict({"text": texts, "domain": [row % 3 for row in range(len(texts))]}).to_parquet(str(path))
    with pytest.raises(UsageError, match="independent questions, which the tokens"):
        forgetaudit.compare(
            FIXTURES / "gpt2" / "base",
            FIXTURES / "gpt2" / "tuned",
            data=str(path),
            settings=Settings(strata="domain"),
        )


@pytest.mark.parametrize("command", [forgetaudit.locate, forgetaudit.repair])
def test_commands_that_measure_all_examples_together_refuse_strata(command: Any, by_domain: Path) -> None:
    with pytest.raises(UsageError, match="does not keep the strata of domain apart"):
        command(
            SAMPLES / "base.safetensors",
            SAMPLES / "tuned.safetensors",
            data=str(by_domain),
            model=f"{SAMPLES / 'digits.py'}:build",
            settings=Settings(strata="domain"),
        )
