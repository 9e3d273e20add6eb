"""One skeleton, and the weights of base and every tuned checkpoint as variants of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.errors import UsageError
from forgetaudit.models.factory import Built, build_model
from forgetaudit.models.layers import Layer, Stage, select_layers
from forgetaudit.models.loading import LoadedState, load_state
from forgetaudit.plan import AuditPlan, ModelPlan
from forgetaudit.policy import RuleKind
from forgetaudit.report.inputs import ModelInput

__all__ = ["Network", "build_network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What can be run: the skeleton with base's weights, the variants, and the layers that are watched."""

    built: Built
    variants: tuple[Variant, ...]
    grafted: Mapping[str, tuple[str, ...]]
    layers: tuple[Layer, ...]
    described: ModelInput
    device: torch.device
    dtype: torch.dtype
    threads: int
    base_names: Mapping[str, str]

    @contextmanager
    def limited_threads(self) -> Iterator[None]:
        """Run with `threads`, and put torch's own number back."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    @property
    def skeleton(self) -> nn.Module:
        """The module whose slots the variants fill."""
        return self.built.model

    @property
    def watched(self) -> tuple[str, ...]:
        """The layers whose features are read: all but the head, whose output is the answer itself."""
        return tuple(layer.name for layer in self.layers if layer.stage is not Stage.HEAD)


def build_network(
    model: ModelPlan, plan: AuditPlan, base: Checkpoint, tuned: Mapping[str, Checkpoint]
) -> Network:
    """Build the network and load every checkpoint strictly; only a head that does not fit may come from base.

    MismatchError, ModelError, UsageError.
    """
    device = _device(plan.settings.device)
    dtype = _dtype(plan.settings.dtype, device, base)
    built = build_model(
        model.factory, directory=model.directory, evidence=model.evidence, seed=plan.settings.seed
    )
    built.model.to(device)
    layers = select_layers(built.model, plan.settings.layers)
    _check_named_layers(plan, layers)
    loaded = {"base": load_state(built.model, base, dtype=dtype, device=device)}
    variants = [make_variant("base", built.model, loaded["base"].state)]
    head = _head_tensors(built.model, layers)
    for name, checkpoint in tuned.items():
        loaded[name] = _load_tuned(built.model, checkpoint, loaded["base"].state, head, plan, dtype, device)
        variants.append(make_variant(name, built.model, loaded[name].state, like=variants[0]))
    return Network(
        built=built,
        variants=tuple(variants),
        grafted={name: state.grafted for name, state in loaded.items()},
        layers=layers,
        described=ModelInput(name=built.name, evidence=built.evidence, notes=_notes(built, loaded, layers)),
        device=device,
        dtype=dtype,
        threads=plan.settings.threads or torch.get_num_threads(),
        base_names=loaded["base"].model_names,
    )


def _load_tuned(
    model: nn.Module,
    checkpoint: Checkpoint,
    base: Mapping[str, Tensor],
    head: frozenset[str],
    plan: AuditPlan,
    dtype: torch.dtype,
    device: torch.device,
) -> LoadedState:
    """`--head auto` takes base's head where tuned's does not fit, `base` always, `own` never."""
    choice = plan.settings.head
    if choice == "base" and not head:
        raise UsageError("--head base: no head was recognised in the network", hint="leave it out")
    return load_state(
        model,
        checkpoint,
        dtype=dtype,
        device=device,
        graft_from=None if choice == "own" else base,
        graft=head,
        always_graft=choice == "base",
    )


def _head_tensors(model: nn.Module, layers: tuple[Layer, ...]) -> frozenset[str]:
    heads = [f"{layer.name}." for layer in layers if layer.stage is Stage.HEAD]
    return frozenset(name for name in model.state_dict() if any(name.startswith(head) for head in heads))


def _check_named_layers(plan: AuditPlan, layers: tuple[Layer, ...]) -> None:
    """A rule on a layer that is not watched would never be measured."""
    names = [layer.name for layer in layers]
    for rule in plan.policy.rules:
        if rule.kind in (RuleKind.CKA, RuleKind.DISTANCE) and rule.where and rule.where not in names:
            raise UsageError(
                f"the rule {rule.name} names no watched layer",
                details=[f"watched: {', '.join(names)}"],
                hint="name one of them, or add the layer with --layers",
            )


def _notes(built: Built, loaded: Mapping[str, LoadedState], layers: tuple[Layer, ...]) -> tuple[str, ...]:
    preprocess = "the model's own preprocess" if built.preprocess else "pixels in [0, 1], arrays as they are"
    watched = ", ".join(f"{layer.name} ({layer.stage})" for layer in layers)
    steps = [f"{name}: {step}" for name, state in loaded.items() for step in state.steps]
    return (f"inputs: {preprocess}", f"layers: {watched}", *steps)


def _device(name: str | None) -> torch.device:
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"--device {name} cannot be used here",
            details=[str(error).splitlines()[0]],
            hint="pass cpu, or leave it out to take the best there is",
        ) from error
    return device


def _dtype(name: str | None, device: torch.device, base: Checkpoint) -> torch.dtype:
    """float32 on a CPU; elsewhere the dtype that most of base is saved in."""
    if name is not None:
        return _named(name)
    if device.type == "cpu":
        return torch.float32
    weight: dict[str, int] = {}
    for info in base.tensors.values():
        weight[info.dtype] = weight.get(info.dtype, 0) + info.n_elements
    saved = max(weight, key=lambda dtype: weight[dtype], default="float32")
    return _named(saved) if saved in ("float32", "bfloat16", "float16") else torch.float32


def _named(name: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name)
    return dtype
