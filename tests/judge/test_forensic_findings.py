"""Findings on what was done to the weights: each where it should be, and silent where it should be."""

from typing import Any

import pytest
from tests.report import builders

from forgetaudit.judge.finding_context import FindingContext
from forgetaudit.judge.findings import IDENTS, find
from forgetaudit.judge.gate import judge
from forgetaudit.policy import Policy
from forgetaudit.report.forensics import (
    Forensics,
    FossilFound,
    LayerRatesFound,
    LowRankChange,
    RecipeFound,
    SpectrumRow,
    StepsFound,
)
from forgetaudit.report.inputs import VariantName
from forgetaudit.report.parts import Absent

ABSENT = Absent(not_measured="nothing there")


def found(**parts: Any) -> dict[str, Any]:
    standard = {
        "recipe": None, "low_rank": (), "n_matrices": 4, "layer_rates": ABSENT, "fossil": ABSENT, "steps": ABSENT,
        "spectra": ABSENT,
    }  # fmt: skip
    section = builders.weights(rows=(builders.row("a"),), forensics=Forensics(**(standard | parts)))
    facts = FindingContext(
        variant=VariantName(name="tuned"),
        weights=section,
        source=(),
        features=(),
        verdict=judge(Policy(), source=(), features=(), weights=()),
    )
    return {finding.id: finding for finding in find(facts)}


def low(
    rank: int, *, at_least: bool = False, edge: float | None = 0.1, tensor: str = "a.q_proj.weight"
) -> Any:
    return LowRankChange(tensor=tensor, rank=rank, at_least=at_least, singular_values=(1.0,), edge=edge)


def steps(**values: Any) -> StepsFound:
    standard = {
        "n_equal": {"s1": 3, "s2": 2},
        "n_telling": 5,
        "n_unexplained": 0,
        "is_step": None,
        "mixed": (),
    }
    return StepsFound(**(standard | values))


def spectrum(n_intruders: int) -> SpectrumRow:
    return SpectrumRow(
        tensor="a", stable_rank=1, effective_rank=2, base_energy=0.5, n_intruders=n_intruders, n_undecided=1,
        top=10, epsilon=0.5, error=0.1,
    )  # fmt: skip


FOSSIL = FossilFound(tensor="embed", n_rows=5, n_rows_in_all=9, shrink=0.99, rate_times_decay=0.01)
CASES = {
    **{
        kind: {"recipe": RecipeFound(kind=kind, n_changed=2, n_parameters=9, blocks=("b.1",), n_blocks=3)}
        for kind in ("bias-only", "norm-only", "head-only", "last-blocks-only")
    },
    "low-rank-update": {"low_rank": (low(4), low(4), low(8))},
    "layer-wise-rates": {"layer_rates": LayerRatesFound(factor=0.9, r_squared=0.99, n_blocks=12)},
    "weight-decay-fossil": {"fossil": FOSSIL},
    "is-a-step": {"steps": steps(is_step="s1")},
    "mixed-steps": {"steps": steps(mixed=("s1", "s2"))},
    "intruder-dimensions": {"spectra": (spectrum(0), spectrum(3))},
}


@pytest.mark.parametrize(("ident", "parts"), CASES.items(), ids=CASES)
def test_each_mark_is_a_finding_of_its_name(ident: str, parts: dict[str, Any]) -> None:
    assert ident in IDENTS
    assert list(found(**parts)) == [ident]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"low_rank": (low(4), low(4))},
        {"low_rank": tuple(low(4, at_least=True) for _ in range(4))},
        {"steps": steps()},
        {"spectra": (spectrum(0),)},
    ],
    ids=["nothing", "half of the matrices", "at least", "some equal step", "no intruders"],
)
def test_without_the_mark_nothing_is_said(parts: dict[str, Any]) -> None:
    assert found(**parts) == {}


def test_the_words_say_what_was_found_and_where() -> None:
    assert (
        "rank 4 above rounding, as merged LoRA has, in 3 matrices: q_proj"
        in found(low_rank=(low(4), low(4), low(4)))["low-rank-update"].title
    )
    certain = found(low_rank=tuple(low(4, edge=None) for _ in range(4)))["low-rank-update"]
    assert certain.confidence == "certain"
    assert "above rounding" not in certain.title
    assert "tensors 3 of s1, 2 of s2" in found(steps=steps(mixed=("s1", "s2")))["mixed-steps"].title
    assert "only the last 1 of 3 blocks" in found(**CASES["last-blocks-only"])["last-blocks-only"].title
