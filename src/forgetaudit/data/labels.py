"""A column's values → class ids: as they stand, or from names, sorted as a person would sort them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forgetaudit.errors import DataError, listing

__all__ = [
    "Labels",
    "lacks_all",
    "names_beside",
    "natural_order",
    "order_decision",
    "places_of_ones",
    "read_labels",
]

# Labels are kept as int64; csv and json can write any number, infinity included.
LARGEST_ID = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """One class id for every row, in the data set's order; `class_names` where they are known."""

    ids: tuple[int, ...]
    class_names: tuple[str, ...] | None
    decision: str


def natural_order(name: str) -> tuple[Any, ...]:
    """A sorting key that puts 2 before 10, and is equal for no two different names."""
    # Text and digits alternate in the split, so that a place holds text in every name or digits in every name.
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def order_decision(class_names: Sequence[str], what: str) -> str:
    """How the names were put in order, and that others would do otherwise where they would."""
    said = f"{_declared(class_names)}, {what} in natural order"
    as_strings = sorted(class_names)
    if list(class_names) == as_strings:
        return said
    first = next(n for n, (a, b) in enumerate(zip(class_names, as_strings, strict=True)) if a != b)
    return f"{said}; sorted as strings, class {first} would be {as_strings[first]}, not {class_names[first]}"


def read_labels(
    values: Sequence[Any], class_names: tuple[str, ...] | None, column: str, *, named_by: str | None = None
) -> Labels | None:
    """Class ids from whole numbers, class labels (`class_names` given) or names.

    `named_by` says what gave the class names their order ("from folders,") where it was chosen here.

    None where no row has a label: none at all, or −1 throughout, as hidden test labels are published.
    DataError where some rows lack theirs, or where a value is neither whole number nor name.
    """
    if lacks_all(values, column):
        return None
    if class_names is None and all(isinstance(value, str) for value in values):
        return _from_names(values)
    ids = tuple(_whole_number(value, row, column) for row, value in enumerate(values))
    if class_names is None:
        return Labels(ids=ids, class_names=None, decision=f"classes {min(ids)} to {max(ids)}, without names")
    _refuse_nameless(ids, class_names, column)
    decision = order_decision(class_names, named_by) if named_by else _declared(class_names)
    return Labels(ids=ids, class_names=class_names, decision=decision)


def lacks_all(values: Sequence[Any], column: str) -> bool:
    """Whether no row has a label. DataError where only some rows lack theirs."""
    unlabelled = [row for row, value in enumerate(values) if _absent(value)]
    if unlabelled and len(unlabelled) < len(values):
        rows = listing("rows without a label", [str(row) for row in unlabelled])
        hint = "leave these rows out: an accuracy over part of the rows is not the data set's"
        raise DataError(
            f"{len(unlabelled)} of {len(values)} rows have no {column}", details=[rows], hint=hint
        )
    return bool(unlabelled)


def names_beside(values: Sequence[Any], spelt: Sequence[Any]) -> tuple[str, ...] | None:
    """The class names that a second column gives to whole numbers.

    None unless each of 0 to k − 1 has one of its own.
    """
    rows = list(zip(values, spelt, strict=True))
    if not all(isinstance(value, int) and isinstance(name, str) for value, name in rows):
        return None
    pairs = sorted({(int(value), str(name)) for value, name in rows})
    names = tuple(name for _, name in pairs)
    one_each = [value for value, _ in pairs] == list(range(len(pairs))) and len({*names}) == len(names)
    return names if one_each and names else None


def places_of_ones(values: Sequence[Any], column: str) -> list[Any]:
    """Rows of numbers → labels: the place of the only 1 among zeros, or the only number. DataError naming others."""
    places = [_place_of_one(row) for row in values]
    bad = [row for row, place in enumerate(places) if place is _NOT_ONE_HOT]
    if bad:
        shown = [f"{row} ({values[row]!r:.40})" for row in bad]
        raise DataError(
            f"{len(bad):,} of {len(values):,} rows of {column} are neither one class nor one-hot",
            details=[listing("rows", shown, shown=3)],
            hint="give every example one class (several are not supported), or name another column: --label-column",
        )
    return places


_NOT_ONE_HOT = object()


def _place_of_one(row: Any) -> Any:
    if not isinstance(row, list):
        return row
    if len(row) == 1 and not isinstance(row[0], list):
        return row[0]
    return row.index(1) if row.count(1) == 1 and row.count(0) == len(row) - 1 else _NOT_ONE_HOT


def _from_names(values: Sequence[str]) -> Labels:
    class_names = tuple(sorted(set(values), key=natural_order))
    position = {name: index for index, name in enumerate(class_names)}
    return Labels(
        ids=tuple(position[value] for value in values),
        class_names=class_names,
        decision=order_decision(class_names, "from text,"),
    )


def _declared(class_names: Sequence[str]) -> str:
    shown = ", ".join(class_names[:3]) + (", …" if len(class_names) > 3 else "")
    return f"{len(class_names)} {'class' if len(class_names) == 1 else 'classes'} ({shown})"


def _refuse_nameless(ids: Sequence[int], class_names: Sequence[str], column: str) -> None:
    nameless = sorted({label for label in ids if not 0 <= label < len(class_names)})
    if nameless:
        raise DataError(
            f"{column} holds labels that are none of its {len(class_names)} classes",
            details=[listing("labels", [str(label) for label in nameless], shown=5)],
            hint="correct the labels, or name another column with --label-column",
        )


def _absent(value: Any) -> bool:
    return value is None or value == "" or value == -1 or value != value


def _whole_number(value: Any, row: int, column: str) -> int:
    if isinstance(value, str) or abs(value) > LARGEST_ID or value != int(value):
        raise DataError(
            f"{column} {value!r} in row {row} is not a class",
            hint="a label is a whole number or a class name; name the right column with --label-column",
        )
    return int(value)
