"""Findings on what was done to the weights: recipes, low rank, decay, mixed steps."""

from collections.abc import Callable, Iterator

from forgetaudit.judge.finding_context import FindingContext, finding
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Finding
from forgetaudit.report.weights import WeightSection
from forgetaudit.wording import counted, some

__all__ = ["FORENSIC_DETECTORS"]

_RECIPES = {
    "bias-only": "only biases were trained",
    "norm-only": "only normalisation layers were trained",
    "head-only": "only the head was trained",
}


def recipe(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    found = weights.forensics.recipe if weights.forensics else None
    if found is None:
        return
    said = _RECIPES.get(found.kind)
    if said is None:
        said = f"only the last {len(found.blocks)} of {counted(found.n_blocks, 'block')} were trained"
    yield finding(
        facts,
        found.kind,
        f"{said}: {found.n_changed} of {counted(found.n_parameters, 'parameter')} changed,"
        " the others are bit-identical",
        "look for a loss in what was trained, and in what is computed after it",
        severity="info",
        evidence={"changed": found.n_changed, "parameters": found.n_parameters, "blocks": list(found.blocks)},
    )


def low_rank(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    found = weights.forensics
    if found is None or not found.is_low_rank:
        return
    sure = [row for row in found.low_rank if not row.at_least]
    ranks = sorted({row.rank for row in sure})
    modules = sorted({row.tensor.split(".")[-2] if "." in row.tensor else row.tensor for row in sure})
    rank = str(ranks[0]) if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    by_factors = all(row.edge is None for row in sure)
    how = "" if by_factors else " above rounding, as merged LoRA has"
    yield finding(
        facts,
        "low-rank-update",
        f"the change has rank {rank}{how}, in {counted(len(sure), 'matrix')}: {some(modules, shown=6)}",
        "an adapter can be scaled down or taken off again: keep it unmerged where you can",
        severity="info",
        confidence="certain" if by_factors else "high",
        evidence={"ranks": ranks, "modules": modules, "matrices": len(sure), "looked_at": found.n_matrices},
    )


def layer_rates(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    found = weights.forensics.layer_rates if weights.forensics else None
    if found is None or isinstance(found, Absent):
        return
    yield finding(
        facts,
        "layer-wise-rates",
        f"blocks moved {found.factor:.2f} times as far for every block towards the input: consistent with"
        f" layer-wise learning rates (R² {found.r_squared:.2f}, {found.n_blocks} blocks)",
        "early blocks forget less for it; a smaller factor protects them more",
        severity="info",
        confidence="medium",
        evidence=found.model_dump(),
    )


def fossil(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    found = weights.forensics.fossil if weights.forensics else None
    if found is None or isinstance(found, Absent):
        return
    yield finding(
        facts,
        "weight-decay-fossil",
        f"{found.n_rows:,} of {found.n_rows_in_all:,} rows of {found.tensor} saw no gradient and were shrunk by"
        f" {1 - found.shrink:.3g}: learning rate × weight decay add up to {found.rate_times_decay:.4g} over the run",
        "tokens that training never sees fade with it: leave embeddings out of weight decay",
        severity="low",
        confidence="high",
        evidence=found.model_dump(),
    )


def mixed_steps(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    found = weights.forensics.steps if weights.forensics else None
    if found is None or isinstance(found, Absent):
        return
    if found.is_step is not None:
        yield finding(
            facts,
            "is-a-step",
            f"tuned is {found.is_step}: all {found.n_telling} tensors that tell the steps apart",
            "if another step was meant, name its folder",
            severity="info",
            evidence=found.model_dump(),
        )
    elif found.mixed:
        told = ", ".join(f"{found.n_equal[step]} of {step}" for step in found.mixed)
        yield finding(
            facts,
            "mixed-steps",
            f"tuned is put together from several steps of the run: tensors {told}",
            "save again from one step: no such network was ever trained",
            severity="high",
            evidence=found.model_dump(),
        )


def intruders(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    spectra = weights.forensics.spectra if weights.forensics else ()
    if isinstance(spectra, Absent):
        return
    found = [row for row in spectra if row.n_intruders]
    n = sum(row.n_intruders for row in found)
    if found:
        worst = max(found, key=lambda row: row.n_intruders)
        yield finding(
            facts,
            "intruder-dimensions",
            f"{counted(n, 'leading direction')} of {counted(len(found), 'matrix')} in tuned are near none of base's,"
            f" most in {worst.tensor} ({worst.n_intruders} of {worst.top})",
            "such directions go with forgetting: lower the rate or the adapter's alpha, or damp them: "
            "forgetaudit repair --families intruders",
            severity="low",
            confidence="medium",
            evidence={"matrices": len(found), "directions": n, "epsilon": worst.epsilon},
        )


FORENSIC_DETECTORS: tuple[Callable[[FindingContext, WeightSection], Iterator[Finding]], ...] = (
    recipe,
    low_rank,
    layer_rates,
    fossil,
    mixed_steps,
    intruders,
)
