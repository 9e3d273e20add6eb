"""--preprocess each: tuned's inputs, prepared by the files that were saved with it."""

from pathlib import Path
from typing import Any

from torch import nn

from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.models.architecture import Preparation
from forgetaudit.models.images import PROCESSOR_FILE, ImagePreparation, same_processor
from forgetaudit.models.sidecars import read_sidecar
from forgetaudit.models.texts import TextPreparation, same_tokenizer

__all__ = ["own_images", "own_texts"]

_WHOSE = "its own"


def own_images(base: Path, tuned: Path, config: Any) -> Preparation | None:
    """As tuned's image processor prepares them; None where it is base's. ModelError where it has none."""
    if read_sidecar(tuned, PROCESSOR_FILE) is None:
        raise _nothing_of_its_own(tuned, PROCESSOR_FILE)
    if same_processor(base, tuned):
        return None
    image = ImagePreparation(tuned, config, _WHOSE)
    return Preparation(preprocess=image, said=image.said)


def own_texts(base: Path, tuned: Path, config: Any, model: nn.Module) -> Preparation | None:
    """As tuned's tokenizer reads them; None where it is base's.

    ModelError where it has none; MismatchError where it gives ids that base's network has no rows for, or pads with
    another than the one that the network knows padding by.
    """
    if same_tokenizer(base, tuned):
        return None
    text = TextPreparation(tuned, config, model, whose=_WHOSE)
    if text.tokenizer is None:
        raise _nothing_of_its_own(tuned, "tokenizer")
    _refuse_tokens_without_rows(tuned, text.tokenizer, model)
    _refuse_other_padding(tuned, text.tokenizer, model)
    return Preparation(encode=text, said=text.said)


def _nothing_of_its_own(tuned: Path, what: str) -> ModelError:
    return ModelError(
        f"--preprocess each: {tuned} has no {what} of its own",
        hint="copy the one it was trained with there, or leave the option out: base's is then used for both",
    )


def _refuse_tokens_without_rows(tuned: Path, tokenizer: Any, model: nn.Module) -> None:
    whole: Any = model
    n_rows = whole.get_input_embeddings().weight.shape[0]
    beyond = sorted(token for token, number in tokenizer.get_vocab().items() if number >= n_rows)
    if beyond:
        raise MismatchError(
            f"--preprocess each: the tokenizer of {tuned} gives {len(beyond):,} tokens ids from {n_rows:,} on",
            details=[f"base's network, in which both are run, has rows up to {n_rows - 1:,}"],
            hint="leave the option out: base's tokenizer is then used for both",
        )


def _refuse_other_padding(tuned: Path, tokenizer: Any, model: nn.Module) -> None:
    """Some networks number positions, or find the last token, by the id of padding and not by the mask."""
    whole: Any = model
    known = getattr(whole.config, "pad_token_id", None)
    if known is not None and tokenizer.pad_token_id != known:
        raise MismatchError(
            f"--preprocess each: the tokenizer of {tuned} pads with the id {tokenizer.pad_token_id}",
            details=[f"base's network, in which both are run, knows padding by the id {known}"],
            hint="leave the option out: base's tokenizer is then used for both",
        )
