"""Reuse: a module runs once per distinct weights and inputs, exactly.

A call is answered from the book when the module has the same tensors as in an earlier call on this batch and the
same arguments, bit for bit. Every condition is checked anew at each call; where one fails, the module runs.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from forgetaudit.data.batch_parts import part_under_way
from forgetaudit.engine.bit_equality import same_layout
from forgetaudit.engine.fingerprints import Fingerprint, Fingerprints, is_plain, manner, same_plain
from forgetaudit.engine.sharing import Plan, Sharing
from forgetaudit.engine.taps import Journal

__all__ = ["Call", "CallBook"]


class Call:
    """One call of a module: `forward(*args, **kwargs)`, and the tap to read what it returns, if there is one."""

    __slots__ = ("args", "forward", "kwargs", "leaves", "path", "read", "spec")

    def __init__(
        self,
        path: str,
        read: Callable[[Any], None] | None,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.path, self.read, self.forward, self.args, self.kwargs = path, read, forward, args, kwargs
        self.leaves, self.spec = pytree.tree_flatten((args, kwargs))

    def run(self) -> Any:
        """What the module returns, and what its tap makes of it at once."""
        output = self.forward(*self.args, **self.kwargs)
        if self.read is not None:
            self.read(output)
        return output

    @property
    def comparable(self) -> bool:
        """Whether every argument is a tensor or an immutable value; anything else may hide a state."""
        return _all_comparable(self.leaves)

    @property
    def as_given(self) -> bool:
        """Whether the containers among the arguments still hold what they held."""
        leaves, spec = pytree.tree_flatten((self.args, self.kwargs))
        return spec == self.spec and all(now is was for now, was in zip(leaves, self.leaves, strict=True))


@dataclass(slots=True)
class Entry:
    """A call that was run: its arguments, what came out, what taps saw inside, and how many passes hold the latter.

    Leaves are a Kept for each tensor, else the value itself.
    """

    spec: Any
    inputs: Sequence[Any]
    output_spec: Any
    outputs: Sequence[Any]
    features: Journal
    is_copy: bool
    n_holders: int


class CallBook:
    """The calls of one batch. `turn` says whose pass is under way; `reused` and `run` count calls by path."""

    def __init__(self, plan: Plan, sharing: Sharing) -> None:
        self.contents = Fingerprints()
        self.reused: Counter[str] = Counter()
        self.run: Counter[str] = Counter()
        self.foreseen: Counter[str] = Counter()
        self._plan, self._sharing = plan, sharing
        self._entries: defaultdict[tuple[Any, ...], list[Entry]] = defaultdict(list)
        self._outcomes: dict[tuple[Any, ...], int] = {}
        self._variant, self._journal = "", Journal()

    def turn(self, variant: str, journal: Journal) -> None:
        """From here on, calls are those of `variant`, and its taps write to `journal`."""
        self._variant, self._journal = variant, journal

    def answer(self, call: Call) -> Any:
        """What the module returns; taps at it and inside it see the same as if it had run."""
        path = call.path
        if path in self._plan.never or not call.comparable:
            return self._run(call)
        if path in self._plan.written or (path in self._plan.copied and self._sharing.is_light(path)):
            return self._run_and_label(call)
        n_later = self._sharing.n_later(path, self._variant)
        entry = self._find(call)
        if entry is not None:
            self.reused[path] += 1
            self._journal.extend(entry.features)
            return self._hand_out(entry, fresh=entry.is_copy and n_later > 0)
        return self._run(call) if n_later == 0 else self._run_and_keep(call)

    def useful(self) -> set[str]:
        """The paths that were answered from the book, or whose outcome was known beforehand."""
        return {*self.reused, *self.foreseen}

    def disturbed(self) -> bool:
        """Whether something wrote to a tensor that two passes hold: then the batch must be run again."""
        found = False
        for (path, *_), entries in self._entries.items():
            if any(entry.n_holders > 1 and not untouched(entry.outputs) for entry in entries):
                (self._plan.never if path in self._plan.copied else self._plan.copied).add(path)
                found = True
        return found

    def _find(self, call: Call) -> Entry | None:
        look = self._sharing.has_tensors(call.path)
        for entry in self._entries[self._key(call)]:
            if entry.spec == call.spec and self._same_inputs(call, entry, look):
                if untouched(entry.outputs):
                    return entry
                self._plan.copied.add(call.path)
        return None

    def _key(self, call: Call) -> tuple[Any, ...]:
        """Calls about different rows never answer each other: what taps saw in one says nothing of the other."""
        part = part_under_way()
        weights = self._sharing.weights(call.path, self._variant)
        return call.path, weights, None if part is None else part.rows

    def _same_inputs(self, call: Call, entry: Entry, look: bool) -> bool:
        """Without `look`, for modules that are cheaper than a comparison, only what is known to be equal is."""
        return all(
            isinstance(leaf, Tensor) and self.contents.holds(leaf, kept, look=look)
            if isinstance(kept, Fingerprint)
            else same_plain(leaf, kept)
            for leaf, kept in zip(call.leaves, entry.inputs, strict=True)
        )

    def _run(self, call: Call) -> Any:
        self.run[call.path] += 1
        return call.run()

    def _run_and_keep(self, call: Call) -> Any:
        inputs = [self.contents.keep(leaf) if isinstance(leaf, Tensor) else leaf for leaf in call.leaves]
        n_seen = len(self._journal)
        output = self._run(call)
        outputs, output_spec = pytree.tree_flatten(output)
        kept, is_copy = self._kept(outputs, call.path), call.path in self._plan.copied
        if wrote_to(inputs) or aliases(inputs, outputs):
            self._plan.written.add(call.path)
        elif kept is None or not call.as_given:
            self._plan.never.add(call.path)
        else:
            features, n_holders = self._journal[n_seen:], 0 if is_copy else 1
            if not self._sharing.has_tensors(call.path):
                inputs = [leaf.bare if isinstance(leaf, Fingerprint) else leaf for leaf in inputs]
            entry = Entry(call.spec, inputs, output_spec, kept, features, is_copy, n_holders)
            self._entries[self._key(call)].append(entry)
        return output

    def _kept(self, outputs: Sequence[Any], path: str) -> list[Any] | None:
        """The outputs, or copies of them, to be handed out later; None where that cannot be done faithfully."""
        if not _all_comparable(outputs):
            return None
        kept = [self.contents.keep(leaf) if isinstance(leaf, Tensor) else leaf for leaf in outputs]
        return self._copies(kept) if path in self._plan.copied else kept

    def _copies(self, kept: Sequence[Any]) -> list[Any] | None:
        tensors = [leaf.tensor for leaf in kept if isinstance(leaf, Fingerprint) and leaf.tensor is not None]
        copies = [tensor.clone() for tensor in tensors]
        if len({_memory(tensor) for tensor in tensors}) < len(tensors):
            return None  # what is written to one of them would show in another
        if not all(map(same_layout, tensors, copies)):
            return None
        rest = iter(copies)
        return [
            self.contents.give(next(rest), leaf) if isinstance(leaf, Fingerprint) else leaf for leaf in kept
        ]

    def _hand_out(self, entry: Entry, *, fresh: bool) -> Any:
        leaves = self._copies(entry.outputs) if fresh else None
        if leaves is None:
            leaves, entry.n_holders = list(entry.outputs), entry.n_holders + 1
        tensors = [leaf.tensor if isinstance(leaf, Fingerprint) else leaf for leaf in leaves]
        return pytree.tree_unflatten(tensors, entry.output_spec)

    def _run_and_label(self, call: Call) -> Any:
        """Run a module that writes to its only tensor or returns it: it turns equals into equals, as it did before."""
        given = [self.contents.keep(leaf).label for leaf in call.leaves if isinstance(leaf, Tensor)]
        plain = tuple(repr(leaf) for leaf in call.leaves if not isinstance(leaf, Tensor))
        output = self._run(call)
        if len(given) == 1 and isinstance(output, Tensor) and output.layout == torch.strided:
            weights = self._sharing.weights(call.path, self._variant)
            key = (call.path, weights, repr(call.spec), plain, given[0], manner(output))
            if key in self._outcomes:
                self.foreseen[call.path] += 1
                self.contents.call_it(output, self._outcomes[key])
            else:
                self._outcomes[key] = self.contents.keep(output).label
        return output


def untouched(kept: Sequence[Any]) -> bool:
    """Whether nothing wrote to kept tensors since."""
    return all(leaf.untouched for leaf in kept if isinstance(leaf, Fingerprint))


def wrote_to(inputs: Sequence[Any]) -> bool:
    """Whether a call wrote to its arguments."""
    return not all(leaf.untouched for leaf in inputs if isinstance(leaf, Fingerprint))


def aliases(inputs: Sequence[Any], outputs: Sequence[Any]) -> bool:
    """Whether an output lies in the memory of an argument: what the caller does to one shows in the other."""
    given = {
        _memory(leaf.tensor) for leaf in inputs if isinstance(leaf, Fingerprint) and leaf.tensor is not None
    }
    return any(_memory(leaf) in given for leaf in outputs if isinstance(leaf, Tensor))


def _memory(tensor: Tensor) -> int:
    """Where its memory begins; tensors without memory of their own share with none."""
    try:
        return tensor.untyped_storage().data_ptr() or -id(tensor)
    except (NotImplementedError, RuntimeError):
        return -id(tensor)


def _all_comparable(leaves: Sequence[Any]) -> bool:
    return all(isinstance(leaf, Tensor) or is_plain(leaf) for leaf in leaves)
