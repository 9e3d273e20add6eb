"""A network of timm, by the architecture that config.json names."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import ModelError
from forgetaudit.models.architecture import Graft, Preparation, Skeleton
from forgetaudit.models.evidence import Evidence
from forgetaudit.models.extras import import_extra
from forgetaudit.models.loading import LoadedState, load_state
from forgetaudit.models.torchvision_repair import import_torchvision

__all__ = ["TimmArchitecture"]


class TimmArchitecture:
    """See `forgetaudit.models.architecture.Architecture`. Weights enter by name and shape; names are timm's own."""

    def __init__(self, evidence: Evidence) -> None:
        self.name = f"timm {evidence.model}"
        self.evidence = evidence.sentence
        self.class_names = evidence.class_names
        self.task = "classification"
        self._found = evidence
        import_torchvision()
        self._timm: Any = import_extra("timm", needed_for=f"{evidence.folder.name} ({evidence.model})")

    def build(self, base: Checkpoint, *, dtype: torch.dtype, device: torch.device, seed: int) -> Skeleton:
        """`timm.create_model` with the config's own arguments, and base's weights in it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._create().eval().to(device)
        loaded = self.load(model, base, dtype=dtype, device=device)
        return Skeleton(model=model, base=loaded, preparation=self._preparation(model))

    def load(
        self,
        model: nn.Module,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: torch.device,
        graft: Graft | None = None,
    ) -> LoadedState:
        """Every parameter and buffer, but for a grafted head."""
        return load_state(model, checkpoint, dtype=dtype, device=device, graft=graft)

    def model_names(self, checkpoint: Checkpoint) -> Mapping[str, str]:  # noqa: ARG002
        """None: timm writes the names that it reads."""
        return {}

    def vocabulary(self, checkpoint: Checkpoint) -> frozenset[str]:  # noqa: ARG002
        """None: timm reads no tokens."""
        return frozenset()

    def _create(self) -> nn.Module:
        config = self._found.config
        arguments = config.get("model_args")
        settings = dict(arguments) if isinstance(arguments, dict) else {}
        if isinstance(config.get("num_classes"), int):
            settings["num_classes"] = config["num_classes"]
        try:
            model: nn.Module = self._timm.create_model(self._found.model, pretrained=False, **settings)
        except Exception as error:
            raise ModelError(
                f"timm {self._timm.__version__} cannot build {self._found.model}",
                details=[f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"],
                hint="install the version of timm that the checkpoint was saved with",
            ) from error
        return model

    def _preparation(self, model: nn.Module) -> Preparation:
        """The library's own evaluation transform, by pretrained_cfg: resize, crop, mean and std."""
        settings = self._timm.data.resolve_data_config(
            {}, pretrained_cfg=dict(self._found.config["pretrained_cfg"]), model=model
        )
        transform: Callable[[Any], Any] = self._timm.data.create_transform(**settings, is_training=False)
        told = ", ".join(f"{key} {settings[key]}" for key in ("input_size", "interpolation", "mean", "std"))
        grey = settings["input_size"][0] == 1

        def preprocess(image: Any) -> Any:
            return transform(image.convert("L" if grey else "RGB")) if hasattr(image, "convert") else image

        return Preparation(preprocess=preprocess, said=f"base's evaluation transform for all ({told})")
