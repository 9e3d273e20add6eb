"""Parameter names: segments between dots, the wrappers that libraries put in, and prefixes."""

from collections import Counter
from collections.abc import Iterable

__all__ = [
    "MAX_PREFIX_SEGMENTS",
    "canonical",
    "differs_in_numbers_only",
    "removed_segments",
    "respelled",
    "splits",
]

MAX_PREFIX_SEGMENTS = 4

# Put in anywhere in a name by DistributedDataParallel, torch.compile, FSDP, activation checkpointing, DeepSpeed, PEFT.
_WRAPPERS = frozenset(
    {
        "module",
        "_orig_mod",
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",
        "_forward_module",
        "base_layer",
        "base_model",
        "model",
        "net",
        "network",
    }
)
# BERT's first checkpoints, and weight_norm before and after torch 2.0.
_OLD_ENDINGS = (
    ("LayerNorm.gamma", "LayerNorm.weight"),
    ("LayerNorm.beta", "LayerNorm.bias"),
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)


def canonical(name: str) -> str:
    """The name without wrapper segments, in today's spelling: "module.a._orig_mod.weight" -> "a.weight".

    A name of wrapper segments alone keeps its last one.
    """
    *parents, leaf = name.split(".")
    return respelled(".".join([*(segment for segment in parents if segment not in _WRAPPERS), leaf]))


def respelled(name: str) -> str:
    """The name with its ending in today's spelling: "LayerNorm.gamma" -> "LayerNorm.weight"."""
    for old, new in _OLD_ENDINGS:
        if name == old or name.endswith("." + old):
            return name.removesuffix(old) + new
    return name


def removed_segments(name: str, other: str) -> Counter[str]:
    """The wrapper segments that `name` has and `other` has not: how to get from one to the other."""
    return _wrappers_in(name) - _wrappers_in(other)


def _wrappers_in(name: str) -> Counter[str]:
    return Counter(segment for segment in name.split(".")[:-1] if segment in _WRAPPERS)


def splits(name: str) -> Iterable[tuple[str, str]]:
    """The ways to cut off a prefix of 0 to 4 whole segments: ("", "a.b.c"), ("a.", "b.c"), ("a.b.", "c")."""
    segments = name.split(".")
    for cut in range(min(MAX_PREFIX_SEGMENTS, len(segments) - 1) + 1):
        yield "".join(segment + "." for segment in segments[:cut]), ".".join(segments[cut:])


def differs_in_numbers_only(prefix: str, other: str) -> bool:
    """True for "layers.0." and "layers.1.": not a renaming but another place in the network."""
    return prefix != other and _without_numbers(prefix) == _without_numbers(other)


def _without_numbers(prefix: str) -> list[str]:
    return ["#" if segment.isdigit() else segment for segment in prefix.split(".")]
