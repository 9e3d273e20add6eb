"""Where in a training checkpoint the weights stand."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forgetaudit.errors import UnreadableCheckpoint, listing
from forgetaudit.gaps import Gap, Notes

__all__ = ["StateDict", "WeightSet", "find_state_dict"]

IsTensor = Callable[[object], bool]
# Of a training checkpoint that holds both: the averaged weights, or those that training goes on with.
WeightSet = Literal["ema", "raw"]

_RAW = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
)
# "ema" as a word of its own: model_ema, ema_state_dict, ema2, but not schema.
_EMA = re.compile(r"(^|[_.\-])(ema\d*|swa|averaged|avg|shadow)([_.\-]|$)", re.IGNORECASE)
# What training keeps beside weights; some of it holds tensors by name, too.
# As words of a name: not the "arg" of "target", nor the "train" of "trained_head".
_BOOKKEEPING = re.compile(
    r"(^|[_.\-])(optim\w*|\w*schedulers?|sched|lr|scaler|rng|random|callbacks?|loops?|metrics?|amp|hyper\w*|args?|"
    r"conf\w*|\w*meters?|stats|train|training|trainer)([_.\-]|$)"
)
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDict:
    """The weights found, by name, and the decisions that led to them."""

    tensors: Mapping[str, object]
    notes: Notes


def find_state_dict(
    loaded: object, is_tensor: IsTensor, path: Path, weights: WeightSet | None = None
) -> StateDict:
    """The one set of named tensors in what a torch file held; of raw and averaged ones, the raw unless `weights` says.

    Raises UnreadableCheckpoint where there is none, or several and nothing says which.
    """
    trail: list[str] = []
    notes: list[str | Gap] = []
    found = _as_mapping(loaded, path)
    while (key := _next_key(found, is_tensor, path, notes, weights)) is not None:
        trail.append(key)
        notes += _other_tensors(found, key, is_tensor, said=[one for note in notes for one in _keys_of(note)])
        found = _as_mapping(found[key], path)
    if trail:
        notes.insert(0, f"the weights stand under {'.'.join(trail)!r}")
    tensors = {name: value for name, value in found.items() if isinstance(name, str) and is_tensor(value)}
    notes += _gaps_beside(found, tensors, is_tensor, said=[key for note in notes for key in _keys_of(note)])
    return StateDict(tensors=tensors, notes=tuple(notes))


def _gaps_beside(
    found: Mapping[object, object], tensors: Mapping[str, object], is_tensor: IsTensor, said: Sequence[str]
) -> Iterator[str | Gap]:
    """What stands beside the tensors that are read: with tensors of its own a gap, else a sentence."""
    others = {key: value for key, value in found.items() if not (isinstance(key, str) and key in tensors)}
    unread = _unread(others, is_tensor, said)
    plain = [str(key) for key in others if str(key) not in unread]
    if unread:
        yield Gap(
            ident="other-sets-of-weights",
            what=f"tensors were not read that do not stand by name beside the others: under {_quoted(unread)}",
            advice="save them by names of their own: torch.save(model.state_dict(), FILE)",
            holds="everything",
            evidence={"not_read": unread},
        )
    if plain:
        yield listing("left out, as no tensors", plain, shown=4)


def _other_tensors(
    found: Mapping[object, object], taken: str, is_tensor: IsTensor, said: Sequence[str]
) -> Iterator[Gap]:
    """Tensors beside the set that is read, such as a head's: single numbers are what training counts."""
    others = {key: value for key, value in found.items() if key != taken}
    if unread := _unread(others, is_tensor, said):
        yield Gap(
            ident="other-sets-of-weights",
            what=f"the weights under {taken!r} were read, and not the tensors under {_quoted(unread)}",
            advice="where they are weights, put all into one: torch.save(model.state_dict(), FILE)",
            holds="weights",
            evidence={"read": taken, "not_read": unread},
        )


def _unread(others: Mapping[object, object], is_tensor: IsTensor, said: Sequence[str]) -> list[str]:
    return [
        str(key)
        for key, value in others.items()
        if _tensors_inside(value, is_tensor) and not _is_of_training(key, value) and str(key) not in said
    ]


def _keys_of(note: str | Gap) -> Sequence[str]:
    """What a note names as not read already."""
    if not isinstance(note, Gap):
        return ()
    return [
        *note.evidence.get("not_read", ()),
        *note.evidence.get("averaged", ()),
        str(note.evidence.get("raw")),
    ]


def _tensors_inside(value: object, is_tensor: IsTensor, depth: int = 0) -> bool:
    if depth > _MAX_DEPTH:
        return False
    if is_tensor(value):
        return getattr(value, "ndim", 1) > 0
    inside = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    )
    return any(_tensors_inside(item, is_tensor, depth + 1) for item in inside)


def _is_of_training(key: object, value: object) -> bool:
    return isinstance(key, str) and (
        _is_bookkeeping(key, value) or _BOOKKEEPING.search(key.lower()) is not None
    )


def _quoted(keys: Sequence[str]) -> str:
    more = f", … {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(map(repr, keys[:3])) + more


def _as_mapping(loaded: object, path: Path) -> Mapping[object, object]:
    if isinstance(loaded, Mapping):
        return loaded
    kind = type(loaded).__name__
    raise UnreadableCheckpoint(
        f"{path} holds one {kind}, not named tensors",
        hint="save the weights: torch.save(model.state_dict(), FILE)",
    )


def _next_key(
    found: Mapping[object, object],
    is_tensor: IsTensor,
    path: Path,
    notes: list[str | Gap],
    weights: WeightSet | None,
) -> str | None:
    """The key to descend into; None where the weights are here."""
    sets = [key for key, value in found.items() if isinstance(key, str) and _holds_tensors(value, is_tensor)]
    raw = [key for key in sets if key in _RAW]
    averaged = [key for key in sets if _EMA.search(key) and key not in raw]
    here = not raw and any(is_tensor(value) and getattr(value, "ndim", 1) for value in found.values())
    if averaged and (here or len(raw) == 1):
        if weights == "ema" and len(averaged) > 1:
            raise _none_or_several(path, averaged, list(found))
        chosen = averaged[0] if weights == "ema" else None if here else raw[0]
        notes.append(_two_sets(None if here else raw[0], averaged, taken=weights or "raw"))
        notes += _other_sets([key for key in sets if key not in (*raw, *averaged)], found, chosen)
        return chosen
    if len(raw) == 1:
        notes += _other_sets([key for key in sets if key != raw[0]], found, raw[0])
        return raw[0]
    if not raw and len(averaged) == 1:
        notes.append(f"only averaged weights (EMA) are in the file: {averaged[0]!r}")
        return averaged[0]
    if not raw and any(is_tensor(value) for value in found.values()):
        return None
    candidates = raw or averaged or [key for key in sets if not _is_bookkeeping(key, found[key])]
    if len(candidates) == 1:
        return candidates[0]
    raise _none_or_several(path, candidates, list(found))


def _two_sets(raw: str | None, averaged: Sequence[str], *, taken: WeightSet) -> Gap:
    """`raw` is None where the raw weights stand at the top of the file, beside the averaged ones."""
    names = {"raw": _key_text(raw), "ema": f"under {', '.join(map(repr, averaged))}"}
    said = {"raw": "raw weights", "ema": "averaged weights (EMA)"}
    left: WeightSet = "raw" if taken == "ema" else "ema"
    return Gap(
        ident="raw-or-averaged",
        what=f"the {said[taken]} {names[taken]} were read, and not the {said[left]} {names[left]}",
        advice=f"pass --weights {left} where the others are meant; averaged weights are what most recipes publish",
        holds="nothing",
        evidence={"read": taken, "raw": raw, "averaged": list(averaged)},
    )


def _key_text(key: str | None) -> str:
    return "at the top of the file" if key is None else f"under {key!r}"


def _other_sets(keys: Sequence[str], found: Mapping[object, object], chosen: str | None) -> list[Gap]:
    """Weights of something else, such as a head or a teacher: nobody compares them."""
    others = [
        key for key in keys if not _is_bookkeeping(key, found[key]) and not _BOOKKEEPING.search(key.lower())
    ]
    if not others:
        return []
    return [
        Gap(
            ident="other-sets-of-weights",
            what=f"the weights {_key_text(chosen)} were read, and not those under {', '.join(map(repr, others[:3]))}"
            + (f", … {len(others) - 3} more" if len(others) > 3 else ""),
            advice="compare the others by themselves: torch.save(checkpoint['NAME'], FILE)",
            holds="weights",
            evidence={"read": chosen, "not_read": others},
        )
    ]


def _holds_tensors(value: object, is_tensor: IsTensor, depth: int = 0) -> bool:
    if not isinstance(value, Mapping) or depth > _MAX_DEPTH:
        return False
    return any(is_tensor(item) or _holds_tensors(item, is_tensor, depth + 1) for item in value.values())


def _is_bookkeeping(key: str, value: object) -> bool:
    # An optimizer's state holds tensors too, one or two for every parameter.
    return "optim" in key.lower() or (isinstance(value, Mapping) and "param_groups" in value)


def _none_or_several(path: Path, candidates: list[str], keys: list[object]) -> UnreadableCheckpoint:
    if candidates:
        return UnreadableCheckpoint(
            f"{path} holds {len(candidates)} sets of weights, and nothing says which is meant",
            details=[listing("sets", candidates, shown=8)],
            hint="save the one you mean by itself: torch.save(checkpoint['NAME'], FILE)",
        )
    return UnreadableCheckpoint(
        f"{path} holds no tensors by name",
        details=[listing("it holds", [str(key) for key in keys], shown=6)] if keys else [],
        hint="save the weights: torch.save(model.state_dict(), FILE)",
    )
