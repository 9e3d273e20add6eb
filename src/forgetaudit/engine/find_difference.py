"""Which module of a network is the first to answer otherwise when the network is asked the same again."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from forgetaudit.data.batches import Batch
from forgetaudit.engine.alike import equal_answers
from forgetaudit.engine.copies import Copy
from forgetaudit.engine.passes import Call, Result
from forgetaudit.engine.taps import Journal, Read, Wrapper

__all__ = ["KEEPS", "detached", "find_difference"]

KEEPS = "keeps something from call to call"


def find_difference(copy: Copy, batch: Batch, call: Call) -> str:
    """The module, and what it does: with the same random numbers it keeps something, without them it draws some.

    The first difference, in what modules were given and returned, is where it arises. Memory: three times all of
    that for `batch`.
    """
    modules, random = dict(copy.model.named_modules()), copy.random
    seen: list[_Recorder] = []
    for with_same_numbers in (True, True, False):
        if with_same_numbers:
            copy.random = random
        seen.append(_Recorder(modules))
        copy.run(batch, call, seen[-1])
    for first, second, what in (
        (seen[0], seen[1], f"{KEEPS}, or draws from a generator of its own"),
        (seen[1], seen[2], "draws random numbers"),
    ):
        path = _first_difference(first.calls, second.calls)
        if path is not None:
            return (
                f"module {path} ({type(modules[path]).__name__}) {what}"
                if path
                else f"its own forward {what}"
            )
    return "it is not seen where"


def detached(answer: Any) -> Any:
    """The answer in tensors that nothing writes to any more."""
    if isinstance(answer, Result):
        answer = (answer.outputs, answer.journal)
    return pytree.tree_map_only(Tensor, torch.clone, answer)


class _Recorder:
    """A Watch that writes down, in order, what every module was given and what it returned.

    Each stands under the module whose code made it: what a module is given is made by its caller.
    """

    def __init__(self, paths: Mapping[str, nn.Module]) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._paths = tuple(paths)
        self._under_way: list[str] = []

    def begin(self, variant: str, journal: Journal, arguments: Mapping[int, tuple[Tensor, Tensor]]) -> None:
        """A pass begins."""

    def wrappers(self, reads: Mapping[str, Read]) -> Mapping[str, Wrapper]:
        """Every module is watched."""
        return {path: partial(self._visit, path, reads.get(path)) for path in self._paths}

    def _visit(self, path: str, read: Read | None, forward: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        self.calls.append((self._under_way[-1] if self._under_way else "", detached((args, kwargs))))
        self._under_way.append(path)
        output = forward(*args, **kwargs)
        self._under_way.pop()
        if read is not None:
            read(output)
        self.calls.append((path, detached(output)))
        return output


def _first_difference(first: list[tuple[str, Any]], second: list[tuple[str, Any]]) -> str | None:
    for (path, made), (other_path, other) in zip(first, second, strict=False):
        if path != other_path or not equal_answers(made, other):
            return path
    return None if len(first) == len(second) else ""
