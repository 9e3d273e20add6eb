"""What a model does while it runs, seen operation by operation on a few examples."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from forgetaudit.engine.module_state import RandomState
from forgetaudit.engine.taps import Journal, Read, Wrapper, runs_hooks

__all__ = ["Observer", "has_guests"]


class _Frame:
    """One call under way: the tensors it was given, and the time at which it began."""

    __slots__ = ("began", "given", "path", "prefix")

    def __init__(self, path: str, given: set[int], began: int) -> None:
        self.path, self.given, self.began = path, given, began
        self.prefix = f"{path}." if path else ""


class Observer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Finds, as a Watch and as a dispatch mode at once, the modules that are `called`, and the `impure` ones.

    Impure is a module whose call draws random numbers, or reads a tensor that it neither owns nor was given nor
    made: another module's weight, or what somebody else left for it in this pass.
    """

    def __init__(self, modules: Mapping[str, nn.Module], names: Mapping[int, set[str]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.called: set[str] = set()
        self.impure: dict[str, str] = {}
        self._paths = tuple(modules)
        self._names = names
        self._frames: list[_Frame] = []
        self._born: dict[int, tuple[Tensor, int]] = {}
        self._time = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Guarding the method from torch.compile would import all of torch._dynamo: seconds, for nothing.
        return False

    def begin(self, variant: str, journal: Journal, arguments: Mapping[int, tuple[Tensor, Tensor]]) -> None:  # noqa: ARG002
        """A pass begins, in which no tensor has been made yet."""
        self._frames.clear()
        self._born.clear()

    def wrappers(self, reads: Mapping[str, Read]) -> Mapping[str, Wrapper]:
        """Every module is watched."""
        return {path: self._visitor(path, reads.get(path)) for path in self._paths}

    def _visitor(self, path: str, read: Read | None) -> Wrapper:
        def visit(forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            self.called.add(path)
            given = {id(leaf) for leaf in pytree.tree_leaves((args, kwargs))}
            self._frames.append(_Frame(path, given, self._time))
            random = RandomState.take()
            output = forward(*args, **kwargs)
            self._frames.pop()
            if RandomState.take(random) is not random:
                self.impure[path] = "draws random numbers"
            if read is not None:
                read(output)
            return output

        return visit

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Look at one operation before and after it runs."""
        kwargs = kwargs or {}
        for leaf in pytree.tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor):
                self._note_read(leaf)
            elif isinstance(leaf, torch.Generator):
                self.impure.update((frame.path, "draws random numbers") for frame in self._frames)
        output = func(*args, **kwargs)
        self._time += 1
        for leaf in pytree.tree_leaves(output):
            if isinstance(leaf, Tensor):
                self._born.setdefault(id(leaf), (leaf, self._time))
        return output

    def _note_read(self, tensor: Tensor) -> None:
        names = self._names.get(id(tensor), ())
        _, born = self._born.get(id(tensor), (None, 0))
        for frame in self._frames:
            if id(tensor) in frame.given:
                continue
            if names and not any(name.startswith(frame.prefix) for name in names):
                self.impure[frame.path] = f"reads {min(names)}, which it does not own"
            elif not names and 0 < born <= frame.began:
                self.impure[frame.path] = "reads a tensor that it was not given"


def has_guests(module: nn.Module) -> bool:
    """Whether others hung code on `module`: hooks, parametrizations, a forward of the instance's own."""
    return runs_hooks(module) or "parametrizations" in module._modules or "forward" in vars(module)
