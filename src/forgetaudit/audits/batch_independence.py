"""Whether an example that is run alone is answered as it is among others: padding, positions, statistics of a batch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from forgetaudit.audits.evaluate import make_stream
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.network import Network
from forgetaudit.data.batches import Batch
from forgetaudit.engine.stream import Step
from forgetaudit.engine.variants import Variant
from forgetaudit.errors import DataError, ModelError
from forgetaudit.plan import Settings
from forgetaudit.progress import SILENT
from forgetaudit.report.behaviour import Unusable
from forgetaudit.tasks.scoring import tensor_in

__all__ = ["find_dependence", "refuse_dependence"]

MOST_EXAMPLES = 3
"""How many examples of the first batch are run alone."""

# Of the largest score of an example; what kernels of another shape round otherwise is far below.
_TOLERANCES = {torch.float64: 1e-6, torch.float32: 2e-4}
# A GPU may multiply in TF32.
_TOLERANCES_OF_GPU = {torch.float64: 1e-6, torch.float32: 2e-3}
_OF_HALVES = 0.15


def find_dependence(
    step: Step, network: Network, data: OpenedData, settings: Settings, variants: tuple[Variant, ...]
) -> Unusable | None:
    """Why nothing is judged on `data`, where an example of the first step is answered otherwise when it is alone.

    Base and every one of `variants` are asked again for `MOST_EXAMPLES` of them. A batch of one has no others.
    """
    # What answers otherwise when it is asked the same twice does so alone, too; that is said already.
    if len(step.batch) < 2 or any(gap.ident == "not-repeatable" for gap in data.seen):
        return None
    tolerances = _TOLERANCES if network.device.type == "cpu" else _TOLERANCES_OF_GPU
    for row in _chosen(step.batch):
        single = _row_alone(step.batch, row, trim=not hasattr(data.task, "forward"))
        try:
            outputs = _run(single, network, data, settings, variants)
        except ModelError as error:
            return _unusable(data, f"one example alone cannot be run: {error.fact}")
        for name, alone in outputs.items():
            apart = _largest_difference(step.outputs[name], step.batch, row, alone)
            if apart is not None and apart > tolerances.get(network.dtype, _OF_HALVES):
                said = f"{100 * apart:.3g} % of its largest score"
                return _unusable(
                    data, f"{name} scores an example otherwise alone than among others, by {said}"
                )
    return None


def refuse_dependence(
    network: Network, data: OpenedData, settings: Settings, variants: tuple[Variant, ...]
) -> Callable[[Step], None]:
    """A look at the first step that raises DataError where `find_dependence` finds a reason."""

    def look(step: Step) -> None:
        if unusable := find_dependence(step, network, data, settings, variants):
            raise DataError(unusable.reason, hint=HINT)

    return look


HINT = "mend the network (mask the padding, keep layers in eval mode), or pass --batch-size 1"


def _unusable(data: OpenedData, said: str) -> Unusable:
    return Unusable(id="depends-on-batch", reason=f"{data.plan.name} cannot be judged: {said}")


def _chosen(batch: Batch) -> list[int]:
    """The rows with most padding, and the last one; where nothing is padded, the first, a middle and the last."""
    last = len(batch) - 1
    lengths = [] if batch.mask is None else batch.mask.sum(dim=1).tolist()
    if len(set(lengths)) < 2:
        return sorted({0, last // 2, last})
    shortest = sorted(range(last), key=lambda row: lengths[row])
    return [*shortest[: MOST_EXAMPLES - 1], last]


def _row_alone(batch: Batch, row: int, *, trim: bool) -> Batch:
    """One row, without the padding that the others asked for."""
    own = {name: _row_alone(other, row, trim=trim) for name, other in batch.own.items()}
    mask, length, width = batch.mask, 0, 0
    if trim and mask is not None and mask.ndim == 2:
        length, width = int(mask[row].sum()), mask.shape[1]
        trim = 0 < length < width and bool(mask[row, :length].all())
    else:
        trim = False

    def cut(tensor: Tensor) -> Tensor:
        one = tensor[row : row + 1]
        return (one[:, :length] if trim and one.ndim >= 2 and one.shape[1] == width else one).clone()

    return replace(replace(batch, own={}).cut(slice(row, row + 1), cut), own=own)


def _run(
    batch: Batch, network: Network, data: OpenedData, settings: Settings, variants: tuple[Variant, ...]
) -> dict[str, Any]:
    plain = replace(settings, reuse=False)
    # The stream that made the step has asked whether the network answers alike.
    stream = make_stream(network, data, plain, SILENT, variants=variants, asks=False)
    (step,) = stream.run([batch])
    return dict(step.outputs)


def _largest_difference(among: Any, batch: Batch, row: int, alone: Any) -> float | None:
    """The largest difference of the scores of one row, as a share of the largest score; None without scores."""
    one, two = _scores(among, len(batch)), _scores(alone, 1)
    if one is None or two is None or one.ndim != two.ndim:
        return None
    left, right = one[row], two[0]
    if left.ndim > 1 and left.shape[0] > right.shape[0]:
        left = left[: right.shape[0]]
    if left.shape != right.shape or not left.numel():
        return None
    left, right = left.detach().cpu(), right.detach().cpu()
    finest = torch.complex128 if left.is_complex() else torch.float64
    left, right = left.to(finest), right.to(finest)
    both = torch.isfinite(left) & torch.isfinite(right)
    if not torch.equal(torch.isfinite(left), torch.isfinite(right)):
        return float("inf")
    difference = torch.where(both, left - right, 0).abs().max().item()
    scale = torch.where(both, right, 0).abs().max().item()
    return difference / (scale + 1e-6)


def _scores(outputs: Any, n: int) -> Tensor | None:
    found = tensor_in(outputs)
    if found is None:
        found = next((leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)), None)
    if found is None or not found.ndim or found.shape[0] != n:
        return None
    return found if found.is_floating_point() or found.is_complex() else None
