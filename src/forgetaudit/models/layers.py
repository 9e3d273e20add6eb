"""Which layers are watched: found from the module tree, blocks before leaves; stem, blocks and head recognised."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase

from torch import nn

from forgetaudit.errors import UsageError, listing

__all__ = ["MOST_LAYERS", "Layer", "Stage", "find_layers", "select_layers"]

MOST_LAYERS = 30

# Names under which libraries keep the part after the features (timm, torchvision, transformers).
_HEAD_NAMES = {
    "head", "heads", "fc", "classifier", "cls", "score", "logits", "lm_head", "qa_outputs", "head_dist"
}  # fmt: skip
_LISTS = (nn.ModuleList, nn.ModuleDict)


class Stage(StrEnum):
    """Parts of a network, in the field's words."""

    STEM = "stem"
    BLOCK = "block"
    HEAD = "head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Where features are read and weights are summed: a module path and the stage it belongs to."""

    name: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    module: nn.Module
    # An item of a ModuleList, or one of its kind in a Sequential, is a block however it is built inside.
    is_block: bool = False

    @property
    def is_leaf(self) -> bool:
        return next(self.module.children(), None) is None


def find_layers(model: nn.Module, most: int = MOST_LAYERS) -> tuple[Layer, ...]:
    """The layers of `model` in the order of its module tree, at most about `most`.

    Containers are opened as long as that yields whole blocks; a block is not opened into its leaves. Where a
    deep network has more blocks than `most`, evenly spaced ones are kept, the first and the last among them.
    """
    found = _thinned(_once(_opened(_unwrapped(model))), most)
    stages = _stages(found, _declared_heads(model))
    return tuple(Layer(name=c.name, stage=stage) for c, stage in zip(found, stages, strict=True))


def _once(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """A module that is reachable under two names is one layer, under the first of them."""
    seen: set[int] = set()
    found = []
    for candidate in candidates:
        inside = {id(module) for module in candidate.module.modules() if module._parameters}
        if not inside <= seen:
            found.append(candidate)
        seen |= inside
    return found


def select_layers(model: nn.Module, patterns: Sequence[str], most: int = MOST_LAYERS) -> tuple[Layer, ...]:
    """Every module whose path matches one of `patterns` (shell style); all of `find_layers` if there are none.

    UsageError for a pattern that matches nothing, naming the nearest module paths.
    """
    found = find_layers(model, most)
    if not patterns:
        return found
    names = [name for name, module in model.named_modules() if name and not isinstance(module, _LISTS)]
    chosen: set[str] = set()
    for pattern in patterns:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            near = get_close_matches(pattern, names, n=3, cutoff=0.3) or names[:3]
            raise UsageError(
                f"--layers {pattern} matches no layer",
                details=[listing("layers", names, shown=6)],
                hint=f"did you mean {', '.join(near)}?",
            )
        chosen.update(matches)
    return tuple(Layer(name=name, stage=_stage_of(name, found)) for name in names if name in chosen)


def _stage_of(name: str, found: Sequence[Layer]) -> Stage:
    """The stage of the found layer that `name` is, lies in, or contains."""
    for layer in found:
        if f"{name}.".startswith(f"{layer.name}.") or layer.name.startswith(f"{name}."):
            return layer.stage
    return Stage.BLOCK


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _children(module: nn.Module, prefix: str) -> list[_Candidate]:
    kinds = _block_kinds(module)
    return [
        _Candidate(f"{prefix}{name}", child, is_block=isinstance(module, _LISTS) or kinds[type(child)] >= 2)
        for name, child in module.named_children()
        if _has_parameters(child)
    ]


def _unwrapped(model: nn.Module) -> list[_Candidate]:
    """The children of `model`, or of the one network that it wraps, as a normalisation around it does."""
    found = _children(model, "")
    while (
        len(found) == 1 and not found[0].is_leaf and not isinstance(found[0].module, (*_LISTS, nn.Sequential))
    ):
        inner = _children(found[0].module, f"{found[0].name}.")
        if not inner:
            break
        found = inner
    return found


def _opened(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    opened = []
    for candidate in candidates:
        inner = _children(candidate.module, f"{candidate.name}.")
        if _is_container(candidate, inner):
            opened += _opened(inner)
        else:
            opened.append(candidate)
    return opened


def _is_container(candidate: _Candidate, inner: Sequence[_Candidate]) -> bool:
    """Lists are never called themselves; a Sequential of blocks is a stage; the rest holds a list of blocks."""
    if isinstance(candidate.module, _LISTS):
        return True
    if candidate.is_block or candidate.is_leaf:
        return False
    if _has_head_name(candidate) and _is_norm_and_scores(inner):
        return True
    if isinstance(candidate.module, nn.Sequential):
        return sum(not child.is_leaf for child in inner) >= 2
    return any(_holds_blocks(module) for module in candidate.module.modules())


def _is_norm_and_scores(inner: Sequence[_Candidate]) -> bool:
    """A normalisation of the features and the one map to the scores, as in ConvNeXt: only the second is a head."""
    if len(inner) < 2 or not all(candidate.is_leaf for candidate in inner):
        return False
    *before, last = (candidate.module for candidate in inner)
    return not any(map(_maps, before)) and isinstance(last, (nn.Linear, nn.Conv2d))


def _holds_blocks(module: nn.Module) -> bool:
    """Several non-leaf children of one type in a list or Sequential: the trunk of a network."""
    return max(_block_kinds(module).values(), default=0) >= 2


def _block_kinds(module: nn.Module) -> Counter[type[nn.Module]]:
    """How often each kind of block stands in a list or Sequential; containers are no blocks."""
    if not isinstance(module, (nn.ModuleList, nn.Sequential)):
        return Counter()
    return Counter(
        type(child)
        for child in module
        if next(child.children(), None) is not None and not isinstance(child, (*_LISTS, nn.Sequential))
    )


def _stages(found: Sequence[_Candidate], declared: Collection[str]) -> list[Stage]:
    """Stem: all before the blocks. Names are asked first for the head: it may be registered before it is called."""
    heads = _heads(found, declared)
    body = [candidate for index, candidate in enumerate(found) if index not in heads]
    first_block = _first_block(body)
    stages = [Stage.STEM if index < first_block else Stage.BLOCK for index in range(len(body))]
    for index in sorted(heads):
        stages.insert(index, Stage.HEAD)
    return stages


def _heads(found: Sequence[_Candidate], declared: Collection[str]) -> set[int]:
    """What the network declares, else the last one with a head's name, else the last one that ends as a head does."""
    holding = {
        index
        for index, candidate in enumerate(found)
        if any(f"{name}.".startswith(f"{candidate.name}.") for name in declared)
    }
    if holding:
        return holding
    if named := [index for index, candidate in enumerate(found) if _has_head_name(candidate)]:
        return {named[-1]}
    last = len(found) - 1
    return {last} if last > 0 and _ends_in_scores(found[last]) else set()


def _declared_heads(model: nn.Module) -> tuple[str, ...]:
    """The modules that give the scores, as networks of timm declare them; some have two."""
    settings = getattr(model, "pretrained_cfg", None)
    declared = settings.get("classifier") if isinstance(settings, Mapping) else None
    names = declared if isinstance(declared, (list, tuple)) else [declared]
    return tuple(name for name in names if isinstance(name, str) and name)


def _has_head_name(candidate: _Candidate) -> bool:
    return not candidate.is_block and re.sub(r"\d+$", "", candidate.name.rpartition(".")[2]) in _HEAD_NAMES


def _ends_in_scores(candidate: _Candidate) -> bool:
    leaves = [
        m for m in candidate.module.modules() if next(m.children(), None) is None and _has_parameters(m)
    ]
    return len(leaves) <= 3 and not candidate.is_block and isinstance(leaves[-1], (nn.Linear, nn.Conv2d))


def _first_block(body: Sequence[_Candidate]) -> int:
    # A Sequential says nothing of what is in it, and a normalisation with its activation is no block.
    kinds = Counter(
        type(candidate.module)
        for candidate in body
        if not candidate.is_leaf and type(candidate.module) is not nn.Sequential and _maps(candidate.module)
    )
    repeated = [kind for kind, count in kinds.most_common() if count >= 2]
    for index, candidate in enumerate(body):
        if candidate.name.partition(".")[0] == "stem":
            continue
        if candidate.is_block or _is_stage_of_one(candidate) or type(candidate.module) in repeated[:1]:
            return index
    return min(1, len(body) - 1)


def _maps(module: nn.Module) -> bool:
    """Holds more than a scale and a shift per channel."""
    return any(parameter.dim() > 1 for parameter in module.parameters())


def _is_stage_of_one(candidate: _Candidate) -> bool:
    """A numbered Sequential around one block: a stage as the others are, of the least depth."""
    inner = _children(candidate.module, "")
    numbered = candidate.name[-1:].isdigit() and type(candidate.module) is nn.Sequential
    return numbered and len(inner) == 1 and not inner[0].is_leaf


def _thinned(found: list[_Candidate], most: int) -> list[_Candidate]:
    if len(found) <= most:
        return found
    kept = {round(index * (len(found) - 1) / (most - 1)) for index in range(most)}
    return [candidate for index, candidate in enumerate(found) if index in kept]
