"""Where every tensor sits: the parts that can be rolled back, and the depth of each, as ramps need it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgetaudit.engine.variants import Slot
from forgetaudit.models.layers import Layer, Stage

__all__ = ["Depths", "find_depths"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """`part` names each slot's part, a layer of the network; `stage` its stage; `depth` its block, 1 to `n_blocks`.

    What comes before the blocks has depth 1, what comes after the last `n_blocks`. `buffers` are the slots that no
    optimizer moves.
    """

    part: Mapping[str, str]
    stage: Mapping[str, Stage]
    depth: Mapping[str, int]
    n_blocks: int
    buffers: frozenset[str]

    @property
    def head(self) -> frozenset[str]:
        """The slots of the head."""
        return frozenset(slot for slot, stage in self.stage.items() if stage is Stage.HEAD)

    def stages(self) -> tuple[Stage, ...]:
        """Every stage, in the network's order."""
        return tuple(dict.fromkeys(self.stage.values()))

    def parts(self) -> tuple[str, ...]:
        """Every part, in the network's order."""
        return tuple(dict.fromkeys(self.part.values()))

    def slots_of(self, part: str) -> tuple[str, ...]:
        """The slots of one part."""
        return tuple(slot for slot, name in self.part.items() if name == part)


def find_depths(slots: Mapping[str, Slot], layers: Sequence[Layer], order: Sequence[str]) -> Depths:
    """`layers` must be all of them, not a sample; `order` the paths of the modules as the network has them.

    A tensor outside every layer (a final normalisation, a class token) goes with the layer before it.
    """
    place = {path: number for number, path in enumerate(order)}
    ordered = sorted(layers, key=lambda layer: place.get(layer.name, len(place)))
    blocks = [layer.name for layer in ordered if layer.stage is Stage.BLOCK]
    part: dict[str, str] = {}
    for slot in slots:
        found = [layer.name for layer in ordered if slot.startswith(f"{layer.name}.")]
        part[slot] = max(found, key=len) if found else _before(slot, ordered, place)
    stages = {layer.name: layer.stage for layer in ordered}
    depth = {slot: _depth(name, stages, blocks) for slot, name in part.items()}
    return Depths(
        part=part,
        stage={slot: stages[name] for slot, name in part.items()},
        depth=depth,
        n_blocks=len(blocks),
        buffers=frozenset(name for name, slot in slots.items() if not slot.is_parameter),
    )


def _before(slot: str, ordered: Sequence[Layer], place: Mapping[str, int]) -> str:
    here = place.get(slot.rpartition(".")[0], -1)
    before = [
        layer for layer in ordered if layer.stage is not Stage.HEAD and place.get(layer.name, 0) <= here
    ]
    return before[-1].name if before else ordered[0].name


def _depth(part: str, stages: Mapping[str, Stage], blocks: Sequence[str]) -> int:
    match stages[part]:
        case Stage.STEM:
            return 1
        case Stage.HEAD:
            return max(len(blocks), 1)
        case _:
            return blocks.index(part) + 1
