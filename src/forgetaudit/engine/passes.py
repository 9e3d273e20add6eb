"""Passes: one variant at a time installed on the skeleton, run on its copy of a batch, and taken off again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from forgetaudit.data.batches import Batch
from forgetaudit.engine.bit_equality import version
from forgetaudit.engine.module_state import ModuleState, RandomState, Snapshot
from forgetaudit.engine.private_buffers import MOST_COPIED_BYTES, PrivateBuffers
from forgetaudit.engine.sealed import Sealed
from forgetaudit.engine.taps import Journal, Read, Tap, Wrapper, runs_hooks, wrapped
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.errors import AuditError, ModelError
from forgetaudit.user_code import own_place_of, place_of

__all__ = [
    "Call",
    "CarriedState",
    "Moment",
    "Passes",
    "Result",
    "Watch",
    "errors_about",
    "is_out_of_memory",
    "one_pass",
    "run_plainly",
]

Call = Callable[..., Any]
"""call(skeleton, *args, **kwargs) -> what the variant hung on the skeleton makes of a batch."""


def run_plainly(skeleton: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """The skeleton called with the arguments of the batch, once."""
    return skeleton(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class CarriedState:
    """What one variant takes from batch to batch: what hangs on its modules, its own tensors, its random numbers."""

    held: Snapshot
    values: Mapping[int, Tensor]
    random: RandomState


Moment = Mapping[str, CarriedState]


@dataclass(frozen=True, slots=True)
class Result:
    """What one variant made of one batch, and what its taps saw."""

    outputs: Any
    journal: Journal


class Watch(Protocol):
    """Something that stands around the calls of modules."""

    def begin(self, variant: str, journal: Journal, arguments: Mapping[int, tuple[Tensor, Tensor]]) -> None:
        """A pass of `variant` begins; `arguments` has the batch's tensors, each with its copy for this pass."""
        ...

    def wrappers(self, reads: Mapping[str, Read]) -> Mapping[str, Wrapper]:
        """By path the wrappers that call `forward` and then, where there is one, the tap's read of its output."""
        ...


class Passes:
    """Runs all variants on a batch. The skeleton and the random state are left as they were found."""

    def __init__(
        self,
        skeleton: nn.Module,
        variants: Sequence[Variant],
        taps: Mapping[str, Tap],
        call: Call = run_plainly,
    ) -> None:
        self.modules = dict(skeleton.named_modules())
        self.variants = tuple(variants)
        self.belongings = ModuleState(skeleton)
        self.device = _device(self.variants)
        self.skeleton = skeleton
        self.call = call
        self._slots = slots(skeleton)
        self.taps = taps
        # What is known to hang on the skeleton outside of runs, and to be the random state.
        self._bare: Snapshot | None = None
        self._random: RandomState | None = None
        self._own: dict[str, PrivateBuffers] = {}
        self._versions: dict[str, dict[str, int]] = {}
        self._sealed = Sealed(())

    def start(self, random: RandomState | None = None) -> Moment:
        """The moment before the first batch, with `random` numbers, or those that are next outside."""
        with self._on_skeleton() as outside:
            self.skeleton.eval()
            bare, moment = self.belongings.take(), {}
            for variant in self.variants:
                self.belongings.put(bare)
                self._own[variant.name] = self._hang(variant)
                self._versions[variant.name] = {name: version(t) for name, t in variant.tensors.items()}
                moment[variant.name] = CarriedState(self.belongings.take(), {}, random or outside)
            self._sealed = Sealed(self._shared())
            return moment

    def run(
        self,
        batch: Batch,
        moment: Moment,
        watch: Watch | None = None,
        *,
        only: Variant | None = None,
        call: Call | None = None,
    ) -> tuple[dict[str, Result], dict[str, CarriedState]]:
        """All variants on `batch`, or `only` one, from `moment` to the next. Raises ModelError where the model does.

        `call` stands in for the task's own, where that counts what it is called for.
        """
        results, after = {}, {}
        with self._on_skeleton():
            for variant in self.variants if only is None else (only,):
                before = moment[variant.name]
                results[variant.name], after[variant.name] = self._pass(
                    variant, batch, before, watch, call or self.call
                )
        return results, after

    def hung(self) -> dict[int, set[str]]:
        """The names of the tensors that hang on the skeleton in a pass of any variant, by identity."""
        names: dict[int, set[str]] = {}
        for variant in self.variants:
            for name, tensor in self._to_hang(variant, self._own[variant.name]).items():
                names.setdefault(id(tensor), set()).add(name)
        return names

    def writing_paths(self) -> set[str]:
        """The modules with buffers or plain tensors that were written to in a pass of any variant."""
        return {path for own in self._own.values() for path in own.written_paths()}

    def refuse_written(self) -> None:
        """ModelError where a tensor that variants share holds other bits than at the start."""
        if names := self._sealed.broken():
            raise _written(names)

    def _shared(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors of variants that hang on the skeleton themselves."""
        for variant in self.variants:
            for name, tensor in self._to_hang(variant, self._own[variant.name]).items():
                if tensor is variant.tensors[name]:
                    yield name, tensor

    def _pass(
        self, variant: Variant, batch: Batch, before: CarriedState, watch: Watch | None, call: Call
    ) -> tuple[Result, CarriedState]:
        own = self._own[variant.name]
        self.belongings.put(before.held)
        self.belongings.release()
        own.put(before.values)
        if self._random is not before.random:
            before.random.put()
        self._random = None
        result = one_pass(self.skeleton, self.modules, variant, batch, call, self.taps, watch)
        self._refuse_written_weights(variant)
        held, self._random = self.belongings.take(before.held), RandomState.take(before.random)
        return result, CarriedState(held, own.take(), self._random)

    @contextmanager
    def _on_skeleton(self) -> Iterator[RandomState]:
        self._bare = original = self.belongings.take(self._bare)
        hooks = self.belongings.take_hooks()
        self._random = random = RandomState.take(self._random)
        try:
            # Not inference_mode: its tensors have no version counters.
            with torch.inference_mode(False), torch.no_grad():
                yield random
        finally:
            self.belongings.put(original)
            self.belongings.put_hooks(hooks)
            if self._random is not random:
                random.put()
            self._random = random
            self.belongings.release()

    def _hang(self, variant: Variant) -> PrivateBuffers:
        """Install `variant`, with buffers and plain tensors of its own."""
        own = PrivateBuffers()
        own.hang_plain(self.belongings, self._slots)
        for name, tensor in self._to_hang(variant, own).items():
            self._slots[name].hang(tensor)
        return own

    def _to_hang(self, variant: Variant, own: PrivateBuffers) -> dict[str, Tensor]:
        weights = {id(variant.tensors[name]) for name, slot in self._slots.items() if slot.is_parameter}
        return {
            name: tensor if id(tensor) in weights else own.of(tensor, name.rpartition(".")[0])
            for name, tensor in ((name, variant.tensors[name]) for name in self._slots)
        }

    def _refuse_written_weights(self, variant: Variant) -> None:
        for name, before in self._versions[variant.name].items():
            if version(variant.tensors[name]) != before:
                raise _written([name])


def one_pass(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    variant: Variant,
    batch: Batch,
    call: Call,
    taps: Mapping[str, Tap],
    watch: Watch | None = None,
) -> Result:
    """`call` on `model`, whose modules by path are `modules` and which holds the weights of `variant`, once."""
    batch = batch.of(variant.name)
    journal: Journal = []
    copies = dict[int, tuple[Tensor, Tensor]]()
    args, kwargs = pytree.tree_map_only(Tensor, partial(_copied, copies), (batch.args, dict(batch.kwargs)))
    if watch is not None:
        watch.begin(variant.name, journal, copies)
    with _tapped(modules, taps, journal, batch, watch), errors_about(variant, batch):
        outputs = call(model, *args, **kwargs)
    return Result(outputs, journal)


@contextmanager
def _tapped(
    modules: Mapping[str, nn.Module],
    taps: Mapping[str, Tap],
    journal: Journal,
    batch: Batch,
    watch: Watch | None,
) -> Iterator[None]:
    reads: dict[str, Read] = {
        path: partial(tap.read, journal=journal, n=len(batch), mask=batch.mask) for path, tap in taps.items()
    }
    hooked = {path: read for path, read in reads.items() if runs_hooks(modules[path])}
    plain = {path: read for path, read in reads.items() if path not in hooked}
    if watch is None:
        wrappers: Mapping[str, Wrapper] = {path: partial(_run_and, read) for path, read in plain.items()}
    else:
        wrappers = watch.wrappers(plain)
    with wrapped(
        {modules[path]: wrapper for path, wrapper in wrappers.items()},
        {modules[path]: read for path, read in hooked.items()},
    ):
        yield


def _written(names: Sequence[str]) -> ModelError:
    more = f" and to {len(names) - 1} more" if len(names) > 1 else ""
    return ModelError(
        f"the model writes to its tensor {names[0]}{more} while it runs",
        details=["what one variant does would change the others"],
        hint=f"keep what changes in a buffer of at most {MOST_COPIED_BYTES >> 20} MB",
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
def errors_about(variant: Variant, batch: Batch) -> Iterator[None]:
    """What a model raises, told of the variant and of the examples; memory that ran out passes as it is."""
    try:
        yield
    except AuditError:
        raise
    # sys.exit in a forward would otherwise end the audit with an exit code that means something else.
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raised, shapes = f"{type(error).__name__}: {error}", _example_shapes(batch)
        failed = f"the model failed with the weights of {variant.name}, on {_examples(batch)}"
        hint = _to_be_prepared(error, batch)
        if hint is not None:
            raise ModelError(
                "the model does not take the examples as they are in the data",
                details=[*shapes, failed, raised],
                hint=hint,
            ) from error
        raise ModelError(failed, details=[raised, *shapes], hint=place_of(error)) from error


def _examples(batch: Batch) -> str:
    if batch.rows is not None:
        return f"the examples of rows {batch.rows[0]} to {batch.rows[-1]}"
    return f"examples {batch.ids[0]} to {batch.ids[-1]}"


def _example_shapes(batch: Batch) -> list[str]:
    """What one example was to the model, where that is one array."""
    arrays = [array for array in batch.args if isinstance(array, Tensor) and array.ndim > 1]
    return [
        f"each example was given as {str(a.dtype).removeprefix('torch.')} {[*a.shape[1:]]}" for a in arrays
    ]


def _to_be_prepared(error: BaseException, batch: Batch) -> str | None:
    """Where a layer refused the shape of its input, the example has to be prepared otherwise; torch is not at fault."""
    said = str(error)
    about_shape = any(word in said for word in ("channels", "shape", "size", "dimension", "normalized_shape"))
    if not _example_shapes(batch) or not isinstance(error, RuntimeError | ValueError) or not about_shape:
        return None
    place = own_place_of(error)
    return (
        "give the model a method `preprocess` that makes of an image or array what it takes (channels, height, "
        f"width), or store the data so{f'; {place}' if place else ''}"
    )


def _run_and(read: Read, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    output = forward(*args, **kwargs)
    read(output)
    return output


def _copied(copies: dict[int, tuple[Tensor, Tensor]], tensor: Tensor) -> Tensor:
    """A copy for one pass, always the same: a model may write to its input."""
    if id(tensor) not in copies:
        copies[id(tensor)] = tensor, tensor.clone()
    return copies[id(tensor)][1]


def _device(variants: Sequence[Variant]) -> torch.device:
    """Where the first tensor lies: batches go there."""
    tensors = (tensor for variant in variants for tensor in variant.tensors.values())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
