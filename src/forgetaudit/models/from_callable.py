"""A network that a function of the user's returns."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import ModelError
from forgetaudit.models.architecture import Graft, Outline, Preparation, Skeleton
from forgetaudit.models.factory import build_model
from forgetaudit.models.lazy_modules import settle_lazy
from forgetaudit.models.loading import LoadedState, load_state, run_type
from forgetaudit.plan import ModelPlan

__all__ = ["CallableArchitecture"]


class CallableArchitecture:
    """See `forgetaudit.models.architecture.Architecture`. Its classes have no names of their own."""

    class_names: tuple[str, ...] | None = None
    task: str | None = None

    def __init__(self, plan: ModelPlan) -> None:
        factory = plan.factory
        self.name = factory if isinstance(factory, str) else getattr(factory, "__qualname__", repr(factory))
        self.evidence = plan.evidence
        self._plan = plan

    def build(self, base: Checkpoint, *, dtype: torch.dtype, device: torch.device, seed: int) -> Skeleton:
        """Call the function, and load base into what it returns."""
        plan = self._plan
        built = build_model(plan.factory, directory=plan.directory, evidence=plan.evidence, seed=seed)
        settle_lazy(built.model, base)
        # Buffers that no checkpoint holds take the run's dtype with the rest. Module.to would make complex ones real.
        network: Any = built.model
        network._apply(lambda tensor: tensor.to(device, run_type(tensor.dtype, dtype)))
        preparation = (
            Preparation(preprocess=built.preprocess, said="the model's own preprocess")
            if built.preprocess
            else Preparation()
        )
        loaded = self.load(built.model, base, dtype=dtype, device=device)
        return Skeleton(model=built.model, base=loaded, preparation=preparation)

    def outline(self, base: Checkpoint) -> Outline | None:  # noqa: ARG002
        """None: the function is not called before it has to be."""
        return None

    def load(
        self,
        model: nn.Module,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: torch.device,
        graft: Graft | None = None,
    ) -> LoadedState:
        """By name and shape, wrappers of names removed."""
        return load_state(model, checkpoint, dtype=dtype, device=device, graft=graft)

    def model_names(self, checkpoint: Checkpoint) -> Mapping[str, str]:  # noqa: ARG002
        """None: the names are the user's own."""
        return {}

    def slot_sources(self, checkpoint: Checkpoint) -> Mapping[str, str]:  # noqa: ARG002
        """None: the names are the user's own."""
        return {}

    def vocabulary(self, checkpoint: Checkpoint) -> frozenset[str]:  # noqa: ARG002
        """None: nothing says what the user's tensors are for."""
        return frozenset()

    def own_preparation(self, model: nn.Module, checkpoint: Checkpoint) -> Preparation | None:  # noqa: ARG002
        """None to be had: one function makes the network for all."""
        raise ModelError(
            f"--preprocess each: {self.name} says how inputs are prepared, and says the same for every checkpoint",
            hint="leave it out",
        )
