"""How much memory the activations of a network take, seen on one batch; nothing is left on the network."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from forgetaudit.data.batches import Batch
from forgetaudit.engine.copies import Copy
from forgetaudit.engine.passes import Call, Passes
from forgetaudit.engine.taps import Journal, Read, Wrapper
from forgetaudit.engine.variants import Variant
from forgetaudit.errors import AuditError

__all__ = ["returned_bytes"]


def returned_bytes(skeleton: nn.Module, variant: Variant, batch: Batch, call: Call) -> int:
    """What all modules return in one pass of `batch`, in bytes. ModelError."""
    passes = Passes(skeleton, [variant], {}, call)
    start, count = passes.start(), _Count(passes.modules)
    try:
        copy = Copy(passes, variant, start[variant.name])
    except AuditError:
        raise
    except Exception:  # copying runs code of the network
        passes.run(batch, start, count)
    else:
        copy.run(batch, call, count)
    return count.n_bytes


class _Count:
    """A Watch that adds up what every module returns."""

    def __init__(self, paths: Mapping[str, nn.Module]) -> None:
        self.n_bytes = 0
        self._paths = tuple(paths)

    def begin(self, variant: str, journal: Journal, arguments: Mapping[int, tuple[Tensor, Tensor]]) -> None:
        """A pass begins."""

    def wrappers(self, reads: Mapping[str, Read]) -> Mapping[str, Wrapper]:
        """Every module is watched."""
        return {path: partial(self._visit, reads.get(path)) for path in self._paths}

    def _visit(self, read: Read | None, forward: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        if read is not None:
            read(output)
        leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
        self.n_bytes += sum(leaf.numel() * leaf.element_size() for leaf in leaves)
        return output
