"""Which of the model's classes each of the data's labels is: by name where both have names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forgetaudit.errors import DataError, listing

__all__ = ["Matching", "match_classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The model's class for each of the data's (`ids`; None: the same numbers), and how that was decided."""

    ids: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    decision: str | None


def match_classes(data: Sequence[str] | None, model: Sequence[str] | None, *, where: str) -> Matching:
    """Names are compared without regard to case, spaces, hyphens and underscores.

    Where one side has no names the numbers are taken as they stand, and it is said. DataError where a name of the
    data is none of the model's.
    """
    if data is None or model is None:
        names = data if model is None else model
        said = (
            None
            if model is None
            else "labels are numbers: taken as the model's own, in the order of its id2label"
        )
        return Matching(ids=None, class_names=None if names is None else tuple(names), decision=said)
    places = _places(model)
    if (ids := _by_number(data, places, n_classes=len(model))) is not None:
        return Matching(
            ids=ids, class_names=tuple(model), decision="class names are numbers: taken as the model's ids"
        )
    unknown = [name for name in data if _plain(name) not in places]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(data)} classes of {where} are none of the model's",
            details=[listing("unknown", unknown, shown=4), listing("the model has", list(model), shown=6)],
            hint="rename the classes as the model's id2label does, or leave those examples out",
        )
    ids = tuple(places[_plain(name)] for name in data)
    moved = "in another order" if ids != tuple(range(len(ids))) else "in the same order"
    return Matching(
        ids=ids,
        class_names=tuple(model),
        decision=f"{len(ids)} classes matched to the model's by name, {moved}",
    )


def _places(model: Sequence[str]) -> dict[str, int]:
    """Only names that stay apart without case and spaces can be matched by them."""
    plain = {_plain(name): index for index, name in enumerate(model)}
    if len(plain) == len(model):
        return plain
    doubled = [name for name in model if sum(_plain(other) == _plain(name) for other in model) > 1]
    raise DataError(
        "the model's class names do not tell its classes apart",
        details=[listing("alike", doubled, shown=4)],
        hint="correct id2label in its config.json",
    )


def _by_number(data: Sequence[str], places: dict[str, int], *, n_classes: int) -> tuple[int, ...] | None:
    """Folders named 0, 1, 2 of a model whose classes have other names."""
    if any(_plain(name) in places for name in data) or not all(
        re.fullmatch(r"\d{1,9}", name) for name in data
    ):
        return None
    ids = tuple(int(name) for name in data)
    return ids if max(ids) < n_classes else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()
