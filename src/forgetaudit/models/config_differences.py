"""Whether two configs speak of one network: what changes what it computes without changing any shape."""

from collections.abc import Mapping
from typing import Any

from forgetaudit.errors import MismatchError

__all__ = ["changed", "config_differences"]

# Bookkeeping, training, and what is told elsewhere: labels, rows of tokens.
_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "auto_map", "bos_token_id", "dtype", "eos_token_id", "finetuning_task",
    "gradient_checkpointing", "id2label", "initializer_factor", "initializer_range", "label2id", "num_labels",
    "output_attentions", "output_hidden_states", "pad_token_id", "problem_type", "torch_dtype",
    "transformers_version", "use_cache", "vocab_size",
}  # fmt: skip


def config_differences(base: Mapping[str, Any], tuned: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Sentences on what tuned's config says otherwise; base's is used for both. MismatchError for another network."""
    if tuned is None:
        return ()
    kinds = base.get("model_type"), tuned.get("model_type")
    if None not in kinds and kinds[0] != kinds[1]:
        raise MismatchError(
            f"base and tuned are not versions of one network: base is {kinds[0]}, tuned is {kinds[1]}",
            details=["told by model_type in their config.json"],
            hint="pass the checkpoint you started from as BASE",
        )
    notes = []
    classes = [_first(config.get("architectures")) for config in (base, tuned)]
    if None not in classes and classes[0] != classes[1]:
        notes.append(f"its config names {classes[1]}; it was loaded as base's {classes[0]}")
    if told := changed(base, tuned, without=_WITHOUT_EFFECT):
        notes.append(f"its config differs: {told}; base's was used for both")
    return tuple(notes)


def changed(base: Mapping[str, Any], tuned: Mapping[str, Any], *, without: set[str]) -> str:
    """`mean 0.5 → 0.4, size 224 → 256`: the keys with other values; those of dropout and of one side only left out."""
    keys = [key for key in base if key in tuned and base[key] != tuned[key] and key not in without]
    told = [f"{key} {base[key]} → {tuned[key]}" for key in keys if "drop" not in key]
    more = f", … {len(told) - 4} more" if len(told) > 4 else ""
    return ", ".join(told[:4]) + more


def _first(found: object) -> object:
    return found[0] if isinstance(found, list) and found else None
