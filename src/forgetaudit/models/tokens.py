"""Text token by token, as base's tokenizer reads it: for tasks that put rows together themselves."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from forgetaudit.models.odd_files import refused_in_words
from forgetaudit.models.padding import find_padding
from forgetaudit.models.silence_transformers import quiet_transformers

__all__ = ["TokenReader"]


class TokenReader:
    """`tokenizer`, and what `model` takes: `forgetaudit.tasks.task.Tokens`. `longest` is the most tokens of a row."""

    def __init__(self, tokenizer: Any, model: nn.Module, longest: int) -> None:
        self._tokenizer = tokenizer
        self.longest = longest
        self.vocabulary = _vocabulary(tokenizer, model)
        self.arguments = frozenset(inspect.signature(model.forward).parameters)
        self.special = frozenset(int(number) for number in tokenizer.all_special_ids)
        self.mask: int | None = tokenizer.mask_token_id
        self.start = _start(tokenizer)
        self.pad = find_padding(tokenizer, model).id

    def read(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[int]]:
        """The ids of each text, whole, however long; with what the tokenizer puts around a text, or without."""
        if not texts:
            return []
        with refused_in_words("the tokenizer cannot read the texts"), quiet_transformers():
            found = self._tokenizer(
                list(texts),
                add_special_tokens=special_tokens,
                truncation=False,
                return_attention_mask=False,
            )["input_ids"]
        return [[int(number) for number in ids] for ids in found]


def _vocabulary(tokenizer: Any, model: nn.Module) -> int:
    """How many scores the network gives for one token; where it does not say, how many tokens there are."""
    find = getattr(model, "get_output_embeddings", None)
    weight = getattr(find() if callable(find) else None, "weight", None)
    return int(weight.shape[0]) if isinstance(weight, Tensor) else max(1, len(tokenizer))


def _start(tokenizer: Any) -> int | None:
    """What stands before a text where nothing else does: lm-eval's prefix token, the first of start and end."""
    for number in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if number is not None:
            return int(number)
    return None
