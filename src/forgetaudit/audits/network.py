"""One skeleton, and the weights of base and every tuned checkpoint as variants of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.errors import UsageError
from forgetaudit.gaps import Gap, gaps_in
from forgetaudit.models.architecture import Architecture, Graft, Preparation
from forgetaudit.models.layers import Layer, Stage, select_layers
from forgetaudit.models.loading import LoadedState
from forgetaudit.plan import AuditPlan
from forgetaudit.policy import RuleKind
from forgetaudit.report.inputs import ModelInput
from forgetaudit.wording import counted, some

__all__ = ["Network", "build_network", "load_variant"]

BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What can be run: the skeleton with base's weights, the variants, and the layers that are watched.

    `preparation` makes raw inputs into arguments, `own_preparations` those of variants that are given inputs of their
    own (--preprocess each), `class_names` are the labels in the order of the scores, `task` is
    what it was made for. `gaps` are tensors that are not run, and what else of the files the network does not hold.
    """

    skeleton: nn.Module
    task: str | None
    preparation: Preparation
    own_preparations: Mapping[str, Preparation]
    class_names: tuple[str, ...] | None
    variants: tuple[Variant, ...]
    grafted: Mapping[str, tuple[str, ...]]
    layers: tuple[Layer, ...]
    described: ModelInput
    device: torch.device
    dtype: torch.dtype
    threads: int
    base_names: Mapping[str, str]
    gaps: tuple[Gap, ...] = ()

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
    def watched(self) -> tuple[str, ...]:
        """The layers whose features are read: all but the head, whose output is the answer itself."""
        return tuple(layer.name for layer in self.layers if layer.stage is not Stage.HEAD)


def build_network(
    architecture: Architecture, plan: AuditPlan, base: Checkpoint, tuned: Mapping[str, Checkpoint]
) -> Network:
    """Build the network and load every checkpoint strictly; only a head that does not fit may come from base.

    MismatchError, ModelError, UsageError.
    """
    device = _device(plan.settings.device)
    dtype = _dtype(plan.settings.dtype, device, base)
    built = architecture.build(base, dtype=dtype, device=device, seed=plan.settings.seed)
    layers = select_layers(built.model, plan.settings.layers)
    _check_named_layers(plan, layers)
    loaded = {BASE: built.base}
    variants = [make_variant(BASE, built.model, built.base.state)]
    graft = _graft(plan.settings.head, _head_tensors(built.model, layers), built.base.state)
    for name, checkpoint in tuned.items():
        loaded[name] = architecture.load(built.model, checkpoint, dtype=dtype, device=device, graft=graft)
        variants.append(make_variant(name, built.model, loaded[name].state, like=variants[0]))
    own = _own_preparations(architecture, plan, built.model, tuned)
    return Network(
        skeleton=built.model,
        preparation=built.preparation,
        own_preparations=own,
        task=architecture.task,
        class_names=architecture.class_names,
        variants=tuple(variants),
        grafted={name: state.grafted for name, state in loaded.items()},
        layers=layers,
        described=ModelInput(
            name=architecture.name,
            evidence=architecture.evidence,
            notes=(*_notes(built.preparation, loaded, layers), *_input_differences(plan, own)),
        ),
        device=device,
        dtype=dtype,
        threads=plan.settings.threads or torch.get_num_threads(),
        base_names=built.base.model_names,
        gaps=tuple(
            replace(gap, variant=None if name == BASE else name)
            for name, state in loaded.items()
            for gap in gaps_in(state.notes)
        )
        + _narrowed(dtype, {BASE: base, **tuned}),
    )


def load_variant(
    network: Network,
    architecture: Architecture,
    plan: AuditPlan,
    name: str,
    checkpoint: Checkpoint,
    like: Variant,
) -> tuple[Variant, tuple[str, ...]]:
    """One more checkpoint of the network, and the tensors of its head that came from base. MismatchError."""
    base = network.variants[0].tensors
    loaded = architecture.load(
        network.skeleton,
        checkpoint,
        dtype=network.dtype,
        device=network.device,
        graft=_graft(plan.settings.head, _head_tensors(network.skeleton, network.layers), base),
    )
    return make_variant(name, network.skeleton, loaded.state, like=like), loaded.grafted


def _graft(choice: str, head: frozenset[str], base: Mapping[str, Tensor]) -> Graft:
    """`--head auto` takes base's head where tuned's does not fit, `base` always, `own` never."""
    if choice == "base" and not head:
        raise UsageError("--head base: no head was recognised in the network", hint="leave it out")
    return Graft(names=head, base=base, always=choice == "base", never=choice == "own")


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
                details=[f"watched: {some(names, 12)}"],
                hint="name one of them, or add the layer with --layers",
            )


def _notes(
    preparation: Preparation, loaded: Mapping[str, LoadedState], layers: tuple[Layer, ...]
) -> tuple[str, ...]:
    watched = ", ".join(f"{layer.name} ({layer.stage})" for layer in layers)
    steps = [f"{name}: {said}" for name, state in loaded.items() for said in (*state.steps, *state.notes)]
    return (f"inputs: {preparation.said}", f"layers: {watched}", *steps)


def _own_preparations(
    architecture: Architecture, plan: AuditPlan, model: nn.Module, tuned: Mapping[str, Checkpoint]
) -> dict[str, Preparation]:
    """Of the variants that are to have their own inputs, and whose files make others than base's."""
    if plan.settings.preprocess != "each":
        return {}
    found = {name: architecture.own_preparation(model, other) for name, other in tuned.items()}
    return {name: preparation for name, preparation in found.items() if preparation is not None}


def _input_differences(plan: AuditPlan, own: Mapping[str, Preparation]) -> tuple[str, ...]:
    if plan.settings.preprocess != "each":
        return ()
    return tuple(
        f"{name}: inputs: {own[name].said}"
        if name in own
        else f"{name}: inputs: its own files prepare them as base's do"
        for name in plan.names
    )


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


def _narrowed(dtype: torch.dtype, checkpoints: Mapping[str, Checkpoint]) -> tuple[Gap, ...]:
    """Double precision that the run does not keep: a difference below its own is none here."""
    if dtype == torch.float64:
        return ()
    found = {
        name: [info.name for info in one.tensors.values() if info.dtype in ("float64", "complex128")]
        for name, one in checkpoints.items()
    }
    return tuple(
        Gap(
            ident="run-in-less-precision",
            what=f"{name} holds {counted(len(names), 'tensor')} in double precision, run in "
            f"{str(dtype).removeprefix('torch.')}",
            advice="pass --dtype float64 where smaller differences count",
            holds="nothing",
            variant=None if name == BASE else name,
            evidence={"tensors": names[:20]},
        )
        for name, names in found.items()
        if names
    )


def _named(name: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name)
    return dtype
