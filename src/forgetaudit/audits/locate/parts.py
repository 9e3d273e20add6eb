"""Who can have caused the loss: blocks, head, running statistics, and what lies outside them, as sets of tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forgetaudit.audits.network import Network
from forgetaudit.engine.variants import Variant, slots
from forgetaudit.models.layers import Stage, find_layers
from forgetaudit.remedies.rollback import moved_slots, tied_in_all
from forgetaudit.report.locate import End, PlayerKind
from forgetaudit.weights.groups import layer_of

__all__ = ["NetworkPart", "Stretch", "find_players", "find_stretches"]

MOST_PLAYERS = 24
"""Deeper networks have consecutive blocks joined, so that the number of variants stays bounded."""

STATISTICS = "running statistics"
REST = "rest"
_KINDS: Mapping[Stage, PlayerKind] = {Stage.STEM: "stem", Stage.BLOCK: "block", Stage.HEAD: "head"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPart:
    """Tensors that are rolled back together; all of them moved. `layers` are those it is made of."""

    name: str
    kind: PlayerKind
    layers: tuple[str, ...]
    slots: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The first or last layers, buffers included, that are reset together."""

    end: End
    layers: tuple[str, ...]
    slots: frozenset[str]


def find_players(network: Network, patterns: Sequence[str]) -> tuple[NetworkPart, ...]:
    """In the order of the network, statistics and rest last. Only what moved plays; tied tensors play together.

    Layers are those of `--layers` where there are `patterns`, else all blocks, joined where there are too many.
    """
    base, tuned = network.variants[0], network.variants[1]
    layers = network.layers if patterns else find_layers(network.skeleton, most=1 << 30)
    kinds: dict[str, PlayerKind] = {layer.name: _KINDS[layer.stage] for layer in layers}
    places = _places(network, [layer.name for layer in layers], base, tuned)
    found: dict[str, list[str]] = {}
    for slot, place in places.items():
        found.setdefault(place, []).append(slot)
    in_order = [name for name in (*kinds, STATISTICS, REST) if name in found]
    players = [
        NetworkPart(
            name=name,
            kind=kinds.get(name, "buffers" if name == STATISTICS else "rest"),
            layers=(name,) if name in kinds else (),
            slots=frozenset(found[name]),
        )
        for name in in_order
    ]
    return tuple(_joined(players, MOST_PLAYERS))


def find_stretches(network: Network, players: Sequence[NetworkPart]) -> tuple[Stretch, ...]:
    """The first k and the last k players that are layers, for every k, with the layers' own running statistics.

    Resetting whole ends of a network tells where forgetting sits (Ramasesh et al., arXiv 2007.07400).
    """
    base, tuned = network.variants[0], network.variants[1]
    layered = [player for player in players if player.layers]
    if len(layered) < 2:
        return ()
    names = [layer.name for layer in find_layers(network.skeleton, most=1 << 30)]
    names += [name for player in layered for name in player.layers if name not in names]
    buffers: dict[str, set[str]] = {}
    for slot in moved_slots(base, tuned) & _statistics(network):
        buffers.setdefault(layer_of(slot, names), set()).add(slot)
    whole = [player.slots.union(*(buffers.get(name, set()) for name in player.layers)) for player in layered]
    return tuple(_ends(layered, whole))


def _ends(layered: Sequence[NetworkPart], whole: Sequence[frozenset[str]]) -> Iterator[Stretch]:
    ends: tuple[End, ...] = ("bottom", "top")
    for end in ends:
        for k in range(1, len(layered)):
            part = slice(0, k) if end == "bottom" else slice(len(layered) - k, None)
            yield Stretch(
                end=end,
                layers=tuple(player.name for player in layered[part]),
                slots=frozenset().union(*whole[part]),
            )


def _places(network: Network, layers: Sequence[str], base: Variant, tuned: Variant) -> dict[str, str]:
    """The player of every slot that moved. What is tied goes where the first of its names lies."""
    moved, ties, statistics = moved_slots(base, tuned), tied_in_all(base, tuned), _statistics(network)
    places: dict[str, str] = {}
    for slot in base.tensors:
        if slot not in moved:
            continue
        twin = next((name for name in base.tensors if name in ties[slot] and name in places), None)
        if twin is not None:
            places[slot] = places[twin]
        elif slot in statistics:
            places[slot] = STATISTICS
        else:
            layer = layer_of(slot, layers)
            places[slot] = layer if layer in layers else REST
    return places


def _statistics(network: Network) -> frozenset[str]:
    """Buffers: what a network keeps without learning it."""
    return frozenset(name for name, slot in slots(network.skeleton).items() if not slot.is_parameter)


def _joined(players: Sequence[NetworkPart], most: int) -> Iterator[NetworkPart]:
    """Consecutive blocks together, evenly, where there are more players than `most`."""
    blocks = [player for player in players if player.kind == "block"]
    room = most - (len(players) - len(blocks))
    if len(players) <= most or room < 2:
        yield from players
        return
    of_group: Mapping[str, int] = {block.name: at * room // len(blocks) for at, block in enumerate(blocks)}
    done: set[int] = set()
    for player in players:
        group = of_group.get(player.name)
        if group is None:
            yield player
        elif group not in done:
            done.add(group)
            mine = [block for block in blocks if of_group[block.name] == group]
            yield NetworkPart(
                name=mine[0].name if len(mine) == 1 else f"{mine[0].name} … {mine[-1].name}",
                kind="block",
                layers=tuple(block.name for block in mine),
                slots=frozenset().union(*(block.slots for block in mine)),
            )
