"""From what an encoder returned to one embedding for each text. Axes: n texts, t tokens, d dimensions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from forgetaudit.data.batches import Batch
from forgetaudit.errors import ModelError
from forgetaudit.tasks.scoring import shape_text
from forgetaudit.tasks.task import Sentences

__all__ = ["MASK", "MeanOfTokens", "embeddings_in"]

MASK = "attention_mask"


class MeanOfTokens:
    """The mean over real tokens, compared by cosine: for encoders that do not say how they are read."""

    query_prompt = ""
    document_prompt = ""
    similarity = "cosine"
    said: tuple[str, ...] = (
        "embeddings: the mean of a text's tokens, because nothing beside the weights says how they are made",
    )

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Of hidden (n, t, d) under mask (n, t) -> (n, d) float32."""
        weights = mask.float()
        total = torch.einsum("ntd,nt->nd", hidden.float(), weights)
        return total / weights.sum(dim=1, keepdim=True).clamp(min=1)


def embeddings_in(outputs: Any, batch: Batch, sentences: Sentences) -> Tensor:
    """(n, d) float32: hidden states (n, t, d) pooled, or embeddings (n, d) as they are. ModelError for neither."""
    found = _tensor_in(outputs)
    n = len(batch)
    if found is None or not found.is_floating_point() or found.ndim not in (2, 3) or found.shape[0] != n:
        told = type(outputs).__name__ if found is None else shape_text(found.shape)
        raise ModelError(
            f"the model returned no hidden states but {told}, for {n} texts",
            hint=f"an encoder returns hidden states ({n}, t, d) as .last_hidden_state, or embeddings ({n}, d)",
        )
    if found.ndim == 2:
        return found.float()
    mask = torch.ones(found.shape[:2], device=found.device) if batch.mask is None else batch.mask
    if mask.shape != found.shape[:2]:
        raise ModelError(
            f"the model returned {found.shape[1]} hidden states for texts of {mask.shape[1]} tokens",
            hint="an encoder returns one hidden state for each token",
        )
    return sentences.pool(found, mask)


def _tensor_in(outputs: Any) -> Tensor | None:
    if isinstance(outputs, Tensor):
        return outputs
    key = "last_hidden_state"
    hidden = outputs.get(key) if isinstance(outputs, Mapping) else getattr(outputs, key, None)
    if hidden is None and isinstance(outputs, tuple) and outputs:
        hidden = outputs[0]
    return hidden if isinstance(hidden, Tensor) else None
