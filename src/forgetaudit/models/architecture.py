"""How a network is built and filled, whoever builds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.models.loading import Graft, LoadedState
from forgetaudit.models.sentence_transformers import Sentences
from forgetaudit.models.tokens import TokenReader

__all__ = ["Architecture", "Encode", "Graft", "Outline", "Preparation", "Skeleton"]

# Texts, or pairs of texts -> the model's arguments by name, each (n, t), attention_mask among them.
Encode = Callable[[Sequence[str] | Sequence[tuple[str, str]]], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How raw inputs become what the network takes, by base's own files, and so for every variant, or by tuned's.

    `preprocess` turns one image or array into one tensor (None: pixels in [0, 1]); `encode` turns texts into
    arguments (None: the network takes no text), `tokens` reads texts token by token. `sentences` says how tokens
    become embeddings (None: nothing says). `said` is the sentence for the report.
    """

    preprocess: Callable[[Any], Any] | None = None
    encode: Encode | None = None
    tokens: TokenReader | None = None
    sentences: Sentences | None = None
    said: str = "pixels in [0, 1], arrays as they are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """The network in eval mode on its device, and base's tensors under its names."""

    model: nn.Module
    base: LoadedState
    preparation: Preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The network's modules, whose tensors stand for none, and how its inputs are prepared: what is known unread."""

    model: nn.Module
    preparation: Preparation


class Architecture(Protocol):
    """One network, recognised; checkpoints are loaded into it strictly."""

    @property
    def name(self) -> str:
        """What builds it: `digits.py:build`, `ViTForImageClassification`."""
        ...

    @property
    def evidence(self) -> str:
        """Why it was taken for this network; printed."""
        ...

    @property
    def task(self) -> str | None:
        """The task it was made for, as `--task` calls it; None where nothing says."""
        ...

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The labels in the order of the scores; None where the checkpoint names none."""
        ...

    def build(self, base: Checkpoint, *, dtype: torch.dtype, device: torch.device, seed: int) -> Skeleton:
        """The network with base's weights. ModelError where it cannot be built, MismatchError where they do not fit."""
        ...

    def outline(self, base: Checkpoint) -> Outline | None:
        """The network without its weights; None where only code of the user's could tell. Errors as of `build`."""
        ...

    def load(
        self,
        model: nn.Module,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype,
        device: torch.device,
        graft: Graft | None = None,
    ) -> LoadedState:
        """Another checkpoint's tensors under the network's names. MismatchError naming everything that does not fit."""
        ...

    def model_names(self, checkpoint: Checkpoint) -> Mapping[str, str]:
        """The network's name of each tensor whose name in the file is known to be another spelling of it.

        Empty where the library has no spellings of its own.
        """
        ...

    def slot_sources(self, checkpoint: Checkpoint) -> Mapping[str, str]:
        """The file's tensor at each name of the network that takes one as it is, tied names among them.

        Empty where the names in the file are the network's.
        """
        ...

    def vocabulary(self, checkpoint: Checkpoint) -> frozenset[str]:
        """The tensors of the file that have a row for each token; empty where nothing says which."""
        ...

    def own_preparation(self, model: nn.Module, checkpoint: Checkpoint) -> Preparation | None:
        """How the files beside a tuned checkpoint prepare inputs for `model`; None where it is as base's do.

        ModelError where they do not say; MismatchError where the network cannot take what they make.
        """
        ...
