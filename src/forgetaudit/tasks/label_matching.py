"""The data's classes → the model's: by name where both have names, else by number, and it is said which.

A class folder sorts "10" before "2", one library writes NEGATIVE where another writes neg = 1: a wrong map reads 4 %
where the truth is 91 %.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from forgetaudit.errors import DataError, listing

__all__ = ["LabelMatch", "match_labels"]

# What libraries write where nobody named the classes.
PLACEHOLDER = re.compile(r"(?:label|class)?[\s_-]*(\d+)", re.IGNORECASE)
UNMATCHED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatch:
    """`class_names` in the order of the model's scores; `label_map[i]` the model's class for the data's class i.

    None where nothing names them, or where they are the same. `decision` says how they were matched.
    """

    class_names: tuple[str, ...] | None
    label_map: tuple[int, ...] | None
    decision: str


def match_labels(
    data: tuple[str, ...] | None, model: tuple[str, ...] | None, *, present: frozenset[int], name: str
) -> LabelMatch:
    """How the classes of the data called `name` are the model's; `present` are those that examples have.

    DataError where both have names and a class with examples is none of the model's.
    """
    if model is None:
        why = "neither data nor model name them" if data is None else "the model does not name its classes"
        return LabelMatch(class_names=data, label_map=None, decision=f"labels by number: {why}")
    if data is None:
        return LabelMatch(
            class_names=model, label_map=None, decision="labels by number: the data do not name their classes"
        )
    if _are_placeholders(model):
        return _by_number(data, model)
    if [*map(_plain, data)] == [*map(_plain, model)]:
        said = f"labels by name: the model's {len(model)} classes, in its order"
        return LabelMatch(class_names=model, label_map=None, decision=said)
    label_map = _by_name(data, model)
    lost = [number for number in sorted(present) if label_map[number] == UNMATCHED]
    if _are_placeholders(data) and all(place == UNMATCHED for place in label_map):
        said = f"labels by number: the data name their classes {data[0]}, …"
        return LabelMatch(class_names=model, label_map=None, decision=said)
    if lost:
        raise _unmatched([data[number] for number in lost], data, model, label_map, name)
    return LabelMatch(class_names=model, label_map=label_map, decision=_mapping_text(data, model, label_map))


def _are_placeholders(names: Sequence[str]) -> bool:
    """LABEL_0, LABEL_1, … or 0, 1, …: numbers under another name."""
    return [_number(name) for name in names] == list(range(len(names)))


def _number(name: str) -> int | None:
    found = PLACEHOLDER.fullmatch(name.strip())
    return int(found[1]) if found else None


def _by_number(data: tuple[str, ...], model: tuple[str, ...]) -> LabelMatch:
    """Folders "3" and "7" are the model's classes 3 and 7, and not its first two."""
    numbers = [_number(name) for name in data]
    known = [number for number in numbers if number is not None and number < len(model)]
    said = f"labels by number: the model names its classes {model[0]}, …"
    if len(known) < len(data) or len({*known}) < len(known) or known == list(range(len(data))):
        names = data if len(data) == len(model) else (*data, *model[len(data) :])[: len(model)]
        return LabelMatch(class_names=names, label_map=None, decision=said)
    moved = ", ".join(f"{name} is {place}" for name, place in zip(data[:3], known[:3], strict=True))
    more = ", …" if len(data) > 3 else ""
    said = f"{said}, and the data's are numbers: {moved}{more}"
    return LabelMatch(class_names=model, label_map=tuple(known), decision=said)


def _by_name(data: Sequence[str], model: Sequence[str]) -> tuple[int, ...]:
    """For each class of the data its place in the model, by the strictest form of its name that finds one.

    A form that two classes of one side share finds none.
    """
    label_map = [UNMATCHED] * len(data)
    for form in (str, _plain, _first_synonym):
        theirs = _unambiguous(model, form)
        for shape, number in _unambiguous(data, form).items():
            if label_map[number] == UNMATCHED and shape in theirs:
                label_map[number] = theirs[shape]
    return tuple(label_map)


def _unambiguous(names: Sequence[str], form: Callable[[str], str]) -> dict[str, int]:
    counts = Counter(map(form, names))
    return {form(name): place for place, name in enumerate(names) if counts[form(name)] == 1}


def _plain(name: str) -> str:
    """Without regard to case, and to whether words are parted by spaces, hyphens or underscores."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _first_synonym(name: str) -> str:
    """ImageNet's classes are lists of synonyms: "tench, Tinca tinca"."""
    return _plain(name.split(",")[0])


def _mapping_text(data: Sequence[str], model: Sequence[str], label_map: Sequence[int]) -> str:
    matched = [(number, place) for number, place in enumerate(label_map) if place != UNMATCHED]
    moved = [(number, place) for number, place in matched if number != place]
    shown = ", ".join(f"{data[number]} {number} → {place}" for number, place in moved[:3])
    more = f", … {len(moved) - 3} more" if len(moved) > 3 else ""
    renumbered = f"renumbered {shown}{more}" if moved else "in its order"
    if len(matched) == len(data) == len(model):
        return f"labels by name: the model's {len(model)} classes, {renumbered}"
    parts = [f"{len(matched)} of the model's {len(model)} classes, {renumbered}"]
    if n_empty := len(data) - len(matched):
        parts.append(f"{n_empty} more in the data, without examples, are none of the model's")
    return f"labels by name: {'; '.join(parts)}"


def _unmatched(
    lost: Sequence[str], data: Sequence[str], model: Sequence[str], label_map: Sequence[int], name: str
) -> DataError:
    """None in common: another task, or another language. Some: these are misspelt or unknown to the model."""
    taken = {place for place in label_map if place != UNMATCHED}
    if not taken:
        return DataError(
            f"the classes of {name} are not the model's",
            details=[
                listing("in the data", [*data], shown=5),
                listing("in the model", [*model], shown=5),
            ],
            hint="rename the data's classes to the model's, or store the labels as whole numbers to match by number",
        )
    free = [other for place, other in enumerate(model) if place not in taken]
    near = {_plain(other): other for other in free}
    close = [(one, near[match]) for one in lost for match in get_close_matches(_plain(one), near, n=1)]
    details = [listing(f"only in {name}", [*lost], shown=5)]
    details += [listing("only in the model", free, shown=5)] if free else []
    return DataError(
        f"{len(lost)} of the {len(data)} classes of {name} are none of the model's",
        details=details,
        hint=f"rename {close[0][0]} if it is the model's {close[0][1]}, or leave its examples out"
        if close
        else f"leave out the examples of {lost[0]}, or rename it to the model's name for it",
    )
