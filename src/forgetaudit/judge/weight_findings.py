"""Findings on the weights: what the bytes alone prove."""

from collections.abc import Callable, Iterator

from forgetaudit.judge.finding_context import FindingContext, finding
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Finding
from forgetaudit.report.weights import TensorRow, WeightSection
from forgetaudit.wording import counted, honest, some

__all__ = ["WEIGHT_DETECTORS"]


# Gaps where the other of two sets of weights may be the one that was trained.
_CHOICES = ("other-weights-beside", "raw-or-averaged", "other-sets-of-weights", "module-not-read")


def identical(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    if weights.identical:
        # What was trained may lie in what was not read.
        unread = [gap for gap in facts.gaps if gap.id in _CHOICES]
        yield finding(
            facts,
            "identical",
            f"tuned is base: {counted(len(weights.tensors), 'tensor')}, every one bit-identical"
            + "".join(f"; but {gap.title}" for gap in unread[:1]),
            unread[0].advice
            if unread
            else "check that the right file was passed as TUNED, and that training saved its result",
            severity="medium",
        )


def only_a_cast(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
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


def frozen_part(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    """Layers that are still: what they compute cannot have changed, where the features bear it out.

    Only features tell which layers come first; without them it is said that the bytes are the same, and no more.
    """
    exact = {
        drift.layer
        for section in facts.features
        for drift in section.layers
        if not isinstance(drift.cka, Absent) and drift.cka.kind == "exact"
    }
    frozen = [
        layer
        for layer in weights.layers
        if layer.is_still and not layer.n_cast and (layer.layer in exact or not facts.features)
    ]
    if weights.identical or not frozen:
        return
    n = sum(layer.n_tensors for layer in frozen)
    names = some([layer.layer for layer in frozen], shown=6)
    claim = "cannot have forgotten" if facts.features else "unchanged"
    yield finding(
        facts,
        "frozen-part-verified",
        f"{names} {claim}: {counted(n, 'tensor')}, every one bit-identical",
        "look for a loss in the other layers",
        severity="info",
        evidence={"layers": [layer.layer for layer in frozen], "tensors": n},
    )


def frozen_but_moved(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    lying = [
        layer
        for layer in weights.layers
        if layer.parameters_still and layer.running.n_identical < layer.running.n_tensors
    ]
    if not lying:
        return
    moved = sum(layer.running.n_tensors - layer.running.n_identical for layer in lying)
    names = some([layer.layer for layer in lying], shown=6)
    batches = weights.batches_in_training_mode
    seen = f" over {counted(batches, 'batch')} in training mode" if batches else ""
    yield finding(
        facts,
        "frozen-buffers-moved",
        f"the frozen part was not frozen: in {names} every parameter is bit-identical, "
        f"but {counted(moved, 'running statistic')} moved{seen}",
        "call .eval() on the frozen part after every .train(), and train again",
        severity="high",
        evidence={"layers": [layer.layer for layer in lying], "buffers": moved, "batches": batches},
    )


def nonfinite_weights(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    for side in ("base", "tuned"):
        counts = {
            row.name: row.n_nonfinite_base if side == "base" else row.n_nonfinite for row in weights.tensors
        }
        bad = [name for name, n in counts.items() if n]
        if bad:
            yield finding(
                facts,
                "nonfinite-weights",
                f"{counted(sum(counts.values()), 'weight')} of {side} NaN or infinite, in {some(bad)}",
                "training diverged or the file is damaged: go back to an earlier checkpoint",
                severity="high",
                evidence={"side": side, "weights": sum(counts.values()), "tensors": bad},
            )


def zeroed(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    zeroed = [row.name for row in weights.tensors if row.is_zeroed]
    if zeroed:
        yield finding(
            facts,
            "zeroed-weights",
            f"nothing but zeros in {counted(len(zeroed), 'tensor')} of tuned: {some(zeroed)}",
            "the file was written before its weights were, or a merge failed",
            severity="high",
            evidence={"tensors": zeroed},
        )


def exploded(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    far = [
        (row.relative, row.name)
        for row in weights.tensors
        if row.is_exploded and isinstance(row.relative, float)
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


def below_resolution(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    if weights.resolution:
        yield finding(
            facts,
            "below-resolution",
            weights.resolution,
            "compare the weights as training kept them, before they were cast",
            severity="low",
            evidence={"relative": weights.total.model_dump()["relative"]},
        )


def resized_vocabulary(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    resized = [
        (row, row.tuned_shape[0])
        for row in weights.tensors
        if row.shared_rows is not None and row.tuned_shape
    ]
    if not resized:
        return
    row, n_tuned = resized[0]
    more = n_tuned - row.shape[0]
    yield finding(
        facts,
        "resized-vocabulary",
        f"tuned's vocabulary has {counted(abs(more), 'row')} {'more' if more > 0 else 'fewer'} than base's "
        f"{row.shape[0]:,}; the {row.shared_rows:,} that both have were compared",
        "tokens that one side lacks are not judged here: try them on data of their own",
        severity="info",
        evidence={
            "tensors": [row.name for row, _ in resized],
            "base": row.shape[0],
            "tuned": n_tuned,
        },
        # New rows have nothing in base, all of which was compared; rows that tuned lost are held as not compared.
        holds="nothing",
    )


def not_one_lineage(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
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


def not_compared(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    """What the distances do not speak of, with the reasons."""
    rows = weights.not_compared
    if not rows:
        return
    share = weights.total.compared_share
    of_base = "" if isinstance(share, Absent) else f"; distances are of {_percent(share)} of base's elements"
    words = {row.name: f"{row.name} ({_why_not(row)})" for row in rows}
    names = some([words[row.name] for row in rows[:2]] + [row.name for row in rows[2:]], shown=2)
    yield finding(
        facts,
        "tensors-not-compared",
        f"{len(rows):,} of {counted(weights.total.n_tensors, 'parameter')} {'was' if len(rows) == 1 else 'were'} "
        f"not compared: {names}{of_base}",
        "pass files that hold the same tensors in the same form; a rule on one layer (distance/LAYER) can pass",
        severity="medium",
        evidence={"tensors": {row.name: _why_not(row) for row in rows}},
        holds="tensors",
    )


def dequantised(facts: FindingContext, weights: WeightSection) -> Iterator[Finding]:
    """Codes that were read as the values that they stand for."""
    for side in ("base", "tuned"):
        dtypes = {row.name: row.dtype if side == "base" else row.tuned_dtype for row in weights.tensors}
        read = {name: dtype for name, dtype in dtypes.items() if dtype is not None and " codes" in dtype}
        if read:
            yield finding(
                facts,
                "codes-dequantised",
                f"{counted(len(read), 'weight')} of {side} {'is' if len(read) == 1 else 'are'} quantised and read as "
                f"the values that codes stand for ({next(iter(read.values()))}): rounding counts as distance",
                "compare the weights from before they were quantised to see what training did alone",
                severity="info",
                evidence={"side": side, "tensors": list(read)},
            )


def _percent(share: float) -> str:
    return f"{honest(100 * share, decimals=1, top=100)} %"


def _why_not(row: TensorRow) -> str:
    if row.shared_rows is not None:
        return f"the rows beyond {row.shared_rows:,}"
    if row.tuned_name is None or row.tuned_dtype is None:
        return "only in base"
    return row.distance.not_measured if isinstance(row.distance, Absent) else row.change


WEIGHT_DETECTORS: tuple[Callable[[FindingContext, WeightSection], Iterator[Finding]], ...] = (
    identical,
    only_a_cast,
    frozen_part,
    frozen_but_moved,
    nonfinite_weights,
    zeroed,
    exploded,
    below_resolution,
    resized_vocabulary,
    not_compared,
    dequantised,
    not_one_lineage,
)
