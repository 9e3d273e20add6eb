"""Whether two configs speak of one network: what changes what it computes without changing any shape."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from forgetaudit.errors import MismatchError
from forgetaudit.gaps import Gap, Notes

__all__ = ["changed", "config_differences", "other_inputs"]

# Bookkeeping, training, and what is told elsewhere: labels, rows of tokens, whether a head is tied, how much is read.
_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "auto_map", "bos_token_id", "dtype", "eos_token_id", "finetuning_task",
    "gradient_checkpointing", "id2label", "initializer_factor", "initializer_range", "label2id",
    "max_position_embeddings", "num_labels", "output_attentions", "output_hidden_states", "pad_token_id",
    "problem_type", "tie_word_embeddings", "torch_dtype", "transformers_version", "use_cache", "vocab_size",
}  # fmt: skip


def config_differences(
    base: Mapping[str, Any],
    tuned: Mapping[str, Any] | None,
    read: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Notes:
    """What tuned's config says otherwise, while base's is used for both. MismatchError for another network.

    `read` gives a config as its library reads it, defaults and older spellings filled in: what differs then makes the
    network compute something else than tuned's own files would, and nothing passes over that.
    """
    if tuned is None:
        return ()
    kinds = base.get("model_type"), tuned.get("model_type")
    if None not in kinds and kinds[0] != kinds[1]:
        raise MismatchError(
            f"base and tuned are not versions of one network: base is {kinds[0]}, tuned is {kinds[1]}",
            details=["told by model_type in their config.json"],
            hint="pass the checkpoint you started from as BASE",
        )
    notes: list[str | Gap] = []
    classes = [_first(config.get("architectures")) for config in (base, tuned)]
    if None not in classes and classes[0] != classes[1]:
        notes.append(f"its config names {classes[1]}; it was loaded as base's {classes[0]}")
    if told := changed(dict(_leaves(read(base))), dict(_leaves(read(tuned))), without=_WITHOUT_EFFECT):
        notes.append(
            Gap(
                ident="config-differs",
                what=f"its config differs: {told}; base's was used for both",
                advice="audit with the config that both were trained under, or judge the weights alone",
                holds="behaviour",
            )
        )
    return tuple(notes)


def other_inputs(sentences: Sequence[str], *, own: bool) -> Notes:
    """What tuned's tokenizer or processor does otherwise: on the first screen, unless each is given its `own`."""
    if own:
        return tuple(sentences)
    advice = "pass --preprocess each to give each its own, where the task allows it"
    return tuple(
        Gap(ident="preprocessing-differs", what=sentence, advice=advice, holds="nothing")
        for sentence in sentences
    )


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key, those of configs inside it too."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def changed(base: Mapping[str, Any], tuned: Mapping[str, Any], *, without: set[str]) -> str:
    """`mean 0.5 → 0.4, size 224 → 256`: the keys with other values; those of dropout and of one side only left out."""
    keys = [
        key for key in base if key in tuned and base[key] != tuned[key] and without.isdisjoint(key.split("."))
    ]
    told = [f"{key} {base[key]} → {tuned[key]}" for key in keys if "drop" not in key]
    more = f", … {len(told) - 4} more" if len(told) > 4 else ""
    return ", ".join(told[:4]) + more


def _first(found: object) -> object:
    return found[0] if isinstance(found, list) and found else None
