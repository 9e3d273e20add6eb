"""Taps: features of layers, read inside the call so that later in-place operations cannot change them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from forgetaudit.data.batch_parts import part_under_way
from forgetaudit.engine.pooling import pool
from forgetaudit.errors import ModelError, listing
from forgetaudit.values import NotMeasured

__all__ = ["Journal", "Piece", "Read", "Tap", "Wrapper", "find_taps", "gather", "runs_hooks", "wrapped"]


class Piece(NamedTuple):
    """The features of some rows of a batch: the model was told that a call is about these."""

    rows: tuple[int, ...]
    features: Tensor | NotMeasured


Journal = list[tuple[str, Tensor | NotMeasured | Piece]]
"""What the taps saw in one pass, in order: a layer called twice stands there twice."""

Read = Callable[[Any], None]
Wrapper = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class Tap:
    """Pools what one module returns and writes it down. `n` and `mask` are those of the batch under way."""

    def __init__(self, layers: Sequence[str], how: str) -> None:
        self.layers = tuple(layers)
        self.how = how

    def read(self, output: Any, journal: Journal, n: int, mask: Tensor | None) -> None:
        """Write the features of `output` down under every name that the module was asked for.

        Where the call is part of a batch, those of its rows; beside the batch there is nothing to read.
        """
        part = part_under_way()
        if part is None:
            features = pool(output, self.how, n, mask)
            journal.extend((layer, features) for layer in self.layers)
        elif part.rows:
            piece = Piece(part.rows, pool(output, self.how, len(part.rows), part.mask))
            journal.extend((layer, piece) for layer in self.layers)


def find_taps(model: nn.Module, layers: Sequence[str], how: str) -> dict[str, Tap]:
    """The taps for `layers` by the first path of their module. Raises ModelError naming layers that are not there."""
    modules = dict(model.named_modules(remove_duplicate=False))
    unknown = [layer for layer in layers if layer not in modules]
    if unknown:
        near = [name for layer in unknown for name in get_close_matches(layer, modules, n=2)]
        raise ModelError(
            listing("the model has no such layers", unknown),
            hint=f"did you mean {', '.join(near)}?" if near else "name modules as `named_modules` does",
        )
    first_path = {id(module): path for path, module in model.named_modules()}
    names: dict[str, list[str]] = {}
    for layer in dict.fromkeys(layers):
        names.setdefault(first_path[id(modules[layer])], []).append(layer)
    return {path: Tap(alike, how) for path, alike in names.items()}


def gather(journal: Journal, layers: Sequence[str], n: int) -> dict[str, Tensor | NotMeasured]:
    """One answer for each layer: its features of `n` examples, or why there are none."""
    seen: dict[str, list[Tensor | NotMeasured | Piece]] = {layer: [] for layer in layers}
    for layer, features in journal:
        seen[layer].append(features)
    return {layer: _only(calls, n) for layer, calls in seen.items()}


def _only(calls: Sequence[Tensor | NotMeasured | Piece], n: int) -> Tensor | NotMeasured:
    pieces = [call for call in calls if isinstance(call, Piece)]
    if calls and len(pieces) == len(calls):
        return _joined(pieces, n)
    match calls:
        case [Tensor() | NotMeasured() as one]:
            return one
        case []:
            return NotMeasured("the model does not call it as a module")
        case _:
            return NotMeasured(f"the model calls it {len(calls)} times in one pass")


def _joined(pieces: Sequence[Piece], n: int) -> Tensor | NotMeasured:
    """The rows of all pieces in the order of the batch; each must be in one piece."""
    rows = [row for piece in pieces for row in piece.rows]
    if sorted(rows) != list(range(n)):
        return NotMeasured("the model does not call it once for each example")
    unread = next((piece.features for piece in pieces if isinstance(piece.features, NotMeasured)), None)
    if unread is not None:
        return unread
    features = torch.cat([piece.features for piece in pieces if isinstance(piece.features, Tensor)])
    together = torch.empty_like(features)
    together[torch.tensor(rows, device=features.device)] = features
    return together


def runs_hooks(module: nn.Module) -> bool:
    """Whether code of somebody else runs around the forward of `module`."""
    hooked = module._forward_hooks or module._forward_pre_hooks
    return bool(hooked or nn_module._global_forward_hooks or nn_module._global_forward_pre_hooks)


@contextmanager
def wrapped(wrappers: Mapping[nn.Module, Wrapper], after_hooks: Mapping[nn.Module, Read]) -> Iterator[None]:
    """Call `wrapper(forward, args, kwargs)` for `forward(*args, **kwargs)` on the modules in `wrappers`.

    Those in `after_hooks` are told what they returned after the hooks of others. A hook for every tap would
    be simpler and would switch off the fast path of transformer layers.
    """
    former = [(vars(module), vars(module).get("forward")) for module in wrappers]
    handles = []
    try:
        for module, wrapper in wrappers.items():
            vars(module)["forward"] = _around(module.forward, wrapper)
        for module, see in after_hooks.items():
            handles.append(module.register_forward_hook(lambda _module, _args, output, see=see: see(output)))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for attributes, forward in former:
            attributes.pop("forward", None)
            if forward is not None:
                attributes["forward"] = forward


def _around(forward: Callable[..., Any], wrapper: Wrapper) -> Callable[..., Any]:
    @wraps(forward)
    def around(*args: Any, **kwargs: Any) -> Any:
        return wrapper(forward, args, kwargs)

    return around
