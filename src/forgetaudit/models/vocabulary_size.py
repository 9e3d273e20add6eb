"""Rows of tokens, told by the two config.json alone: where no network is built. No torch here."""

from collections.abc import Iterable

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.models.sidecars import folder_of, read_sidecar

__all__ = ["rows_by_config"]


def rows_by_config(
    base: Checkpoint, tuned: Checkpoint, reshaped: Iterable[tuple[str, str]]
) -> frozenset[str]:
    """Those of base's tensors that have a row for each token of a vocabulary that was resized.

    Both configs name the size of it, the sizes differ, and so many rows the tensor has, in base and in tuned.
    """
    before, after = _n_tokens(base), _n_tokens(tuned)
    if before is None or after is None or before == after:
        return frozenset()
    return frozenset(
        name
        for name, other in reshaped
        if base.tensors[name].shape[:1] == (before,) and tuned.tensors[other].shape[:1] == (after,)
    )


def _n_tokens(checkpoint: Checkpoint) -> int | None:
    config = read_sidecar(folder_of(checkpoint.path), "config.json") or {}
    text = config.get("text_config")
    for place in (config, text if isinstance(text, dict) else {}):
        if isinstance(size := place.get("vocab_size"), int):
            return size
    return None
