"""A network of timm, by the architecture and the arguments that config.json names."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.models import timm_config
from forgetaudit.models.architecture import Graft, Outline, Preparation, Skeleton
from forgetaudit.models.declared_size import Weights, refusing_more
from forgetaudit.models.evidence import Evidence
from forgetaudit.models.extras import import_extra
from forgetaudit.models.images import refuse_other_than_images
from forgetaudit.models.loading import LoadedState, load_state, refuse_other_head
from forgetaudit.models.odd_files import first_line, refused_in_words
from forgetaudit.models.quantised import refuse_quantised
from forgetaudit.models.sidecars import folder_of, read_sidecar
from forgetaudit.models.torchvision_repair import import_torchvision
from forgetaudit.wording import some

__all__ = ["TimmArchitecture"]

_TOLD = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")


class TimmArchitecture:
    """See `forgetaudit.models.architecture.Architecture`. Weights enter by name and shape; names are timm's own.

    timm reads config.json and never opens a file of weights.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.name = f"timm {evidence.model}"
        self.evidence = evidence.sentence
        self.task = evidence.other_kind or "classification"
        self.class_names = timm_config.label_names(evidence.config)
        self._found = evidence
        # What else ails torchvision, timm says when it is imported.
        with contextlib.suppress(Exception):
            import_torchvision()
        self._timm: Any = import_extra("timm", needed_for=f"{evidence.folder.name} ({evidence.model})")

    def build(self, base: Checkpoint, *, dtype: torch.dtype, device: torch.device, seed: int) -> Skeleton:
        """`timm.create_model` with the config's own arguments, and base's weights in it."""
        with torch.random.fork_rng(devices=[]), self._watched(base):
            torch.manual_seed(seed)
            model = self._create().eval().to(device)
        loaded = self.load(model, base, dtype=dtype, device=device)
        return Skeleton(model=model, base=loaded, preparation=self._preparation(model))

    def outline(self, base: Checkpoint) -> Outline | None:
        """As timm makes it; weights of base are not looked at."""
        with torch.random.fork_rng(devices=[]), self._watched(base):
            model = self._create()
        return Outline(model=model, preparation=self._preparation(model))

    def load(
        self,
        model: nn.Module,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: torch.device,
        graft: Graft | None = None,
    ) -> LoadedState:
        """Every parameter and buffer, but for a head that is grafted: it does not fit, or names other classes."""
        refuse_quantised(checkpoint)
        config = self._config_beside(checkpoint)
        notes = () if config is None else self._differences(config)
        if graft is not None and config is not None and (other := self._other_labels(config)):
            refuse_other_head(checkpoint, [other] if graft.never else [])
            graft = Graft(names=graft.names, base=graft.base, always=True)
            notes = (*notes, f"{other}: base's head was grafted")
        try:
            loaded = load_state(model, checkpoint, dtype=dtype, device=device, graft=graft)
        except MismatchError as error:
            raise self._explained(error, config) from None
        return replace(loaded, notes=(*loaded.notes, *notes))

    def model_names(self, checkpoint: Checkpoint) -> Mapping[str, str]:  # noqa: ARG002
        """None: timm writes the names that it reads."""
        return {}

    def slot_sources(self, checkpoint: Checkpoint) -> Mapping[str, str]:  # noqa: ARG002
        """None: timm writes the names that it reads."""
        return {}

    def vocabulary(self, checkpoint: Checkpoint) -> frozenset[str]:  # noqa: ARG002
        """None: timm reads no tokens."""
        return frozenset()

    def own_preparation(self, model: nn.Module, checkpoint: Checkpoint) -> Preparation | None:  # noqa: ARG002
        """Not for networks of timm, whose tuned configs are told to differ and not run."""
        raise ModelError(
            f"--preprocess each: {self.name} is a network of timm, which is run with base's preprocessing only",
            hint="leave the option out: what tuned's config says otherwise is told",
        )

    def _watched(self, base: Checkpoint) -> contextlib.AbstractContextManager[None]:
        """In which nothing is built that is far larger than `base`."""
        return refusing_more(Weights.of(base), self._found.config, self._found.folder / "config.json")

    def _create(self) -> nn.Module:
        # Not by the name alone: older configs leave arguments out that timm derives from the rest.
        source = f"local-dir:{self._found.folder.resolve()}"
        try:
            model: nn.Module = self._timm.create_model(source, pretrained=False)
        except Exception as error:  # a config can be wrong in any way, and timm checks few of them
            raise ModelError(
                f"timm {self._timm.__version__} cannot build {self._found.model}",
                details=[first_line(error)],
                hint="install the version of timm that the checkpoint was saved with",
            ) from error
        return model

    def _preparation(self, model: Any) -> Preparation:
        """The library's own evaluation transform, by pretrained_cfg: resize, crop, mean and std."""
        settings = self._input_of(model.pretrained_cfg)
        try:
            transform = self._timm.data.create_transform(**settings, is_training=False)
        except Exception as error:
            raise self._bad_input(error) from error
        told = ", ".join(f"{key} {settings[key]}" for key in _TOLD)
        mode = "L" if settings["input_size"][0] == 1 else "RGB"

        def preprocess(image: Any) -> Any:
            if isinstance(image, np.ndarray):
                return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
            refuse_other_than_images(image, self._found.folder)
            with refused_in_words(f"the transform of {self._found.folder.name} cannot take an image"):
                return transform(image.convert(mode))

        return Preparation(
            preprocess=preprocess, said=f"base's evaluation transform of timm for all ({told})"
        )

    def _input_of(self, pretrained_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
        """What timm makes of a pretrained_cfg: its defaults filled in."""
        try:
            settings: Mapping[str, Any] = self._timm.data.resolve_data_config(
                {}, pretrained_cfg=dict(pretrained_cfg)
            )
        except Exception as error:
            raise self._bad_input(error) from error
        return settings

    def _bad_input(self, error: Exception) -> ModelError:
        return ModelError(
            f"the pretrained_cfg of {self._found.folder / 'config.json'} gives no transform",
            details=[first_line(error)],
            hint="restore the config.json that was saved with the weights",
        )

    def _config_beside(self, checkpoint: Checkpoint) -> Mapping[str, Any] | None:
        """Of a checkpoint that has a config of its own."""
        folder = folder_of(checkpoint.path)
        if folder.resolve() == self._found.folder.resolve():
            return None
        return read_sidecar(folder, "config.json")

    def _differences(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        if not timm_config.is_of_timm(config):
            return ()
        with refused_in_words("the config.json of tuned cannot be compared with that of base"):
            return self._differences_of(config)

    def _differences_of(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        both = (self._found.config, config)
        inputs = [self._input_of(timm_config.pretrained_cfg(one)) for one in both]
        return timm_config.differences(*both, (inputs[0], inputs[1]))

    def _other_labels(self, config: Mapping[str, Any]) -> str | None:
        """Why tuned's head answers another question than base's, if it does."""
        theirs = timm_config.label_names(config)
        if theirs is None or self.class_names is None or theirs == self.class_names:
            return None
        return f"its labels are {some(theirs)}, base's are {some(self.class_names)}"

    def _explained(self, error: MismatchError, config: Mapping[str, Any] | None) -> MismatchError:
        """The same, by the names of the two networks where they differ."""
        other = None if config is None else config.get("architecture")
        if other is None or other == self._found.model:
            return error
        return MismatchError(
            f"base and tuned are not versions of one network: base is {self._found.model}, tuned is {other}",
            details=["told by architecture in their config.json"],
            hint="pass the checkpoint you started from as BASE",
        )
