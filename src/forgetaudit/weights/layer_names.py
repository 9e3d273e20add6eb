"""Where a tensor lies in the network, told by names alone: the layer it belongs to, and the stage of that layer."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BLOCK", "HEAD", "REST", "STEM", "LayerNames", "layer_names", "natural"]

STEM, BLOCK, HEAD, REST = "stem", "block", "head", "rest"

# Names under which libraries keep the part after the features, and the part before the first block.
_HEADS = frozenset(
    {"head", "heads", "fc", "classifier", "cls", "score", "logits", "lm_head", "qa_outputs", "head_dist"}
)
_STEMS = frozenset({
    "embeddings", "embed_tokens", "embed", "wte", "wpe", "stem", "patch_embed", "patch_embeddings", "conv_stem",
    "conv1", "bn1", "cls_token", "pos_embed", "word_embeddings", "position_embeddings", "token_embedding", "embed_in",
})  # fmt: skip
_NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNames:
    """The stage of each layer, in the network's order as far as names tell it."""

    stages: dict[str, str]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The layers that are blocks, the first one first."""
        return tuple(layer for layer, stage in self.stages.items() if stage == BLOCK)


def layer_names(names: Iterable[str]) -> LayerNames:
    """Layers and stages from the names of tensors, without the network.

    A block is one of several numbered siblings (`layers.3`, `block3`) that hold more than one module each; the
    innermost such is taken. All else belongs to the highest module that holds no block; it is stem or head where
    its name is one that libraries use for them, else rest.
    """
    names = list(names)
    blocks = _blocks(names)
    above = {".".join(block.split(".")[:end]) for block in blocks for end in range(block.count(".") + 1)}
    layers = sorted({_layer(name, blocks, above) for name in names}, key=natural)
    stages = {layer: BLOCK if layer in blocks else _stage(layer) for layer in layers}
    order = (STEM, BLOCK, REST, HEAD)
    return LayerNames(stages=dict(sorted(stages.items(), key=lambda item: order.index(item[1]))))


def natural(name: str) -> list[tuple[int, str]]:
    """A key by which `layers.10` comes after `layers.9`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _blocks(names: Iterable[str]) -> frozenset[str]:
    """The paths of numbered modules that hold two modules or more and have a sibling that does, too."""
    modules: dict[str, set[str]] = defaultdict(set)
    for name in names:
        segments = name.split(".")
        for end in range(1, len(segments) - 1):
            if _NUMBERED.fullmatch(segments[end - 1]):
                modules[".".join(segments[:end])].add(".".join(segments[end:-1]))
    rows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, inside in modules.items():
        if len(inside) > 1:
            parent, _, last = path.rpartition(".")
            rows[parent, last.rstrip("0123456789")].append(path)
    return frozenset(path for paths in rows.values() if len(paths) > 1 for path in paths)


def _layer(name: str, blocks: frozenset[str], above: set[str]) -> str:
    segments = name.split(".")
    prefixes = [".".join(segments[:end]) for end in range(1, len(segments))]
    inside = [prefix for prefix in prefixes if prefix in blocks]
    if inside:
        # A tensor beside the inner blocks of a stage belongs to the stage's own part, not to one of them.
        last = inside[-1]
        return last if last not in above or last == prefixes[-1] else prefixes[prefixes.index(last) + 1]
    if not blocks:
        return prefixes[-1] if prefixes else ""
    return next((prefix for prefix in prefixes if prefix not in above), prefixes[-1] if prefixes else "")


def _stage(layer: str) -> str:
    segments = layer.split(".")
    if any(segment in _HEADS for segment in segments):
        return HEAD
    return STEM if any(segment in _STEMS for segment in segments) or not layer else REST
