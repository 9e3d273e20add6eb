"""Learning, from a few examples of the first batch, which modules may be answered from the book."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from forgetaudit.data.batches import Batch
from forgetaudit.engine.bit_equality import same_bits
from forgetaudit.engine.fingerprints import same_plain
from forgetaudit.engine.observe import Observer, has_guests
from forgetaudit.engine.passes import CarriedState, Moment, Passes, Result
from forgetaudit.engine.reuse import Call, CallBook
from forgetaudit.engine.sharing import Plan, Sharing
from forgetaudit.engine.taps import Journal, Read, Wrapper

__all__ = ["Reusing", "drew_random_numbers", "make_reuse_plan"]

_N_EXAMPLES = 2
_MOST_TRIALS = 6


class Reusing:
    """A Watch that answers calls from a book."""

    def __init__(self, plan: Plan, sharing: Sharing) -> None:
        self.book = CallBook(plan, sharing)
        self._paths = plan.paths

    def begin(self, variant: str, journal: Journal, arguments: Mapping[int, tuple[Tensor, Tensor]]) -> None:
        """Turn to `variant`, whose arguments hold what the batch's tensors hold."""
        self.book.turn(variant, journal)
        for original, copy in arguments.values():
            self.book.contents.give(copy, self.book.contents.keep(original))

    def wrappers(self, reads: Mapping[str, Read]) -> Mapping[str, Wrapper]:
        """The modules of the plan, and those with taps."""
        wrappers = {path: partial(_run, read) for path, read in reads.items()}
        return wrappers | {path: partial(_answer, self.book, path, reads.get(path)) for path in self._paths}


def make_reuse_plan(passes: Passes, sharing: Sharing, batch: Batch, moment: Moment) -> Plan | None:
    """The plan for reuse, found on at most two examples of `batch`; None where reuse came out different.

    All variants run under observation, then with every candidate wrapped until nothing new is learned. What comes
    out then must equal a run of all variants in full, bit for bit. Only what was reused is kept wrapped.
    """
    while len(batch) > _N_EXAMPLES:
        batch = batch.halves()[0]
    observer = Observer(passes.modules, passes.hung())
    with observer:
        observed, after = passes.run(batch, moment, observer)
    plan = Plan(
        _candidates(passes, sharing, observer, batch, moment, after), draws=drew_random_numbers(moment, after)
    )
    for _ in range(_MOST_TRIALS):
        before, watch = plan.copy(), Reusing(plan, sharing)
        results, _ = passes.run(batch, moment, watch)
        if not watch.book.disturbed() and plan == before:
            break
    else:
        return None
    # Observation may turn off fused kernels, and their bits; then only a run without it can tell.
    if not _equal(observed, results) and not _equal(passes.run(batch, moment)[0], results):
        return None
    plan.paths &= watch.book.useful()
    return plan


def drew_random_numbers(before: Moment, after: Moment) -> bool:
    """Whether any variant drew random numbers between two moments."""
    return any(not before[name].random.same_as(after[name].random) for name in before)


def _candidates(
    passes: Passes, sharing: Sharing, observer: Observer, batch: Batch, moment: Moment, after: Moment
) -> set[str]:
    """The paths that were called and whose calls depend on nothing but their tensors and arguments."""
    banned = set(observer.impure)
    guests = {path for path, module in passes.modules.items() if has_guests(module)}
    for path in guests | _always_changing(passes, batch, moment, after):
        banned |= {path, *_ancestors(path)}
    return {path for path in observer.called - banned if sharing.shares(path)}


def _always_changing(passes: Passes, batch: Batch, moment: Moment, after: Moment) -> set[str]:
    """The modules on which something changes at every call; what is only kept from a first call does not count."""
    if any(_moved(passes, moment[variant], after[variant]) for variant in moment):
        _, later = passes.run(batch, after)
        moment, after = after, later
    moved = {path for variant in moment for path in _moved(passes, moment[variant], after[variant])}
    return moved | passes.writing_paths()


def _moved(passes: Passes, before: CarriedState, after: CarriedState) -> list[str]:
    return passes.belongings.moved(before.held, after.held)


def _ancestors(path: str) -> Iterable[str]:
    parts = path.split(".") if path else []
    return (".".join(parts[:n]) for n in range(len(parts)))


def _equal(plain: Mapping[str, Result], reused: Mapping[str, Result]) -> bool:
    return all(
        _same_leaves((plain[name].outputs, plain[name].journal), (reused[name].outputs, reused[name].journal))
        for name in plain
    )


def _same_leaves(left: Any, right: Any) -> bool:
    leaves, spec = pytree.tree_flatten(left)
    others, other_spec = pytree.tree_flatten(right)
    return spec == other_spec and all(map(_same_leaf, leaves, others))


def _same_leaf(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return same_bits(left, right)
    return type(left) is type(right) and (not isinstance(left, (int, float, str)) or same_plain(left, right))


def _answer(
    book: CallBook, path: str, read: Read | None, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return book.answer(Call(path, read, forward, args, kwargs))


def _run(read: Read, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    output = forward(*args, **kwargs)
    read(output)
    return output
