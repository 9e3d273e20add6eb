"""A LoRA adapter's change of base, measured from its factors: not merged, and with base or without it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.errors import MismatchError, UnreadableCheckpoint, listing
from forgetaudit.weights.low_rank import LowRank
from forgetaudit.weights.reading import has_numbers, matrix_shape, read_rows

__all__ = ["AdapterChange", "as_in_base", "find_in_base", "is_plain_lora", "read_lora"]

_PREFIX = "base_model.model."
_PARTS = re.compile(r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B)(\.weight)?")
# With these the change is the product of its factors. Any other setting, also one that is not made yet, is PEFT's.
_PLAIN = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "eva_config", "exclude_modules",
    "ensure_weight_tying", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern",
    "layers_to_transform", "loftq_config", "lora_alpha", "lora_dropout", "lora_ga_config", "megatron_config",
    "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern",
    "revision", "runtime_config", "target_modules", "task_type", "use_rslora",
}  # fmt: skip
# Which of the patterns is taken for a module: asked of PEFT.
PatternKey = Callable[[Sequence[str], str], str]
# The name of a module, perhaps with its end marked. Any other expression of a file is not run: it could take for ever.
_PLAIN_PATTERN = re.compile(r"\^?[\w.]+\$?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterChange:
    """What an adapter does: `factors` by the name of base's tensor, and `replaced`: own tensor → base's name."""

    factors: Mapping[str, LowRank]
    replaced: Mapping[str, str]


def is_plain_lora(config: Mapping[str, Any], adapter: Checkpoint) -> bool:
    """Whether the change of every weight is the product of two matrices and nothing else, with scales that are said."""
    patterns = [*_mapping(config.get("alpha_pattern")), *_mapping(config.get("rank_pattern"))]
    return (
        config.get("peft_type") == "LORA"
        and all(key in _PLAIN or not value for key, value in config.items())
        and isinstance(config.get("lora_alpha"), int | float)
        and all(_PLAIN_PATTERN.fullmatch(pattern) for pattern in patterns)
        and all(len(info.shape) == 2 for name, info in adapter.tensors.items() if _PARTS.fullmatch(name))
    )


def read_lora(adapter: Checkpoint, config: Mapping[str, Any], pattern_key: PatternKey) -> AdapterChange:
    """Pair up the factors; `pattern_key` says which of `alpha_pattern` is a module's.

    UnreadableCheckpoint where one lacks the other, or they don't fit each other.
    """
    parts: dict[str, dict[str, str]] = {}
    replaced: dict[str, str] = {}
    for name in adapter.tensors:
        found = _PARTS.fullmatch(name)
        if found is None:
            replaced[name] = _plain(name)
        else:
            parts.setdefault(found["module"], {})[found["part"]] = name
    factors = {}
    for module, named in parts.items():
        factors[_plain(module) + ".weight"] = _factors(adapter, module, named, config, pattern_key)
    return AdapterChange(factors=factors, replaced=replaced)


def find_in_base(change: AdapterChange, base: Checkpoint) -> Callable[[str], str]:
    """A function from the adapter's names to base's. MismatchError where one of them has no place of its shape."""
    wanted = [*change.factors, *change.replaced.values()]
    places = {name: _place(name, base.tensors) for name in wanted}
    lost = [name for name, place in places.items() if place is None]
    if lost or not wanted:
        raise MismatchError(
            f"the adapter does not fit base: {len(lost)} of its {len(wanted)} tensors find no place",
            details=[listing("without a place in base", lost)] if lost else [],
            hint="pass the base that the adapter was trained on",
        )
    for name, low_rank in change.factors.items():
        info = base.tensors[places[name] or name]
        if matrix_shape(info) not in (low_rank.shape, low_rank.shape[::-1]) or not has_numbers(info):
            raise MismatchError(
                f"the adapter does not fit base: {name} has the shape {low_rank.shape} there",
                details=[f"in base it is {info.shape}, {info.dtype}"],
                hint="pass the base that the adapter was trained on",
            )
    return lambda name: places[name] or name


def as_in_base(change: AdapterChange, base: Checkpoint, place: Callable[[str], str]) -> Mapping[str, LowRank]:
    """The factors by base's names, each turned as base's tensor lies there.

    PEFT turns what hangs on a Conv1D whatever `fan_in_fan_out` says, so the shapes are believed before the config;
    a square matrix is turned where others are.
    """
    shapes = {name: matrix_shape(base.tensors[place(name)]) for name in change.factors}
    turned = {name for name, low_rank in change.factors.items() if shapes[name] != low_rank.shape}
    if turned:
        turned |= {name for name, shape in shapes.items() if shape[0] == shape[1]}
    return {
        place(name): LowRank(a=one.b.T.copy(), b=one.a.T.copy(), scale=one.scale) if name in turned else one
        for name, one in change.factors.items()
    }


def _plain(name: str) -> str:
    return name.removeprefix(_PREFIX).replace(".base_layer.", ".").replace(".modules_to_save.", ".")


def _place(name: str, tensors: Mapping[str, TensorInfo]) -> str | None:
    """The same name, or the only one that ends in it or that it ends in: files leave prefixes out."""
    if name in tensors:
        return name
    near = [other for other in tensors if other.endswith(f".{name}") or name.endswith(f".{other}")]
    return near[0] if len(near) == 1 else None


def _factors(
    adapter: Checkpoint,
    module: str,
    named: Mapping[str, str],
    config: Mapping[str, Any],
    pattern_key: PatternKey,
) -> LowRank:
    embedding = "lora_embedding_A" in named
    names = [named.get(("lora_embedding_" if embedding else "lora_") + side) for side in "AB"]
    if None in names or any(len(adapter.tensors[str(name)].shape) != 2 for name in names):
        raise UnreadableCheckpoint(
            f"{adapter.path} lacks one of the two factors of {module}, or holds it in another form than a matrix",
            hint="save the adapter again with save_pretrained",
        )
    a, b = (read_rows(adapter, str(name), 0, adapter.tensors[str(name)].shape[0]) for name in names)
    if a.shape[0] != b.shape[1] or not np.isfinite(a).all() or not np.isfinite(b).all():
        raise UnreadableCheckpoint(
            f"{adapter.path} holds factors of {module} that cannot be multiplied: {a.shape} and {b.shape}",
            details=["NaN or infinite values count as such"],
            hint="save the adapter again from a step before training diverged",
        )
    scale = _scale(_plain(module), a.shape[0], config, pattern_key)
    # An embedding looks its rows up, and Conv1D multiplies from the other side: their weights lie transposed.
    if embedding or config.get("fan_in_fan_out"):
        return LowRank(a=b.T.copy(), b=a.T.copy(), scale=scale)
    return LowRank(a=a, b=b, scale=scale)


def _scale(module: str, rank: int, config: Mapping[str, Any], pattern_key: PatternKey) -> float:
    """The factor alpha / r, or alpha / √r where the adapter is rank-stabilised (Kalajdzievski, arXiv 2312.03732)."""
    alpha, patterns = config["lora_alpha"], _mapping(config.get("alpha_pattern"))
    if patterns:
        alpha = patterns.get(pattern_key(list(patterns), module), alpha)
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
