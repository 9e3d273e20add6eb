"""Passes: one variant at a time installed on the skeleton, run on its copy of a batch, and taken off again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from forgetaudit.data.batches import Batch
from forgetaudit.engine.belongings import Belongings, Held, RandomState
from forgetaudit.engine.bits import version
from forgetaudit.engine.taps import Journal, Tap, runs_hooks, wrapped
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.errors import AuditError, ModelError

__all__ = ["Moment", "Passes", "Result", "is_out_of_memory"]

# Buffers up to this size are copied for each variant, because some modules write to theirs while they run.
_MOST_COPIED_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Carried:
    """What one variant takes from batch to batch: what hangs on its modules, and its random numbers."""

    held: Held
    random: RandomState


Moment = Mapping[str, Carried]


@dataclass(frozen=True, slots=True)
class Result:
    """What one variant made of one batch, and what its taps saw."""

    outputs: Any
    journal: Journal


class Passes:
    """Runs all variants on a batch. The skeleton and the random state are left as they were found."""

    def __init__(self, skeleton: nn.Module, variants: Sequence[Variant], taps: Mapping[str, Tap]) -> None:
        self._skeleton = skeleton
        self._variants = tuple(variants)
        self._slots = slots(skeleton)
        self._belongings = Belongings(skeleton)
        self._taps = {skeleton.get_submodule(path): tap for path, tap in taps.items()}
        self._versions: dict[str, dict[str, tuple[Tensor, int]]] = {}
        self.device = _device(self._variants)

    def start(self) -> Moment:
        """The moment before the first batch."""
        with self._on_skeleton() as random:
            self._skeleton.eval()
            bare = self._belongings.take()
            moment = {}
            for variant in self._variants:
                self._belongings.put(bare)
                self._versions[variant.name] = self._hang(variant)
                moment[variant.name] = Carried(self._belongings.take(), random)
            return moment

    def run(self, batch: Batch, moment: Moment) -> tuple[dict[str, Result], Moment]:
        """All variants on `batch`, from `moment` to the next. Raises ModelError where the model does."""
        results, after = {}, {}
        with self._on_skeleton():
            for variant in self._variants:
                results[variant.name], after[variant.name] = self._pass(variant, batch, moment[variant.name])
        return results, after

    def _pass(self, variant: Variant, batch: Batch, before: Carried) -> tuple[Result, Carried]:
        journal: Journal = []
        args, kwargs = _own_copy((batch.args, dict(batch.kwargs)))
        self._belongings.put(before.held)
        before.random.put()
        with self._tapped(journal, batch), _named(variant, batch):
            outputs = self._skeleton(*args, **kwargs)
        self._refuse_written_weights(variant)
        held, random = self._belongings.take(), RandomState.take()
        return Result(outputs, journal), Carried(held, random)

    @contextmanager
    def _tapped(self, journal: Journal, batch: Batch) -> Iterator[None]:
        reads = {
            module: partial(tap.read, journal=journal, n=len(batch), mask=batch.mask)
            for module, tap in self._taps.items()
        }
        hooked = {module: read for module, read in reads.items() if runs_hooks(module)}
        plain = {module: partial(_run_and, read) for module, read in reads.items() if module not in hooked}
        with wrapped(plain, hooked):
            yield

    @contextmanager
    def _on_skeleton(self) -> Iterator[RandomState]:
        original, random = self._belongings.take(hooks=True), RandomState.take()
        try:
            # Not inference_mode: its tensors have no version counters.
            with torch.inference_mode(False), torch.no_grad():
                yield random
        finally:
            self._belongings.put(original)
            random.put()

    def _hang(self, variant: Variant) -> dict[str, tuple[Tensor, int]]:
        """Install `variant`, with buffers and plain tensors of its own; what hangs now, and its versions."""
        weights = {id(variant.tensors[slot.name]) for slot in self._slots.values() if slot.is_parameter}
        own: dict[int, Tensor] = {}
        taken = {(id(place[0]), place[1]) for slot in self._slots.values() for place in slot.places}
        for _, attributes, key in list(self._belongings.plain_tensors()):
            if (id(attributes), key) not in taken:
                attributes[key] = _owned(attributes[key], own)
        hung = {}
        for name, slot in self._slots.items():
            tensor = variant.tensors[name]
            hung[name] = tensor if id(tensor) in weights else _owned(tensor, own)
            slot.hang(hung[name])
        return {name: (tensor, version(tensor)) for name, tensor in hung.items()}

    def _refuse_written_weights(self, variant: Variant) -> None:
        for name, (tensor, before) in self._versions[variant.name].items():
            if version(tensor) != before and tensor is variant.tensors[name]:
                raise ModelError(
                    f"the model writes to its tensor {name} while it runs",
                    details=["what one variant does would change the others"],
                    hint="keep what changes in a buffer of at most 16 MB, which every variant has to itself",
                )


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or what it was raised from, says that memory is exhausted."""
    while error is not None:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
            return True
        error = error.__cause__
    return False


@contextmanager
def _named(variant: Variant, batch: Batch) -> Iterator[None]:
    try:
        yield
    except AuditError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        first, last = batch.ids[0], batch.ids[-1]
        raise ModelError(
            f"the model failed with the weights of {variant.name}, on examples {first} to {last}",
            details=[f"{type(error).__name__}: {error}"],
        ) from error


def _run_and(
    read: Callable[[Any], None], forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    output = forward(*args, **kwargs)
    read(output)
    return output


def _own_copy(arguments: Any) -> Any:
    """The arguments with fresh tensors: a model may write to its input."""
    own: dict[int, Tensor] = {}

    def copied(tensor: Tensor) -> Tensor:
        return own.setdefault(id(tensor), tensor.clone())

    return pytree.tree_map_only(Tensor, copied, arguments)


def _owned(tensor: Tensor, own: dict[int, Tensor]) -> Tensor:
    if tensor.layout != torch.strided or tensor.nbytes > _MOST_COPIED_BYTES:
        return tensor
    if id(tensor) not in own:
        own[id(tensor)] = tensor.detach().clone()
    return own[id(tensor)]


def _device(variants: Sequence[Variant]) -> torch.device:
    """Where the first tensor lies: batches go there."""
    tensors = (tensor for variant in variants for tensor in variant.tensors.values())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
