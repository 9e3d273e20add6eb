"""A network of transformers, by the class that config.json names; its weights enter through our own reader."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.gaps import Notes
from forgetaudit.models.adapters import AdaptedCheckpoint
from forgetaudit.models.architecture import Graft, Outline, Preparation, Skeleton
from forgetaudit.models.chat_templates import template_differences
from forgetaudit.models.config_differences import config_differences, other_inputs
from forgetaudit.models.declared_size import Weights, refuse_counts, refusing_more
from forgetaudit.models.evidence import Evidence, label_names
from forgetaudit.models.images import ImagePreparation, processor_differences
from forgetaudit.models.library_classes import model_class, network_config, task_of, tied_as, translated
from forgetaudit.models.load_weights import assign_weights, load_weights
from forgetaudit.models.loading import LoadedState, refuse_other_head
from forgetaudit.models.name_mapping import find_landing
from forgetaudit.models.odd_files import refused_in_words
from forgetaudit.models.per_model_inputs import own_images, own_texts
from forgetaudit.models.probing import Loaded, Loader, NameMapping
from forgetaudit.models.quantised import refuse_quantised
from forgetaudit.models.sentence_transformers import (
    Sentences,
    is_of_pooler,
    sentence_differences,
    without_head,
    without_pooler,
)
from forgetaudit.models.sidecars import folder_of, read_sidecar
from forgetaudit.models.silence_transformers import quiet_transformers
from forgetaudit.models.texts import TextPreparation, tokenizer_differences
from forgetaudit.models.tokens import TokenReader
from forgetaudit.models.vocabulary import Refitted, refit, vocabulary_slots

__all__ = ["TransformersArchitecture"]


class TransformersArchitecture:
    """See `forgetaudit.models.architecture.Architecture`.

    The library's loader is asked where each tensor belongs, and never opens a file. `trust_remote_code` lets the
    checkpoint's own Python build the network; without it a config that needs it is refused. `own_inputs` says that
    tuned is to be given its own inputs, which changes what is told of differences.
    """

    def __init__(
        self, evidence: Evidence, *, trust_remote_code: bool = False, own_inputs: bool = False
    ) -> None:
        with refused_in_words(f"{evidence.folder / 'config.json'} does not say which network it is of"):
            evidence = without_head(evidence)
        self.name = evidence.model
        self.evidence = evidence.sentence
        self.class_names = evidence.class_names
        self._found = evidence
        self._own_inputs = own_inputs
        self._class = model_class(evidence, trust_remote_code=trust_remote_code)
        kind = evidence.other_kind or task_of(self.name)
        self.task = kind if evidence.sentences is None else "embedding"
        self._config = network_config(self._class, evidence)
        if self.task == "embedding" and getattr(self._class, "main_input_name", "") == "input_ids":
            self.task = (
                "embedding" if evidence.sentences or not _is_whole(self._class, self._config) else _WHOLE
            )
        self._arguments: dict[str, Any] | None = None
        self._landings: dict[Checkpoint, NameMapping] = {}
        self._slots: dict[Checkpoint, frozenset[str]] = {}
        self._base: tuple[Checkpoint, LoadedState] | None = None
        self._tokenizer: Any = None

    def build(self, base: Checkpoint, *, dtype: torch.dtype, device: torch.device, seed: int) -> Skeleton:  # noqa: ARG002
        """The network with base's weights; nothing in it is random, so `seed` plays no part."""
        loaded = self.load(self._landing(base).model, base, dtype=dtype, device=device)
        self._base = base, loaded
        model = self._landing(base).model
        assign_weights(model, loaded.state)
        model.to(device)
        return Skeleton(model=model.eval(), base=loaded, preparation=self._preparation(model))

    def outline(self, base: Checkpoint) -> Outline | None:
        """With stand-ins for base's tensors."""
        model = self._landing(base).model
        return Outline(model=model, preparation=self._preparation(model))

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
        landing, seen = self._landing(checkpoint), checkpoint
        notes = self._differences(checkpoint)
        if refitted := self._refitted(checkpoint, landing):
            landing, seen = refitted.landing, refitted.checkpoint
            notes = (*notes, refitted.said)
        if graft is not None and (other := self._other_labels(checkpoint)):
            refuse_other_head(checkpoint, [other] if graft.never else [])
            graft = Graft(names=graft.names, base=graft.base, always=True)
            notes = (*notes, f"{other}: base's head was grafted")
        loaded = load_weights(
            landing,
            seen,
            self._loader(checkpoint),
            dtype=dtype,
            device=device,
            graft=graft,
            shared=self._shared(checkpoint),
            notes=notes,
        )
        if refitted is None or self._base is None:
            return loaded
        return replace(loaded, state=refitted.filled(loaded.state, self._base[1].state))

    def vocabulary(self, checkpoint: Checkpoint) -> frozenset[str]:
        """By the network's own embeddings."""
        landing = self._landing(checkpoint)
        slots = self._slots[checkpoint]
        same = {name for name, tried in landing.tried.items() if tried in slots}
        return frozenset(landing.sources[name] for name in slots if name in landing.sources) | same

    def adapted(self, base: Checkpoint, path: Path, *, closes_base: bool = False) -> AdaptedCheckpoint:
        """The PEFT adapter at `path` on `base`, as a whole checkpoint."""
        return AdaptedCheckpoint(base, path, find_landing(base, self._loader(base)), closes_base=closes_base)

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

    def slot_sources(self, checkpoint: Checkpoint) -> Mapping[str, str]:
        """As the library puts them, and ties them."""
        return self._landing(checkpoint).sources

    def _refitted(self, checkpoint: Checkpoint, landing: NameMapping) -> Refitted | None:
        """`checkpoint` with base's rows of tokens, where it has others."""
        if self._base is None or not landing.mismatched:
            return None
        ids = () if self._tokenizer is None else self._tokenizer.get_vocab().values()
        return refit(
            checkpoint,
            landing,
            self._slots[self._base[0]],
            self._loader(checkpoint),
            last_token=max(ids, default=None),
            folder=self._found.folder,
        )

    def _landing(self, checkpoint: Checkpoint) -> NameMapping:
        if checkpoint not in self._landings:
            landing = self._landings[checkpoint] = find_landing(checkpoint, self._loader(checkpoint))
            # While what is tied is one tensor still.
            self._slots[checkpoint] = vocabulary_slots(landing.model)
        return self._landings[checkpoint]

    def _loader(self, checkpoint: Checkpoint) -> Loader:
        """The library's loader for `checkpoint`: base's config, but heads are tied as its own config says."""
        load = partial(self._load, tied_as(self._config, self._own_config(checkpoint)))
        file = Weights.of(checkpoint)

        def watched(tensors: dict[str, Tensor]) -> Loaded:
            with refusing_more(file, self._found.config, self._found.folder / "config.json"):
                return load(tensors)

        return watched

    def _own_config(self, checkpoint: Checkpoint) -> Any:
        """The config beside a tuned checkpoint, as the class reads it; base's where there is none."""
        folder = folder_of(checkpoint.path)
        own = folder.resolve() == self._found.folder.resolve() or isinstance(checkpoint, AdaptedCheckpoint)
        config = None if own else read_sidecar(folder, "config.json")
        if config is None or config.get("model_type") != self._found.config.get("model_type"):
            return self._config
        refuse_counts(Weights.of(checkpoint), config, folder / "config.json")
        return network_config(self._class, replace(self._found, config=config, folder=folder))

    def _load(self, config: Any, tensors: dict[str, Tensor]) -> Loaded:
        """The library's loader on tensors at hand. It converts nothing: they come in the dtype that is asked for."""
        # Decided by the first file, which is base: a pooler that it lacks was not trained, and feeds no embedding.
        if self._arguments is None:
            idle = self._found.sentences is not None or not any(map(is_of_pooler, tensors))
            self._arguments = without_pooler(self._class) if idle else {}
        floating = next((t.dtype for t in tensors.values() if t.is_floating_point()), torch.float32)
        with quiet_transformers():
            try:
                model, said = self._class.from_pretrained(
                    None,
                    config=config,
                    state_dict=tensors,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                    dtype=floating,
                    **self._arguments,
                )
            except Exception as error:  # a config can be wrong in any way, and the library checks few of them
                raise translated(f"{self.name} cannot be built", error) from error
        return Loaded(
            model=model,
            missing=tuple(sorted(said["missing_keys"])),
            unexpected=tuple(
                sorted(n for n in said["unexpected_keys"] if not (self._arguments and is_of_pooler(n)))
            ),
            mismatched=tuple(sorted(name for name, *_ in said["mismatched_keys"])),
        )

    def _preparation(self, model: nn.Module) -> Preparation:
        with refused_in_words(f"the files of {self._found.folder} do not say how its inputs are prepared"):
            return self._prepared(model)

    def _prepared(self, model: nn.Module) -> Preparation:
        if getattr(model, "main_input_name", "") == "input_ids":
            files = self._found.sentences
            text = TextPreparation(self._found.folder, self._config, model, files)
            self._tokenizer = text.tokenizer
            tokens = None if text.tokenizer is None else TokenReader(text.tokenizer, model, text.longest)
            sentences = None if files is None else Sentences(files)
            return Preparation(encode=text, tokens=tokens, sentences=sentences, said=text.said)
        image = ImagePreparation(self._found.folder, self._config)
        return Preparation(preprocess=image, said=image.said)

    def own_preparation(self, model: nn.Module, checkpoint: Checkpoint) -> Preparation | None:
        """By the tokenizer or image processor beside `checkpoint`."""
        base, tuned = self._found.folder, folder_of(checkpoint.path)
        with refused_in_words(f"--preprocess each: the files of {tuned} do not say how inputs are prepared"):
            if getattr(model, "main_input_name", "") == "input_ids":
                return own_texts(base, tuned, self._config, model)
            return own_images(base, tuned, self._config)

    def _as_read(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """A config with the library's defaults and spellings."""
        read: Mapping[str, Any] = network_config(self._class, replace(self._found, config=config)).to_dict()
        return read

    def _differences(self, checkpoint: Checkpoint) -> Notes:
        """What the files beside a tuned checkpoint say otherwise than base's, which are used for both."""
        folder = folder_of(checkpoint.path)
        if folder.resolve() == self._found.folder.resolve():
            return ()
        with refused_in_words(f"the files of {folder} cannot be compared with those of base"):
            return self._differences_of(folder)

    def _differences_of(self, folder: Path) -> Notes:
        own = self._own_inputs
        used = "each was given its own" if own else "base's was used for both"
        return (
            *config_differences(self._found.config, read_sidecar(folder, "config.json"), self._as_read),
            *other_inputs(processor_differences(self._found.folder, folder, used), own=own),
            *other_inputs(tokenizer_differences(self._found.folder, folder, used, own=own), own=own),
            *template_differences(self._found.folder, folder),
            *(() if self._found.sentences is None else sentence_differences(self._found.sentences, folder)),
        )

    def _other_labels(self, checkpoint: Checkpoint) -> str | None:
        """Why tuned's head answers another question than base's, if it does."""
        config = read_sidecar(folder_of(checkpoint.path), "config.json")
        theirs = None if config is None else label_names(config)
        if theirs is None or self.class_names is None or theirs == self.class_names:
            return None
        return f"its labels are {_some(theirs)}, base's are {_some(self.class_names)}"


_WHOLE = "sequence-to-sequence generation (encoder and decoder)"


def _is_whole(model_class: Any, config: Any) -> bool:
    """Encoder and decoder without a task of their own: a bare T5Model, but not its encoder alone."""
    takes = inspect.signature(model_class.forward).parameters
    return bool(getattr(config, "is_encoder_decoder", False)) and "decoder_input_ids" in takes


def _some(names: Sequence[str]) -> str:
    more = f", … {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} ({len(names)})"
