"""What a person should know, found in the report's own numbers: one function a finding, each able to stay silent.

Every finding has a section of its id in docs/findings.md: what it means, how it is measured, what to do.
"""

from collections.abc import Iterable

from forgetaudit.judge.behaviour_findings import BEHAVIOUR_DETECTORS
from forgetaudit.judge.budget_findings import BUDGET_DETECTORS
from forgetaudit.judge.finding_context import FindingContext
from forgetaudit.judge.forensic_findings import FORENSIC_DETECTORS
from forgetaudit.judge.gate_findings import GATE_DETECTORS
from forgetaudit.judge.weight_findings import WEIGHT_DETECTORS
from forgetaudit.report.verdict import Finding, Severity

__all__ = ["IDENTS", "FindingContext", "find", "worst_first"]

_ORDER: tuple[Severity, ...] = ("high", "medium", "low", "info")


def find(facts: FindingContext) -> tuple[Finding, ...]:
    """All findings on one variant, the worst first."""
    found = [*facts.gaps]
    found += [finding for detect in (*BEHAVIOUR_DETECTORS, *GATE_DETECTORS) for finding in detect(facts)]
    if facts.weights is not None:
        found += [
            finding
            for detect in (*WEIGHT_DETECTORS, *FORENSIC_DETECTORS)
            for finding in detect(facts, facts.weights)
        ]
    if facts.budget is not None:
        found += [finding for detect in BUDGET_DETECTORS for finding in detect(facts, facts.budget)]
    return worst_first(found)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity; those of one severity keep their order."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))


IDENTS = (
    "accepted-state-of-something-else",
    "base-at-chance",
    "below-resolution",
    "bias-only",
    "blame-not-additive",
    "classes-fell",
    "codes-dequantised",
    "column-types-not-read",
    "columns-not-read",
    "config-differs",
    "depends-on-batch",
    "drift-does-not-show",
    "drop-not-proved",
    "drop-proved",
    "earlier-checkpoint-within-limits",
    "empty-texts",
    "ends-overlooked",
    "exploded-weights",
    "few-groups",
    "files-not-read",
    "forgetting-began",
    "frozen-buffers-moved",
    "frozen-part-verified",
    "gain-proved",
    "head-only",
    "head-replaced",
    "identical",
    "identical-logs",
    "input-range",
    "intruder-dimensions",
    "is-a-step",
    "labels-do-not-fit",
    "last-blocks-only",
    "layer-drifts-most",
    "layer-wise-rates",
    "log-refuted",
    "loss-in-head",
    "low-rank-update",
    "mixed-steps",
    "module-not-read",
    "more-lost-than-accepted",
    "needs-more-examples",
    "no-more-lost-than-accepted",
    "nonfinite-outputs",
    "nonfinite-weights",
    "norm-only",
    "not-explained-by-settings",
    "not-one-lineage",
    "not-repeatable",
    "nothing-to-ask",
    "one-of-several-shards",
    "only-a-cast",
    "other-sets-of-weights",
    "other-weights-beside",
    "parts-carry-loss",
    "perhaps-more-lost-than-accepted",
    "preprocessing-differs",
    "preview-misses-rise",
    "preview-points-at",
    "raw-or-averaged",
    "resized-vocabulary",
    "run-in-less-precision",
    "slots-not-filled",
    "statistics-carry-loss",
    "tensors-not-compared",
    "tensors-not-run",
    "tensors-of-no-index",
    "texts-cut",
    "tied-tensors-differ",
    "waiver-expired",
    "weight-decay-fossil",
    "zeroed-weights",
)
