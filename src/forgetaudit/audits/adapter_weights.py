"""A PEFT adapter's change of the weights, for the report: from its factors where it is plain LoRA."""

from pathlib import Path

from forgetaudit.audits.weight_diff import WeightDiff
from forgetaudit.checkpoints.align import NameAlignment
from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.errors import UsageError
from forgetaudit.models.adapter_files import adapter_config, base_name_note, open_adapter_weights, pattern_key
from forgetaudit.policy import Policy, RuleKind
from forgetaudit.progress import Progress
from forgetaudit.weights.adapters import AdapterChange, as_in_base, find_in_base, is_plain_lora, read_lora
from forgetaudit.weights.changes import Change, TensorChange, WeightChanges, role_of
from forgetaudit.weights.distance import measure_weights, without_partner
from forgetaudit.weights.frozen import check_frozen
from forgetaudit.weights.low_rank import LowRank, LowRankSums
from forgetaudit.weights.reading import read_rows

__all__ = ["AdapterWeighed", "is_lora", "weigh_lora", "weigh_without_base"]


class AdapterWeighed:
    """What was measured of one adapter, and the factors that it was measured from."""

    def __init__(self, weighed: WeightDiff, factors: dict[str, LowRank]) -> None:
        self.weighed = weighed
        self.factors = factors


def is_lora(path: Path) -> bool:
    """Whether the adapter at `path` can be measured from its factors alone."""
    config = adapter_config(path)
    with open_adapter_weights(path) as adapter:
        return is_plain_lora(config, adapter)


def weigh_lora(
    name: str, base: Checkpoint, adapter: Checkpoint, policy: Policy, progress: Progress
) -> AdapterWeighed:
    """Against base, unmerged. Base is read once; MismatchError where the adapter does not fit it."""
    change = read_lora(adapter, adapter_config(adapter.path), pattern_key)
    place = find_in_base(change, base)
    factors = dict(as_in_base(change, base, place))
    rows = _replaced(change, base, adapter, progress)
    touched = factors.keys() | rows.keys()
    with progress.phase("adapter", len(factors), "tensors") as advance:
        for target, low_rank in factors.items():
            rows[target] = _against_base(base, target, low_rank)
            advance(1)
    still = {row.name: row for row in without_partner(base, base.tensors.keys() - touched, progress)}
    changes = WeightChanges(tensors=tuple(rows.get(one) or still[one] for one in base.tensors))
    for rule in policy.rules:
        if rule.kind is RuleKind.FROZEN:
            check_frozen(changes, rule.patterns)
    steps = (
        f"{len(factors)} tensors measured from the factors of LoRA, unmerged",
        base_name_note(adapter.path, base),
    )
    return AdapterWeighed(_weighed(name, changes, steps), factors)


def weigh_without_base(name: str, adapter: Checkpoint) -> AdapterWeighed:
    """The adapter's change by itself. UsageError for adapters whose change depends on base."""
    config = adapter_config(adapter.path)
    if not is_plain_lora(config, adapter):
        raise UsageError(
            f"what {adapter.path.parent} changes depends on its base ({config['peft_type']})",
            hint="pass its base as BASE and the adapter as TUNED",
        )
    change = read_lora(adapter, config, pattern_key)
    rows = [_without_base(own, low_rank) for own, low_rank in change.factors.items()]
    said = f"{len(rows)} tensors measured from the factors of LoRA, without base"
    left = [_not_measured(target, adapter.tensors[own]) for own, target in change.replaced.items()]
    changes = WeightChanges(tensors=(*rows, *left))
    return AdapterWeighed(_weighed(name, changes, (said,)), dict(change.factors))


def _weighed(name: str, changes: WeightChanges, steps: tuple[str, ...]) -> WeightDiff:
    alignment = NameAlignment(pairs=(), reshaped=(), only_left=(), only_right=(), steps=steps)
    return WeightDiff(name=name, alignment=alignment, changes=changes)


def _replaced(
    change: AdapterChange, base: Checkpoint, adapter: Checkpoint, progress: Progress
) -> dict[str, TensorChange]:
    """Biases and modules saved whole take the place of base's."""
    place = find_in_base(change, base)
    pairs = {place(target): own for own, target in change.replaced.items()}
    same = {t: o for t, o in pairs.items() if base.tensors[t].shape == adapter.tensors[o].shape}
    other = {t: o for t, o in pairs.items() if t not in same}
    alignment = NameAlignment(
        pairs=tuple(same.items()), reshaped=tuple(other.items()), only_left=(), only_right=(), steps=()
    )
    measured = measure_weights(base, adapter, alignment, progress)
    return {row.name: row for row in measured.tensors if row.name in pairs}


def _against_base(base: Checkpoint, name: str, low_rank: LowRank) -> TensorChange:
    info = base.tensors[name]
    sums = LowRankSums(low_rank)
    step = sums.rows_at_a_time()
    for start in range(0, low_rank.shape[0], step):
        sums.update(read_rows(base, name, start, min(start + step, low_rank.shape[0])))
    return TensorChange(
        name=name,
        base=info,
        tuned=info,
        role=role_of(name, info.dtype),
        change=Change.CHANGED if low_rank.norm else Change.IDENTICAL,
        sums=sums.sums(),
    )


def _not_measured(name: str, own: TensorInfo) -> TensorChange:
    """What takes the place of base's tensor: how far it is from there, only base tells."""
    return TensorChange(
        name=name,
        base=None,
        tuned=own,
        role=role_of(name, own.dtype, own.shape),
        change=Change.ONLY_TUNED,
        reason="it replaces base's, and no base was passed",
    )


def _without_base(name: str, low_rank: LowRank) -> TensorChange:
    sums = LowRankSums(low_rank)
    for _ in range(0, low_rank.shape[0], sums.rows_at_a_time()):
        sums.update(None)
    n_rows, n_columns = low_rank.shape
    info = TensorInfo(name=name, dtype="float32", shape=low_rank.shape, n_bytes=4 * n_rows * n_columns)
    return TensorChange(
        name=name,
        base=None,
        tuned=info,
        role=role_of(name, info.dtype),
        change=Change.CHANGED,
        sums=sums.sums(),
    )
