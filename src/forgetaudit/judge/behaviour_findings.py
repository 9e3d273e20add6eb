"""Findings on behaviour: what the examples say, and how surely."""

from collections.abc import Callable, Iterator

from forgetaudit.inference.clusters import FEWEST_EFFECTIVE
from forgetaudit.judge.finding_context import FindingContext, finding
from forgetaudit.report.behaviour import FeatureSection, SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.verdict import Finding, Severity
from forgetaudit.wording import counted, points, some

__all__ = ["BEHAVIOUR_DETECTORS"]

# Both observations behind this tool, and the one thing that a lossless memory would do.
_MITIGATION = (
    "train fewer steps or at a lower rate, freeze the layers that drift most, or mix in source examples; "
    "each mitigates, none erases"
)


_MEND = "mask the padding and keep layers in eval mode, or pass --batch-size 1"


def unusable_data(facts: FindingContext) -> Iterator[Finding]:
    for section in facts.source:
        if section.unusable:
            yield finding(
                facts,
                section.unusable.id,
                section.unusable.reason,
                f"{_MEND if section.unusable.id == 'depends-on-batch' else f'check {_what_can_be_wrong(facts)}'}: "
                "nothing can be said about forgetting",
                severity="high",
                confidence="high",
                data=section.data,
                evidence={"accuracy": section.accuracy.base},
            )


def _what_can_be_wrong(facts: FindingContext) -> str:
    if facts.weights is None:
        return "that the right logs were passed, the task, the prompts and the chat template"
    return "the data, the order of its classes, the preprocessing and --model"


def nonfinite_outputs(facts: FindingContext) -> Iterator[Finding]:
    for section in facts.source:
        if sum(section.nonfinite.values()):
            said = ", ".join(f"{count} in {name}" for name, count in section.nonfinite.items() if count)
            yield finding(
                facts,
                "nonfinite-outputs",
                f"outputs are NaN or infinite for some examples: {said}; {_what_they_count_as(facts)}",
                "look at the weights' findings; in a narrow dtype, run again in float32 (--dtype)",
                severity="high",
                data=section.data,
                evidence={"counts": section.nonfinite},
            )


def _what_they_count_as(facts: FindingContext) -> str:
    return "they count as wrong" if facts.weights is not None else "how they were scored means nothing"


def drop(facts: FindingContext) -> Iterator[Finding]:
    """Is the loss real? Said from the two-sided interval; the gate's own rules are judged elsewhere."""
    for section in facts.source:
        drop = section.accuracy.drop
        if (
            section.unusable
            or section.known
            or isinstance(drop, Absent)
            or drop.low is None
            or drop.high is None
        ):
            continue
        evidence = {"estimate": drop.estimate, "low": drop.low, "high": drop.high, "n": section.n}
        severity: Severity = "info"
        if drop.low > 0:
            title = f"the loss is real: {points(drop.low)} to {points(drop.high)} points of source accuracy"
            advice, ident = _MITIGATION, "drop-proved"
            severity = "medium"
        elif drop.high < 0:
            title = f"tuned gained {points(-drop.high)} to {points(-drop.low)} points of source accuracy"
            advice, ident = "nothing to do", "gain-proved"
        else:
            most = points(max(drop.high, 0.0))
            title = f"no loss is proved: at most {most} points of source accuracy (two-sided 95 %)"
            advice, ident = "add source examples to narrow the interval", "drop-not-proved"
        yield finding(
            facts,
            ident,
            title,
            advice,
            severity=severity,
            confidence="high",
            data=section.data,
            evidence=evidence,
        )


def needs_more(facts: FindingContext) -> Iterator[Finding]:
    for rule in facts.verdict.rules:
        if rule.variant != facts.variant.name or not rule.further_examples:
            continue
        yield finding(
            facts,
            "needs-more-examples",
            f"{rule.rule} cannot be decided: about {rule.further_examples:,} more examples would",
            "pass more held-out source data, or a wider limit",
            severity="low",
            confidence="medium",
            data=rule.data,
            evidence={"further_examples": rule.further_examples},
        )


def few_groups(facts: FindingContext) -> Iterator[Finding]:
    """Questions in groups of which one, or a few, decide: the limits allow for it, and a reader should know why."""
    for section in facts.source:
        groups = section.groups
        if groups is None or section.unusable or section.known or groups.effective >= FEWEST_EFFECTIVE:
            continue
        by = f" by {groups.by}" if groups.by else ""
        sizes = (
            ""
            if groups.effective >= 0.8 * groups.n
            else f", which count as {groups.effective:.2g} of equal size"
        )
        yield finding(
            facts,
            "few-groups",
            f"the {counted(section.n, section.unit)} come in {counted(groups.n, 'group')}{by}{sizes}: "
            "the limits allow for it, and are wide",
            "add groups, not more examples of the same ones; for a fixed list of domains pass --strata instead",
            severity="medium",
            data=section.data,
            evidence={"groups": groups.n, "effective": groups.effective, "degrees": groups.degrees},
        )


def where_it_sits(facts: FindingContext) -> Iterator[Finding]:
    """If nothing before the head can have changed, a loss is the head's; else the layer that drifts most."""
    for source, features in _with_features(facts):
        drop = source.accuracy.drop
        if isinstance(drop, Absent) or drop.low is None or drop.low <= 0 or source.unusable:
            continue
        measured = [
            (drift.cka, drift.layer) for drift in features.layers if not isinstance(drift.cka, Absent)
        ]
        if not measured:
            continue
        if len(measured) == len(features.layers) and _only_the_head_changed(facts):
            yield finding(
                facts,
                "loss-in-head",
                "the loss is the head's: every tensor before it is bit-identical",
                "put base's head back on (--head base) to have the source task back at no loss",
                severity="medium",
                data=source.data,
                evidence={"layers": [layer for _, layer in measured]},
            )
            continue
        lowest, layer = min(measured, key=lambda pair: pair[0].estimate)
        yield finding(
            facts,
            "layer-drifts-most",
            f"of the {'watched' if len(measured) == len(features.layers) else 'measured'} layers, {layer} drifts "
            "most: a diagnostic, not proof",
            _MITIGATION,
            severity="info",
            confidence="medium",
            data=source.data,
            evidence={"layer": layer, "cka": lowest.estimate},
        )


def _only_the_head_changed(facts: FindingContext) -> bool:
    """Proved by the bytes of all tensors, watched or not: features agree also where a layer between was not seen."""
    if facts.weights is None:
        return False
    body = [layer for layer in facts.weights.layers if layer.stage != "head"]
    has_head = len(body) < len(facts.weights.layers)
    return has_head and all(layer.is_still and not layer.n_cast for layer in body)


def _with_features(facts: FindingContext) -> Iterator[tuple[SourceSection, FeatureSection]]:
    """Each data set's behaviour beside its features, where features were read."""
    features = {section.data: section for section in facts.features}
    return ((section, features[section.data]) for section in facts.source if section.data in features)


def classes_that_fell(facts: FindingContext) -> Iterator[Finding]:
    for section in facts.source:
        fell = [c for c in section.per_class if c.adjusted_p < 0.05 and c.base > c.tuned]
        if fell and not section.unusable:
            worst = max(fell, key=lambda c: c.base - c.tuned)
            yield finding(
                facts,
                "classes-fell",
                f"{len(fell)} of {counted(len(section.per_class), 'class')} fell; "
                f"class {worst.name} by {points(worst.base - worst.tuned)} points (n {worst.n})",
                "look at what the target data teach about them",
                severity="low",
                confidence="high",
                data=section.data,
                evidence={"classes": [c.name for c in fell]},
            )


def cka_is_blind(facts: FindingContext) -> Iterator[Finding]:
    """Accuracy fell where CKA saw nothing (Davari et al. 2022, arXiv 2210.16156)."""
    for source, features in _with_features(facts):
        drop = source.accuracy.drop
        measured = [layer.cka for layer in features.layers if not isinstance(layer.cka, Absent)]
        values = [cka.estimate for cka in measured if cka.kind != "exact"]
        if isinstance(drop, Absent) or drop.low is None or not values or source.unusable:
            continue
        if len(measured) < len(features.layers):
            continue
        if drop.low > 0.02 and min(values) > 0.95:
            yield finding(
                facts,
                "drift-does-not-show",
                f"accuracy fell {points(drop.estimate)} points while every watched layer kept CKA above 0.95",
                "believe the accuracy: CKA sees the directions of most variance, not those that decide",
                severity="low",
                confidence="high",
                data=source.data,
                evidence={"lowest_cka": min(values)},
            )


def head_replaced(facts: FindingContext) -> Iterator[Finding]:
    if facts.variant.grafted:
        asked = "base's head was put on tuned, as asked (--head base)"
        has_none = any(gap.id == "slots-not-filled" for gap in facts.gaps)
        other = f"tuned has {'no head' if has_none else 'another head'}; base's was put on it"
        why = asked if facts.variant.graft_asked else other
        yield finding(
            facts,
            "head-replaced",
            f"{why}: {some(facts.variant.grafted)}",
            "read the drop as that of tuned's features under base's head",
            severity="medium",
            evidence={"tensors": list(facts.variant.grafted)},
        )


BEHAVIOUR_DETECTORS: tuple[Callable[[FindingContext], Iterator[Finding]], ...] = (
    unusable_data,
    nonfinite_outputs,
    drop,
    needs_more,
    few_groups,
    where_it_sits,
    classes_that_fell,
    cka_is_blind,
    head_replaced,
)
