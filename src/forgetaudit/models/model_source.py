"""The checkpoints of one audit, and the architecture they share: recognised once, and only where it is needed."""

from collections.abc import Mapping
from pathlib import Path

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.shells import refuse_shells
from forgetaudit.errors import ModelError
from forgetaudit.models.adapter_files import find_base
from forgetaudit.models.architecture import Architecture
from forgetaudit.models.declared_size import Weights, refuse_counts
from forgetaudit.models.evidence import find_evidence, is_adapter
from forgetaudit.models.from_callable import CallableArchitecture
from forgetaudit.plan import AuditPlan

__all__ = ["ModelSource"]


class ModelSource:
    """Base and what was tuned from it. Adapters are opened on the weights they were trained on, and look whole.

    The weights under an adapter that was passed as BASE are opened here and closed with it.
    """

    def __init__(self, plan: AuditPlan) -> None:
        self._plan = plan
        self._root: Checkpoint | None = None
        self._architecture: Architecture | None = None

    @property
    def architecture(self) -> Architecture:
        """What the user said, else what the files beside base say. ModelError where nothing does."""
        if self._architecture is None:
            self._architecture = self._recognised()
        return self._architecture

    def open_base(self) -> Checkpoint:
        """BASE; of an adapter, the base that its config names with the adapter on it, found on this machine only."""
        path = self._plan.base
        if not is_adapter(path):
            self._root = self._opened(path)
            return self._root
        self._root = self._opened(self._root_path())
        return self._adapted(path, closes_base=True)

    def open_tuned(self, path: Path) -> Checkpoint:
        """One TUNED; an adapter lies on BASE's weights."""
        return self._adapted(path, closes_base=False) if is_adapter(path) else self._opened(path)

    def _opened(self, path: Path) -> Checkpoint:
        opened = open_checkpoint(path, weights=self._plan.settings.weights)
        try:
            refuse_shells(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def model_names(self, checkpoint: Checkpoint) -> Mapping[str, str]:
        """The network's own spelling of the names in a file; empty where there is none to be had."""
        try:
            return self.architecture.model_names(checkpoint)
        except ModelError:
            return {}

    def slot_sources(self, checkpoint: Checkpoint) -> Mapping[str, str]:
        """Which tensor of the file hangs at each of the network's names; empty where its own names say it."""
        try:
            return self.architecture.slot_sources(checkpoint)
        except ModelError:
            return {}

    def vocabulary(self, checkpoint: Checkpoint) -> frozenset[str]:
        """The tensors of a file that have a row for each token; empty where nothing says which."""
        try:
            return self.architecture.vocabulary(checkpoint)
        except ModelError:
            return frozenset()

    def _root_path(self) -> Path:
        return find_base(self._plan.base) if is_adapter(self._plan.base) else self._plan.base

    def _recognised(self) -> Architecture:
        plan = self._plan
        if plan.model is not None:
            return CallableArchitecture(plan.model)
        evidence = find_evidence(self._root_path())
        if self._root is not None:
            refuse_counts(Weights.of(self._root), evidence.config, evidence.folder / "config.json")
        if evidence.library == "timm":
            from forgetaudit.models.from_timm import TimmArchitecture

            return TimmArchitecture(evidence)
        from forgetaudit.models.from_transformers import TransformersArchitecture

        return TransformersArchitecture(
            evidence,
            trust_remote_code=plan.settings.trust_remote_code,
            own_inputs=plan.settings.preprocess == "each",
        )

    def _adapted(self, path: Path, *, closes_base: bool) -> Checkpoint:
        from forgetaudit.models.from_transformers import TransformersArchitecture

        if not isinstance(self.architecture, TransformersArchitecture):
            raise ModelError(
                f"{path} is a PEFT adapter, and {self.architecture.name} is no model of transformers",
                hint="merge it first: model.merge_and_unload(), and pass the weights",
            )
        assert self._root is not None  # noqa: S101
        return self.architecture.adapted(self._root, path, closes_base=closes_base)
