"""A network of transformers, by the class that config.json names; its weights enter through our own reader."""

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.models.adapters import AdaptedCheckpoint
from forgetaudit.models.architecture import Graft, Preparation, Skeleton
from forgetaudit.models.config_differences import config_differences
from forgetaudit.models.evidence import Evidence, label_names
from forgetaudit.models.extras import import_extra
from forgetaudit.models.filling import fill, hang
from forgetaudit.models.images import ImagePreparation, processor_differences
from forgetaudit.models.landing import find_landing
from forgetaudit.models.loading import LoadedState
from forgetaudit.models.probing import Landing, Loaded
from forgetaudit.models.quantised import refuse_quantised
from forgetaudit.models.quiet import quiet_transformers
from forgetaudit.models.sidecars import folder_of, read_sidecar
from forgetaudit.models.texts import TextPreparation, tokenizer_differences
from forgetaudit.models.tokens import TokenReader
from forgetaudit.models.torchvision_repair import import_torchvision

__all__ = ["TransformersArchitecture"]


class TransformersArchitecture:
    """See `forgetaudit.models.architecture.Architecture`.

    The library's loader is asked where each tensor belongs, and never opens a file. `trust_remote_code` lets the
    checkpoint's own Python build the network; without it a config that needs it is refused.
    """

    def __init__(self, evidence: Evidence, *, trust_remote_code: bool = False) -> None:
        self.name = evidence.model
        self.evidence = evidence.sentence
        self.class_names = evidence.class_names
        self._found = evidence
        self._class = _model_class(evidence, trust_remote_code=trust_remote_code)
        self.task = _task_of(self._class.__name__)
        self._config = _config(self._class, evidence)
        self._landings: dict[Checkpoint, Landing] = {}
        self._base: tuple[Checkpoint, LoadedState] | None = None

    def build(self, base: Checkpoint, *, dtype: torch.dtype, device: torch.device, seed: int) -> Skeleton:  # noqa: ARG002
        """The network with base's weights; nothing in it is random, so `seed` plays no part."""
        loaded = self.load(self._landing(base).model, base, dtype=dtype, device=device)
        self._base = base, loaded
        model = self._landing(base).model
        hang(model, loaded.state)
        model.to(device)
        return Skeleton(model=model.eval(), base=loaded, preparation=self._preparation(model))

    def load(
        self,
        model: nn.Module,  # noqa: ARG002
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: torch.device,
        graft: Graft | None = None,
    ) -> LoadedState:
        """By the library's own renaming; 0 missing, 0 unexpected, 0 of another shape, but for a grafted head."""
        refuse_quantised(checkpoint)
        landing = self._landing(checkpoint)
        notes = self._differences(checkpoint)
        if graft is not None and (other := self._other_labels(checkpoint)):
            graft = Graft(names=graft.names, base=graft.base, always=True)
            notes = (*notes, other)
        return fill(
            landing,
            checkpoint,
            self._load,
            dtype=dtype,
            device=device,
            graft=graft,
            shared=self._shared(checkpoint),
            notes=notes,
        )

    def adapted(self, base: Checkpoint, path: Path, *, closes_base: bool = False) -> AdaptedCheckpoint:
        """The PEFT adapter at `path` on `base`, as a whole checkpoint."""
        return AdaptedCheckpoint(base, path, find_landing(base, self._load), closes_base=closes_base)

    def _shared(self, checkpoint: Checkpoint) -> Mapping[str, Tensor]:
        """Base's own tensors, by the network's names, where `checkpoint` is an adapter that leaves them alone."""
        if self._base is None or not isinstance(checkpoint, AdaptedCheckpoint):
            return {}
        other, loaded = self._base
        here, there = checkpoint.untouched, frozenset(self._landing(other).sources)
        if isinstance(other, AdaptedCheckpoint):
            there = other.untouched
        elif checkpoint.base is not other:
            return {}
        return {name: loaded.state[name] for name in here if name in there and name in loaded.state}

    def model_names(self, checkpoint: Checkpoint) -> Mapping[str, str]:
        """As the library renames: ViT's files have the names of transformers 4, its modules those of 5."""
        return self._landing(checkpoint).model_names

    def _landing(self, checkpoint: Checkpoint) -> Landing:
        if checkpoint not in self._landings:
            self._landings[checkpoint] = find_landing(checkpoint, self._load)
        return self._landings[checkpoint]

    def _load(self, tensors: dict[str, Tensor]) -> Loaded:
        """The library's loader on tensors at hand. It converts nothing: they come in the dtype that is asked for."""
        floating = next((t.dtype for t in tensors.values() if t.is_floating_point()), torch.float32)
        with quiet_transformers():
            try:
                model, said = self._class.from_pretrained(
                    None,
                    config=self._config,
                    state_dict=tensors,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                    dtype=floating,
                )
            except Exception as error:  # a config can be wrong in any way, and the library checks few of them
                raise _translated(f"{self.name} cannot be built", error) from error
        return Loaded(
            model=model,
            missing=tuple(sorted(said["missing_keys"])),
            unexpected=tuple(sorted(said["unexpected_keys"])),
            mismatched=tuple(sorted(name for name, *_ in said["mismatched_keys"])),
        )

    def _preparation(self, model: nn.Module) -> Preparation:
        if getattr(model, "main_input_name", "") == "input_ids":
            text = TextPreparation(self._found.folder, self._config, model)
            tokens = None if text.tokenizer is None else TokenReader(text.tokenizer, model, text.longest)
            return Preparation(encode=text, tokens=tokens, said=text.said)
        image = ImagePreparation(self._found.folder, self._config)
        return Preparation(preprocess=image, said=image.said)

    def _differences(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """What the files beside a tuned checkpoint say otherwise than base's, which are used for both."""
        folder = folder_of(checkpoint.path)
        if folder.resolve() == self._found.folder.resolve():
            return ()
        return (
            *config_differences(self._found.config, read_sidecar(folder, "config.json")),
            *processor_differences(self._found.folder, folder),
            *tokenizer_differences(self._found.folder, folder),
        )

    def _other_labels(self, checkpoint: Checkpoint) -> str | None:
        """Why tuned's head answers another question than base's, if it does."""
        config = read_sidecar(folder_of(checkpoint.path), "config.json")
        theirs = None if config is None else label_names(config)
        if theirs is None or self.class_names is None or theirs == self.class_names:
            return None
        return (
            f"its labels are {_some(theirs)}, base's are {_some(self.class_names)}: base's head was grafted"
        )


def _model_class(evidence: Evidence, *, trust_remote_code: bool) -> Any:
    # One that is installed and broken takes the library's image models with it; what else ails it, the library says.
    with contextlib.suppress(Exception):
        import_torchvision()
    transformers: Any = import_extra("transformers", needed_for=f"{evidence.folder.name} ({evidence.model})")
    try:
        found = getattr(transformers, evidence.model, None)
    except (ImportError, RuntimeError) as error:
        raise _translated(f"{evidence.model} cannot be imported", error) from error
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    if evidence.wants_code and trust_remote_code:
        return _class_of_its_own(evidence)
    if evidence.wants_code:
        raise ModelError(
            f"{evidence.folder} asks to run Python code of its own ({evidence.model}), which was not run",
            details=[f"auto_map: {', '.join(str(value) for value in evidence.config['auto_map'].values())}"]
            if isinstance(evidence.config["auto_map"], dict)
            else [],
            hint="read that code; where you trust it, pass --trust-remote-code",
        )
    raise ModelError(
        f"transformers {transformers.__version__} has no model {evidence.model}",
        details=[f"named by {evidence.folder / 'config.json'}"],
        hint="install the version that the checkpoint was saved with, or pass --model path.py:callable",
    )


def _class_of_its_own(evidence: Evidence) -> Any:
    modules: Any = importlib.import_module("transformers.dynamic_module_utils")
    references = [
        reference
        for reference in dict(evidence.config["auto_map"]).values()
        if isinstance(reference, str) and reference.rpartition(".")[2] == evidence.model
    ]
    if not references:
        raise ModelError(
            f"{evidence.folder / 'config.json'} does not say where {evidence.model} is defined",
            hint="pass --model path.py:callable",
        )
    try:
        return modules.get_class_from_dynamic_module(
            references[0], str(evidence.folder), local_files_only=True
        )
    except Exception as error:
        raise _translated(f"the code of {evidence.folder} cannot be run", error) from error


# By the library's own lists of which class is for what.
_TASKS = {
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": "causal-lm",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": "masked-lm",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES": "classification",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES": "classification",
    "MODEL_MAPPING_NAMES": "embedding",
}


def _task_of(class_name: str) -> str | None:
    """What a class of the library answers, by the first list it stands in; None for code of the checkpoint's own."""
    lists = importlib.import_module("transformers.models.auto.modeling_auto")
    for name, task in _TASKS.items():
        for names in dict(getattr(lists, name, {})).values():
            if class_name in ((names,) if isinstance(names, str) else names):
                return task
    return None


def _config(model_class: Any, evidence: Evidence) -> Any:
    kind, wanted = evidence.config.get("model_type"), model_class.config_class.model_type
    if kind is not None and wanted and kind != wanted:
        raise MismatchError(
            f"{evidence.folder / 'config.json'} contradicts itself: {evidence.model} is of {wanted}, not {kind}",
            hint="restore the config that was saved with the weights",
        )
    try:
        with quiet_transformers():
            return model_class.config_class.from_dict(dict(evidence.config))
    except Exception as error:
        raise _translated(
            f"{evidence.folder / 'config.json'} is no config of {evidence.model}", error
        ) from error


def _translated(fact: str, error: Exception) -> ModelError:
    said = (str(error).strip().splitlines() or [""])[0][:200]
    return ModelError(
        fact,
        details=[f"{type(error).__name__}: {said}"],
        hint="forgetaudit doctor says what is installed and what is broken",
    )


def _some(names: Sequence[str]) -> str:
    more = f", … {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} ({len(names)})"
