"""The weights of one tuned checkpoint against base: measured from the files, and put into the report's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from forgetaudit.audits.align_by_model import ModelNames, align_through_model
from forgetaudit.checkpoints.align import NameAlignment
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.models.vocabulary_size import rows_by_config
from forgetaudit.policy import Policy, RuleKind
from forgetaudit.progress import Progress
from forgetaudit.report.forensics import Forensics
from forgetaudit.report.parts import Absent
from forgetaudit.report.weights import LayerWeights, StageWeights, TensorRow, WeightSection, WeightTotal
from forgetaudit.values import NotMeasured
from forgetaudit.weights.align_by_content import align_by_content
from forgetaudit.weights.changes import Change, Role, TensorChange, WeightChanges
from forgetaudit.weights.copies import copies_in_both
from forgetaudit.weights.dequantise import as_values
from forgetaudit.weights.distance import differs_in_rows, measure_weights
from forgetaudit.weights.frozen import check_frozen
from forgetaudit.weights.groups import Group, by_layer, by_stage, total
from forgetaudit.weights.layer_names import layer_names
from forgetaudit.weights.lineage import measure_lineage
from forgetaudit.weights.resolution import resolution_note
from forgetaudit.weights.sums import Sums

if TYPE_CHECKING:
    # Weights alone wake no torch, and the network's module does.
    from forgetaudit.audits.network import Network

__all__ = ["WeightDiff", "diff_weights", "weight_section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightDiff:
    """One variant's tensors, measured against base's. `copies`: name → first name of what both files hold twice."""

    name: str
    alignment: NameAlignment
    changes: WeightChanges
    copies: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def identical(self) -> bool:
        """Every tensor has base's bytes, under base's name or another: any drop is exactly 0."""
        return bool(self.changes.tensors) and all(
            row.change in ("identical", "renamed") for row in self.changes.tensors
        )


def diff_weights(
    name: str,
    base: Checkpoint,
    tuned: Checkpoint,
    policy: Policy,
    progress: Progress,
    *,
    model_names: ModelNames | None = None,
    vocabulary: Callable[[Checkpoint], frozenset[str]] = lambda _: frozenset(),
) -> WeightDiff:
    """Read both files once. MismatchError if they are not versions of one network; UsageError for an idle pattern.

    `model_names` is asked where the files spell their names differently; without it, content tells. `vocabulary` is
    asked where tensors have more rows on one side: which of base's have a row for each token.
    """
    base, tuned = as_values(base), as_values(tuned)
    alignment = (
        align_by_content(base, tuned)
        if model_names is None
        else align_through_model(base, tuned, model_names)
    )
    resized = any(differs_in_rows(base.tensors[a], tuned.tensors[b]) for a, b in alignment.reshaped)
    by_rows = frozenset[str]()
    if resized:
        by_rows = vocabulary(base) or rows_by_config(base, tuned, alignment.reshaped)
    changes = measure_weights(base, tuned, alignment, progress, by_rows=by_rows)
    for rule in policy.rules:
        if rule.kind is RuleKind.FROZEN:
            check_frozen(changes, rule.patterns)
    copies = copies_in_both(base, tuned, changes)
    return WeightDiff(name=name, alignment=alignment, changes=changes, copies=copies)


def weight_section(
    weighed: WeightDiff, network: Network | None, forensics: Forensics | None = None
) -> WeightSection:
    """The exact part of the report. Layers are the network's where there is one, else what names tell of them."""
    weighed = replace(weighed, changes=_counted_once(weighed, network))
    everything = total(weighed.changes)
    lineage = measure_lineage(weighed.changes)
    stages, names = _places(weighed.changes, network)
    return WeightSection(
        variant=weighed.name,
        identical=weighed.identical,
        total=_total(everything.tensors, everything.parameters, Role.PARAMETER),
        running=_total(everything.tensors, everything.statistics, Role.STATISTIC),
        batches_in_training_mode=everything.training_batches,
        layers=_layers(by_layer(weighed.changes, list(stages), names=names), stages, network),
        stages=tuple(_stage(group) for group in by_stage(weighed.changes, stages, names=names)),
        tensors=tuple(_row(row) for row in weighed.changes.tensors),
        alignment=weighed.alignment.steps,
        median_cosine=Absent(not_measured=lineage.reason)
        if isinstance(lineage, NotMeasured)
        else lineage.median_cosine,
        looks_unrelated=not isinstance(lineage, NotMeasured) and lineage.looks_unrelated,
        resolution=resolution_note(weighed.changes),
        forensics=forensics,
    )


def _counted_once(weighed: WeightDiff, network: Network | None) -> WeightChanges:
    """A tensor that the network has under two names, in both files alike, counts under the first of them.

    Without a network, it is one that both files hold twice.
    """
    changes = weighed.changes
    if network is None:
        return WeightChanges(
            tensors=tuple(
                _as_copy(row, weighed.copies.get(row.name), "both files hold") for row in changes.tensors
            )
        )
    slots = network.skeleton.state_dict(keep_vars=True)
    first: dict[int, TensorChange] = {}
    rows = []
    for row in changes.tensors:
        slot = slots.get(network.base_names.get(row.name, row.name))
        twin = None if slot is None or row.sums is None else first.setdefault(id(slot), row)
        is_first = twin is None or twin is row or twin.sums != row.sums
        rows.append(_as_copy(row, None if is_first or twin is None else twin.name, "the network has"))
    return WeightChanges(tensors=tuple(rows))


def _as_copy(row: TensorChange, twin: str | None, who: str) -> TensorChange:
    if twin is None:
        return row
    return replace(row, sums=None, copy_of=twin, reason=f"{who} it as {twin}, too, where it is counted")


def _places(changes: WeightChanges, network: Network | None) -> tuple[dict[str, str], Mapping[str, str]]:
    """The stage of each layer, and the network's names of tensors."""
    if network is None:
        return layer_names(row.name for row in changes.tensors).stages, {}
    return {layer.name: layer.stage.value for layer in network.layers}, network.base_names


def _layers(
    groups: Sequence[Group], stages: Mapping[str, str], network: Network | None
) -> tuple[LayerWeights, ...]:
    if network is not None:
        order = {path: place for place, (path, _) in enumerate(network.skeleton.named_modules())}
        groups = sorted(groups, key=lambda group: order.get(group.name, len(order)))
    return tuple(_layer(group, stages.get(group.name, "rest")) for group in groups)


def _stage(group: Group) -> StageWeights:
    return StageWeights(stage=group.name, parameters=_total(group.tensors, group.parameters, Role.PARAMETER))


def _layer(group: Group, stage: str) -> LayerWeights:
    counters = [row for row in group.tensors if row.role not in (Role.PARAMETER, Role.STATISTIC)]
    return LayerWeights(
        layer=group.name or "(top)",
        stage=stage,
        parameters=_total(group.tensors, group.parameters, Role.PARAMETER),
        running=_total(group.tensors, group.statistics, Role.STATISTIC),
        n_counters=len(counters),
        n_counters_identical=sum(row.is_unchanged for row in counters),
        n_cast=sum(row.change is Change.CAST for row in group.tensors),
    )


def _total(rows: Sequence[TensorChange], sums: Sums, role: Role) -> WeightTotal:
    mine = [row for row in rows if row.role is role]
    absent = None if any(row.sums for row in mine) else Absent(not_measured=_why_nothing(mine, role))
    without_base = absent or _without_base(mine)
    return WeightTotal(
        n_tensors=len(mine),
        n_identical=sum(row.is_unchanged for row in mine),
        n_elements=sums.n_elements,
        distance=absent or _number(sums.distance),
        relative=without_base or _number(sums.relative),
        one_minus_cosine=without_base or _number(sums.one_minus_cosine),
        max_abs=absent or _number(sums.max_abs),
        changed_share=absent or _number(sums.changed_share),
        not_compared=tuple(row.name for row in mine if not row.is_compared),
        compared_share=without_base or _compared_share(mine, role),
    )


def _compared_share(rows: Sequence[TensorChange], role: Role) -> float | Absent:
    n_elements = sum(row.base.n_elements for row in rows if row.base is not None)
    if not n_elements:
        return Absent(not_measured=f"base has no {role.value}")
    return sum(row.n_compared for row in rows) / n_elements


def _without_base(rows: Sequence[TensorChange]) -> Absent | None:
    """An adapter measured by itself has a length and no direction against base's."""
    alone = any(row.base is None and row.sums is not None for row in rows)
    return Absent(not_measured="no base was passed") if alone else None


def _why_nothing(rows: Sequence[TensorChange], role: Role) -> str:
    """Nothing could be subtracted: there is nothing, or it is on one side only, or in another shape."""
    words = {
        Change.RESHAPED: "another shape than base's",
        Change.ONLY_BASE: "only in base",
        Change.ONLY_TUNED: "only in tuned",
    }
    reasons = dict.fromkeys(
        row.reason
        if row.reason and (row.copy_of or row.reason.startswith("empty"))
        else words.get(row.change) or row.reason or row.change.value
        for row in rows
    )
    return ", ".join(reasons) or f"no {role.value}"


def _row(row: TensorChange) -> TensorRow:
    info = row.base or row.tuned
    assert info is not None  # noqa: S101
    sums = row.sums
    absent = Absent(not_measured=row.reason or row.change.value)
    without_base = _without_base([row])
    return TensorRow(
        name=row.name,
        tuned_name=row.tuned.name if row.tuned else None,
        change=row.change.value,
        role=row.role.value,
        dtype=info.stored or info.dtype,
        tuned_dtype=(row.tuned.stored or row.tuned.dtype) if row.tuned else None,
        shape=info.shape,
        tuned_shape=row.tuned.shape if row.tuned else None,
        shared_rows=row.n_shared_rows,
        distance=_number(sums.distance) if sums else absent,
        relative=without_base or (_number(sums.relative) if sums else absent),
        one_minus_cosine=without_base or (_number(sums.one_minus_cosine) if sums else absent),
        max_abs=_number(sums.max_abs) if sums else absent,
        changed_share=_number(sums.changed_share) if sums else absent,
        n_nonfinite=sums.n_nonfinite_tuned if sums else 0,
        n_nonfinite_base=sums.n_nonfinite_base if sums else 0,
        copy_of=row.copy_of,
    )


def _number(value: float | NotMeasured) -> float | Absent:
    return Absent(not_measured=value.reason) if isinstance(value, NotMeasured) else value
