"""Findings on the weights: what the bytes alone prove."""

from collections.abc import Callable, Iterator

from forgetaudit.report.facts import Facts, finding, some
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Finding
from forgetaudit.report.weights import LayerWeights, WeightSection

__all__ = ["WEIGHT_DETECTORS"]


def identical(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    if weights.identical:
        yield finding(
            facts,
            "identical",
            f"tuned is base: all {weights.total.n_tensors} tensors are bit-identical",
            "check that the right file was passed as TUNED, and that training saved its result",
            severity="medium",
        )


def only_a_cast(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    rows = weights.tensors
    if weights.identical or not rows:
        return
    if all(row.change in ("identical", "cast") for row in rows):
        cast = [row for row in rows if row.change == "cast"]
        yield finding(
            facts,
            "only-a-cast",
            f"tuned is base, cast to {cast[0].tuned_dtype}: nothing was trained",
            "pass the fine-tuned weights; a distance here is rounding",
            severity="medium",
            evidence={"tensors": len(cast), "dtype": cast[0].tuned_dtype},
        )


def frozen_part(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    """The layers from the input on that are still: what they compute cannot have changed.

    Where features were read they must bear it out: the order of the module tree is not always that of the work.
    """
    if weights.identical:
        return
    drifted = {
        drift.layer
        for section in facts.features
        for drift in section.layers
        if isinstance(drift.cka, Absent) or drift.cka.kind != "exact"
    }
    frozen: list[LayerWeights] = []
    for layer in weights.layers:
        if not layer.is_still or layer.layer in drifted:
            break
        frozen.append(layer)
    if not frozen:
        return
    n = sum(layer.n_tensors for layer in frozen)
    names = ", ".join(layer.layer for layer in frozen)
    yield finding(
        facts,
        "frozen-part-verified",
        f"{names} cannot have forgotten: all {n} tensors are bit-identical",
        "look for a loss in the layers after them",
        severity="info",
        evidence={"layers": [layer.layer for layer in frozen], "tensors": n},
    )


def frozen_but_moved(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    lying = [
        layer
        for layer in weights.layers
        if layer.parameters_still and layer.running.n_identical < layer.running.n_tensors
    ]
    if not lying:
        return
    moved = sum(layer.running.n_tensors - layer.running.n_identical for layer in lying)
    names = ", ".join(layer.layer for layer in lying)
    batches = weights.batches_in_training_mode
    seen = f" over {batches} batches in training mode" if batches else ""
    yield finding(
        facts,
        "frozen-buffers-moved",
        f"the frozen part was not frozen: in {names} every parameter is bit-identical, "
        f"but {moved} running statistics moved{seen}",
        "call .eval() on the frozen part after every .train(), and train again",
        severity="high",
        evidence={"layers": [layer.layer for layer in lying], "buffers": moved, "batches": batches},
    )


def nonfinite_weights(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    bad = [row for row in weights.tensors if row.n_nonfinite]
    if bad:
        n = sum(row.n_nonfinite for row in bad)
        yield finding(
            facts,
            "nonfinite-weights",
            f"{n} weights are NaN or infinite, in {some([row.name for row in bad])}",
            "training diverged or the file is damaged: go back to an earlier checkpoint",
            severity="high",
            evidence={"weights": n, "tensors": [row.name for row in bad]},
        )


def zeroed(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    """Whole tensors that became zero: the difference is then exactly the base tensor."""
    zeroed = [
        row.name
        for row in weights.tensors
        if row.relative == 1.0
        and row.one_minus_cosine is not None
        and isinstance(row.one_minus_cosine, Absent)
    ]
    if zeroed:
        yield finding(
            facts,
            "zeroed-weights",
            f"{len(zeroed)} tensors of tuned hold nothing but zeros: {some(zeroed)}",
            "the file was written before its weights were, or a merge failed",
            severity="high",
            evidence={"tensors": zeroed},
        )


def exploded(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    """A tensor more than a hundred times its old norm away: no fine-tune does that; flipped exponent bits do."""
    far = [
        (row.relative, row.name)
        for row in weights.tensors
        if row.role == "parameter" and isinstance(row.relative, float) and row.relative > 100
    ]
    if far:
        yield finding(
            facts,
            "exploded-weights",
            f"{max(far)[1]} is {max(far)[0]:.3g} times its old norm away from base",
            "the file is damaged or training diverged: compare with an earlier checkpoint",
            severity="high",
            evidence={"tensors": [name for _, name in far]},
        )


def below_resolution(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    if weights.resolution:
        yield finding(
            facts,
            "below-resolution",
            weights.resolution,
            "compare the weights as training kept them, before they were cast",
            severity="low",
            evidence={"relative": weights.total.model_dump()["relative"]},
        )


def not_one_lineage(facts: Facts, weights: WeightSection) -> Iterator[Finding]:
    cosine = weights.median_cosine
    if isinstance(cosine, float) and weights.looks_unrelated:
        yield finding(
            facts,
            "not-one-lineage",
            f"tuned does not look trained from base: the median cosine of their matrices is {cosine:.2f}",
            "pass the checkpoint that the fine-tune started from as BASE",
            severity="high",
            confidence="high",
            evidence={"median_cosine": cosine},
        )


WEIGHT_DETECTORS: tuple[Callable[[Facts, WeightSection], Iterator[Finding]], ...] = (
    identical,
    only_a_cast,
    frozen_part,
    frozen_but_moved,
    nonfinite_weights,
    zeroed,
    exploded,
    below_resolution,
    not_one_lineage,
)
