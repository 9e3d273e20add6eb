"""Mixtures of base's and tuned's tensors through one stream, as many at a time as fit: who is right on what."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from forgetaudit.audits.evaluating import make_stream, steps
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.ledger import Ledger
from forgetaudit.audits.network import Network
from forgetaudit.audits.scoreboard import Answered, Scoreboard
from forgetaudit.data.batches import Batch
from forgetaudit.engine.passes import plainly
from forgetaudit.engine.variants import Variant
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.remedies.rollback import combined

__all__ = ["Mixture", "Mixtures", "evaluate"]

Mixture = frozenset[str]
"""The moved slots that are tuned's; the others are base's."""

MOST_AT_ONCE = 80
FEWEST_AT_ONCE = 4
# Of the memory that is free, for activations that are kept for reuse.
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    """What every mixture answered. `ledger` has base against tuned as an audit keeps it."""

    answered: Answered
    ledger: Ledger
    names: dict[Mixture, str]

    def name(self, mixture: Collection[str]) -> str:
        """The variant of a mixture."""
        return self.names[frozenset(mixture)]


def evaluate(
    wanted: Collection[Mixture],
    moved: Mixture,
    network: Network,
    data: OpenedData,
    settings: Settings,
    progress: Progress,
) -> Iterator[Mixtures]:
    """Base and tuned, and then every mixture once, as many beside each other as fit.

    What base and tuned answered tells whether the rest makes sense. Mixtures alike in the first layers run beside
    each other, so that what they share is run once. ModelError, DataError.
    """
    base, tuned = network.variants[0], network.variants[1]
    names: dict[Mixture, str] = {frozenset(): base.name, moved: tuned.name}
    board = Scoreboard()
    ledger = Ledger([tuned.name], data.task, settings.seed, [board.take_in])
    batch = _run(network, data, settings, progress, [base, tuned], ledger, title="base and tuned")
    parts = [board.read()]
    yield Mixtures(answered=parts[0], ledger=ledger, names=names)
    rest = _ordered(set(wanted) - names.keys(), list(base.tensors))
    size = fitting(network, data, settings, batch)
    for start in range(0, len(rest), size):
        chunk = list(_named(rest[start : start + size], names, base, tuned))
        title = f"mixtures {start + 1} to {start + len(chunk)} of {len(rest)}"
        parts.append(_answers(network, data, settings, progress, chunk, title=title))
    yield Mixtures(answered=_together(parts), ledger=ledger, names=names)


def _answers(
    network: Network,
    data: OpenedData,
    settings: Settings,
    progress: Progress,
    chunk: Sequence[Variant],
    *,
    title: str,
) -> Answered:
    """What the variants of one part answered. A task that sees all examples first is given base's beside them."""
    board = Scoreboard()
    if hasattr(data.task, "keep"):
        ledger = Ledger([], data.task, settings.seed, [board.take_in])
        _run(network, data, settings, progress, [network.variants[0], *chunk], ledger, title=title)
        return board.read()
    stream = make_stream(network, data, settings, progress, variants=chunk)
    for step in steps(stream, network, data, progress, batch_size=settings.batch_size, title=title):
        scored = {name: data.task.score(outputs, step.batch) for name, outputs in step.outputs.items()}
        board.take_in(scored, step.batch, {})
    return board.read()


def _run(
    network: Network,
    data: OpenedData,
    settings: Settings,
    progress: Progress,
    variants: Sequence[Variant],
    ledger: Ledger,
    *,
    title: str,
) -> Batch:
    """All examples into the ledger; the first batch."""
    stream, first = make_stream(network, data, settings, progress, variants=variants), Batch(ids=())
    for step in steps(stream, network, data, progress, batch_size=settings.batch_size, title=title):
        ledger.take_in(step)
        first = first if len(first) else step.batch
    ledger.settle()
    return first


def fitting(network: Network, data: OpenedData, settings: Settings, batch: Batch) -> int:
    """How many variants can run beside each other: so many that what all modules return is half of free memory.

    Seen on the first examples of `batch`. Collating some would change the count of what a task has seen.
    """
    free = _free_bytes(network.device)
    if free is None:
        return 2 * FEWEST_AT_ONCE
    while len(batch) > 1:
        batch = batch.halves()[0]
    seen: list[int] = []

    def count(_: nn.Module, __: object, output: object) -> None:
        leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
        seen.append(sum(leaf.numel() * leaf.element_size() for leaf in leaves))

    hooks = [module.register_forward_hook(count) for module in network.skeleton.modules()]
    args, kwargs = pytree.tree_map_only(Tensor, torch.clone, (batch.args, dict(batch.kwargs)))
    try:
        with network.limited_threads(), torch.random.fork_rng(), torch.no_grad():
            getattr(data.task, "forward", plainly)(network.skeleton, *args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    n_bytes = max(sum(seen), 1) * settings.batch_size
    return max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, int(_SHARE_OF_MEMORY * free / n_bytes)))


def _free_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _ordered(wanted: Collection[Mixture], order: Sequence[str]) -> list[Mixture]:
    """Those that agree in the first slots beside each other."""
    places = {slot: place for place, slot in enumerate(order)}
    return sorted(wanted, key=lambda mixture: sorted(places[slot] for slot in mixture))


def _named(
    wanted: Sequence[Mixture], names: dict[Mixture, str], base: Variant, tuned: Variant
) -> Iterator[Variant]:
    """The variants of mixtures; `names` takes in what each is called."""
    for mixture in wanted:
        names[mixture] = f"mixture {len(names) - 1}"
        yield combined(names[mixture], base, tuned, mixture)


def _together(parts: Sequence[Answered]) -> Answered:
    first = parts[0]
    return Answered(
        grouped=first.grouped,
        sizes=first.sizes,
        right={name: values for part in parts for name, values in part.right.items()},
        nll={name: values for part in parts for name, values in part.nll.items()},
    )
