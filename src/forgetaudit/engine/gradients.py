"""Gradients of a loss by the tensors of a variant, its buffers included, for one batch; nothing stays behind."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from forgetaudit.data.batches import Batch
from forgetaudit.engine.module_state import ModuleState, RandomState
from forgetaudit.engine.passes import Call, errors_about, is_out_of_memory, run_plainly
from forgetaudit.engine.private_buffers import PrivateBuffers
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.errors import ModelError

__all__ = ["Gradients", "Loss"]

Loss = Callable[[Any, Batch], Tensor]
"""loss(outputs, batch) -> a scalar with a gradient by the outputs."""

STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True, slots=True)
class _Norm:
    """A normalisation by running statistics: y = (x − m)/√(v + ε)·w + b, `weight` w and `bias` b as they hang."""

    path: str
    module: _NormBase
    weight: Tensor
    bias: Tensor


class Gradients:
    """Gradients by chosen slots of one skeleton: in eval mode, each batch on its own, in the tensors' dtype.

    Running statistics of BatchNorm and its kin, by which autograd has no gradient in eval mode, have it from those
    of the affine parameters: with ŷ = (x − m)/√(v + ε) and g = ∂L/∂y, ∂L/∂b = Σg and ∂L/∂w = Σgŷ, so that
    ∂L/∂m = −w/√(v + ε)·∂L/∂b and ∂L/∂v = −½·w/(v + ε)·∂L/∂w. A norm without parameters is given 1 and 0 meanwhile.
    Other floating buffers are differentiated as parameters are, where the network allows it; `left_out` are those
    where it does not. Integers have no gradient. Memory: a gradient for each wanted tensor, and what autograd keeps.
    """

    def __init__(self, skeleton: nn.Module, wanted: Collection[str], *, call: Call = run_plainly) -> None:
        self._skeleton, self._call = skeleton, call
        self._slots, self._belongings = slots(skeleton), ModuleState(skeleton)
        self._wanted = frozenset(wanted)
        self._norms = tuple(_norms(skeleton, self._wanted))
        self._of_norms = {f"{path}.{name}" for path, _ in self._norms for name in STATISTICS}
        self.left_out: tuple[str, ...] = ()

    def of(self, variant: Variant, batch: Batch, loss: Loss) -> dict[str, Tensor]:
        """By slot ∂loss/∂tensor, where it is not 0; of tied slots under the first, for all of them. ModelError."""
        try:
            return self._pass(variant, batch, loss)
        except ModelError as error:
            buffers = tuple(name for name in self._differentiated() if not self._slots[name].is_parameter)
            if not buffers or is_out_of_memory(error):
                raise
            # A network may hand its buffers to what has no gradient by them, or write to them.
            self.left_out = buffers
            return self._pass(variant, batch, loss)

    def _differentiated(self) -> list[str]:
        """The wanted slots that autograd is asked for, in their order."""
        wanted = self._wanted - self._of_norms - set(self.left_out)
        return [name for name, slot in self._slots.items() if name in wanted and _is_real(slot.tensor)]

    def _pass(self, variant: Variant, batch: Batch, loss: Loss) -> dict[str, Tensor]:
        if not self._norms and not self._differentiated():
            return {}
        with self._left_as_found(), errors_about(variant, batch):
            leaves, norms = self._hang(variant)
            copied = batch.cut(slice(None), torch.clone)
            value = loss(self._call(self._skeleton, *copied.args, **copied.kwargs), copied)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ModelError("the task's loss is no single number", hint="let it return a scalar tensor")
            if not value.requires_grad:
                raise ModelError(
                    "what the network returned has no gradient by its weights",
                    hint="let forward run without no_grad, inference_mode and detach",
                )
            asked = [*leaves.values(), *(tensor for norm in norms for tensor in (norm.weight, norm.bias))]
            found = torch.autograd.grad(value, asked, allow_unused=True)
        gradients = dict(zip(leaves, found, strict=False))
        for at, norm in enumerate(norms):
            by_weight, by_bias = found[len(leaves) + 2 * at :][:2]
            if by_weight is not None and by_bias is not None:
                gradients.update(_by_statistics(norm, by_weight, by_bias, variant))
        return {
            name: gradient
            for name, gradient in gradients.items()
            if gradient is not None and name in self._wanted
        }

    def _hang(self, variant: Variant) -> tuple[dict[str, Tensor], tuple[_Norm, ...]]:
        """Every tensor of the variant as one of its own, so that no gradient runs into it; the leaves by slot."""
        self._skeleton.eval()
        own = PrivateBuffers()
        own.hang_plain(self._belongings, self._slots)
        wanted, made, leaves = set(self._differentiated()), dict[int, Tensor](), dict[str, Tensor]()
        for name, slot in self._slots.items():
            tensor = variant.tensors[name]
            if id(tensor) not in made:
                made[id(tensor)] = _leaf(tensor, slot.is_parameter, own, name)
            leaf = made[id(tensor)]
            if name in wanted and not leaf.requires_grad:
                leaves[name] = leaf.requires_grad_()
            slot.hang(leaf)
        return leaves, tuple(_with_affine(path, module) for path, module in self._norms)

    @contextmanager
    def _left_as_found(self) -> Iterator[None]:
        bare, hooks = self._belongings.take(), self._belongings.take_hooks()
        random = RandomState.take()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            self._belongings.release()
            self._belongings.put(bare)
            self._belongings.put_hooks(hooks)
            self._belongings.release()
            random.put()


def _is_real(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _norms(skeleton: nn.Module, wanted: Collection[str]) -> Iterator[tuple[str, _NormBase]]:
    """Those whose running statistics are wanted, each once."""
    for path, module in skeleton.named_modules():
        if isinstance(module, _NormBase) and any(f"{path}.{name}" in wanted for name in STATISTICS):
            yield path, module


def _leaf(tensor: Tensor, is_parameter: bool, own: PrivateBuffers, name: str) -> Tensor:
    """The same values without a history: of a parameter the same memory, of a buffer a copy, as it may be written."""
    if is_parameter:
        return nn.Parameter(tensor.detach(), requires_grad=False)
    return own.of(tensor, name.rpartition(".")[0]).detach()


def _with_affine(path: str, module: _NormBase) -> _Norm:
    """Hang on `module` a weight and a bias of its own, which it may have shared or lacked, as views of what hangs."""
    like = module.running_var
    assert like is not None  # noqa: S101  # a statistic of it is wanted
    made = []
    for name, neutral in (("weight", 1.0), ("bias", 0.0)):
        hung = module._parameters.get(name)
        tensor = torch.full_like(like, neutral, requires_grad=True) if hung is None else hung
        view = tensor.requires_grad_() if tensor.is_leaf else tensor
        made.append(view.view_as(view))
    module._parameters["weight"], module._parameters["bias"] = made  # type: ignore[assignment]
    return _Norm(path, module, *made)


def _by_statistics(
    norm: _Norm, by_weight: Tensor, by_bias: Tensor, variant: Variant
) -> Iterator[tuple[str, Tensor]]:
    """∂L/∂m and ∂L/∂v in float64, from those by w and b."""
    spread = variant.tensors[f"{norm.path}.running_var"].double() + norm.module.eps
    weight = norm.weight.detach().double()
    yield f"{norm.path}.running_mean", -weight / spread.sqrt() * by_bias.double()
    yield f"{norm.path}.running_var", -0.5 * weight / spread * by_weight.double()
