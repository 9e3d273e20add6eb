"""Mixtures of base's and tuned's tensors through one stream, as many at a time as fit: who is right on what."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from forgetaudit.audits.batch_independence import refuse_dependence
from forgetaudit.audits.evaluate import make_stream, steps
from forgetaudit.audits.inputs import OpenedData
from forgetaudit.audits.locate.example_scores import ExampleAnswers, ExampleScores
from forgetaudit.audits.network import Network
from forgetaudit.audits.paired_sums import EvaluationSums, Watcher
from forgetaudit.engine.footprint import returned_bytes
from forgetaudit.engine.passes import run_plainly
from forgetaudit.engine.stream import Step
from forgetaudit.engine.variants import Variant
from forgetaudit.errors import DataError
from forgetaudit.plan import Settings
from forgetaudit.progress import Progress
from forgetaudit.remedies.rollback import combined

__all__ = ["Mixture", "Mixtures", "evaluate", "fitting"]

Mixture = frozenset[str]
"""The moved slots that are tuned's; the others are base's."""

MOST_AT_ONCE = 80
EXAMPLES_BEFORE_A_LOOK = 300
FEWEST_AT_ONCE = 4
# Of the memory that is free, for activations that are kept for reuse.
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    """What every mixture answered. `ledger` has base against tuned as an audit keeps it."""

    answered: ExampleAnswers
    ledger: EvaluationSums
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
    refuse: Callable[[EvaluationSums], None],
    watchers: Sequence[Watcher] = (),
) -> Mixtures:
    """Base, tuned and every mixture once, as many beside each other as fit, those alike in the first layers together.

    `refuse` raises where what base and tuned answered makes no sense of the rest. It is asked after some hundred
    examples, and again on all of them, with base and tuned alone, before it is believed. `watchers` are told of every
    batch that base and tuned answered. ModelError, DataError.
    """
    base, tuned = network.variants[0], network.variants[1]
    names: dict[Mixture, str] = {frozenset(): base.name, moved: tuned.name}
    run = _Run(network=network, data=data, settings=settings, progress=progress)
    rest = _ordered(set(wanted) - names.keys(), list(base.tensors))
    size = fitting(network, data, settings)
    first = [base, tuned, *_named(rest[: size - 2], names, base, tuned)]
    parts, ledger = run.with_base(first, (tuned.name,), refuse, watchers)
    answered = [parts]
    for start in range(size - 2, len(rest), size):
        chunk = list(_named(rest[start : start + size], names, base, tuned))
        answered.append(run.alone(chunk, base))
    return Mixtures(answered=_joined(answered), ledger=ledger, names=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Variants over one data set."""

    network: Network
    data: OpenedData
    settings: Settings
    progress: Progress

    def with_base(
        self,
        variants: Sequence[Variant],
        tuned: Sequence[str],
        refuse: Callable[[EvaluationSums], None],
        watchers: Sequence[Watcher] = (),
    ) -> tuple[ExampleAnswers, EvaluationSums]:
        """Into a ledger of base and `tuned`, and what all answered."""
        board, looked = ExampleScores(), len(variants) == 2 and not watchers
        ledger = EvaluationSums(tuned, self.data.task, self.settings.seed, [board.take_in, *watchers])
        look_alone = refuse_dependence(self.network, self.data, self.settings, tuple(variants[:2]))
        for number, step in enumerate(self._steps(variants)):
            if number == 0:
                look_alone(step)
            ledger.take_in(step)
            if not looked and ledger.answers.n >= EXAMPLES_BEFORE_A_LOOK:
                looked = True
                self._look(ledger, variants[:2], tuned, refuse)
        ledger.settle()
        refuse(ledger)
        return board.read(), ledger

    def _look(
        self,
        ledger: EvaluationSums,
        pair: Sequence[Variant],
        tuned: Sequence[str],
        refuse: Callable[[EvaluationSums], None],
    ) -> None:
        """What looks hopeless early is asked of all examples by base and tuned alone, and only then refused."""
        try:
            refuse(ledger)
        except DataError:
            self.with_base(pair, tuned, refuse)

    def alone(self, variants: Sequence[Variant], base: Variant) -> ExampleAnswers:
        """What the variants answered. A task that judges at the end is given base's answers beside theirs."""
        board = ExampleScores()
        if hasattr(self.data.task, "keep"):
            ledger = EvaluationSums([], self.data.task, self.settings.seed, [board.take_in])
            for step in self._steps([base, *variants]):
                ledger.take_in(step)
            ledger.settle()
            return board.read()
        for step in self._steps(variants):
            scored = {name: self.data.task.score(found, step.batch) for name, found in step.outputs.items()}
            board.take_in(scored, step.batch, {})
        return board.read()

    def _steps(self, variants: Sequence[Variant]) -> Iterator[Step]:
        stream = make_stream(self.network, self.data, self.settings, self.progress, variants=variants)
        return steps(
            stream,
            self.network,
            self.data,
            self.progress,
            batch_size=self.settings.batch_size,
            title=f"{len(variants)} variants",
        )


def fitting(network: Network, data: OpenedData, settings: Settings) -> int:
    """How many variants can run beside each other: so many that what all modules return is half of free memory.

    Seen on the first example, by a task of its own: tasks count what they have seen.
    """
    free = _free_bytes(network.device)
    if free is None:
        return 2 * FEWEST_AT_ONCE
    own = data.for_network(network, settings.task)
    batch = own.collate([own.examples.at(0)]).with_floats(network.dtype).to(network.device)
    call = getattr(own.task, "forward", run_plainly)
    try:
        with network.limited_threads():
            returned = returned_bytes(network.skeleton, network.variants[0], batch, call)
    except Exception:  # what a network raises on one example, the run itself says in words
        return FEWEST_AT_ONCE
    n_bytes = max(returned, 1) * settings.batch_size
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


def _joined(parts: Sequence[ExampleAnswers]) -> ExampleAnswers:
    first = parts[0]
    return ExampleAnswers(
        grouped=first.grouped,
        sizes=first.sizes,
        right={name: values for part in parts for name, values in part.right.items()},
        nll={name: values for part in parts for name, values in part.nll.items()},
    )
