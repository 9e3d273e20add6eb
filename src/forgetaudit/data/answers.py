"""Columns of choices and of answers → texts, and the place of the right one: however the answer is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from forgetaudit.data.column import Column
from forgetaudit.data.labels import Labels, lacks_all
from forgetaudit.errors import DataError, listing

__all__ = ["ChoiceRows", "read_answers", "read_choices"]

# (an answer, the texts of its row, their labels) -> the place of the right text, None where the answer names none.
Reading = Callable[[Any, tuple[str, ...], tuple[str, ...] | None], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRows:
    """For every row its choices, and the labels beside them where the data have such."""

    texts: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[str, ...] | None, ...]
    decision: str


def read_choices(stored: Sequence[Any], column: str) -> ChoiceRows:
    """The choices of every row. DataError naming the rows with fewer than two, or with one that is no text."""
    pairs = [_texts_and_labels(entry) for entry in stored]
    _refuse_rows(
        [f"{row} ({_count(texts)})" for row, (texts, _) in enumerate(pairs) if len(texts) < 2],
        len(pairs),
        f"have fewer than two {column}",
    )
    _refuse_rows(
        [
            str(row)
            for row, (texts, _) in enumerate(pairs)
            if not all(isinstance(text, str) and text.strip() for text in texts)
        ],
        len(pairs),
        f"have an empty text among their {column}",
    )
    counts = {len(texts) for texts, _ in pairs}
    each = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(*counts)
    return ChoiceRows(
        texts=tuple(tuple(texts) for texts, _ in pairs),
        labels=tuple(labels for _, labels in pairs),
        decision=f"{each} choices a question",
    )


def read_answers(values: Sequence[Any], choices: ChoiceRows, column: Column) -> Labels | None:
    """The place of the right choice in every row.

    An answer is the label or text of a choice, a letter, or a number that counts from 0 or from 1: whichever fits
    every row. None where no row has an answer. DataError where only some have, where none of these fits, or where
    two fit and say different things.
    """
    if lacks_all(values, column.name):
        return None
    names = column.class_names
    spelt = [value if names is None else names[value] for value in values]
    found = _readings(spelt, choices)
    if names is not None and not any(_fits(places) for places in found.values()):
        found = {"as the number of a class": _places(values, choices, _from(0))}
    fitting = {how: places for how, places in found.items() if _fits(places)}
    if not fitting:
        raise _names_none(column.name, spelt, found, choices)
    # Labels that the data themselves put beside their choices leave nothing to decide.
    if LABELLED in fitting:
        fitting = {LABELLED: fitting[LABELLED]}
    _refuse_two_meanings(column.name, spelt, fitting)
    how, places = next(iter(fitting.items()))
    ids = tuple(place for place in places if place is not None)
    return Labels(ids=ids, class_names=None, decision=f"answers {how}{_proof(how, ids, choices)}")


def _texts_and_labels(entry: Any) -> tuple[Sequence[Any], tuple[str, ...] | None]:
    if isinstance(entry, dict):
        labels = entry.get("label")
        return entry.get("text") or (), None if labels is None else tuple(map(str, labels))
    return entry or (), None


def _by_label(answer: Any, texts: tuple[str, ...], labels: tuple[str, ...] | None) -> int | None:  # noqa: ARG001
    return None if labels is None else _place(str(answer), labels)


def _by_text(answer: Any, texts: tuple[str, ...], labels: tuple[str, ...] | None) -> int | None:  # noqa: ARG001
    return _place(str(answer).strip(), [text.strip() for text in texts])


def _by_letter(answer: Any, texts: tuple[str, ...], labels: tuple[str, ...] | None) -> int | None:  # noqa: ARG001
    letter = answer.strip().strip("().:").upper() if isinstance(answer, str) else ""
    place = ord(letter) - ord("A") if len(letter) == 1 else -1
    return place if 0 <= place < len(texts) else None


def _from(first: int) -> Reading:
    def read(answer: Any, texts: tuple[str, ...], labels: tuple[str, ...] | None) -> int | None:  # noqa: ARG001
        number = _whole_number(answer)
        return None if number is None or not 0 <= number - first < len(texts) else number - first

    return read


LABELLED = "as the labels of the choices"
READINGS: dict[str, Reading] = {
    LABELLED: _by_label,
    "as the text of a choice": _by_text,
    "as letters": _by_letter,
    "counted from 0": _from(0),
    "counted from 1": _from(1),
}


def _readings(values: Sequence[Any], choices: ChoiceRows) -> dict[str, list[int | None]]:
    return {how: _places(values, choices, reading) for how, reading in READINGS.items()}


def _places(values: Sequence[Any], choices: ChoiceRows, reading: Reading) -> list[int | None]:
    rows = zip(values, choices.texts, choices.labels, strict=True)
    return [reading(value, texts, labels) for value, texts, labels in rows]


def _fits(places: Sequence[int | None]) -> bool:
    return None not in places


def _place(wanted: str, among: Sequence[str]) -> int | None:
    """The only place; a text that stands there twice names neither."""
    return among.index(wanted) if among.count(wanted) == 1 else None


def _whole_number(answer: Any) -> int | None:
    if isinstance(answer, str):
        return int(answer) if answer.strip().isascii() and answer.strip().isdigit() else None
    return int(answer) if isinstance(answer, int | float) and answer == answer // 1 else None


def _proof(how: str, ids: Sequence[int], choices: ChoiceRows) -> str:
    """What rules out counting from 0, which is what most data sets do."""
    if how != "counted from 1":
        return ""
    n_last = sum(place == len(texts) - 1 for place, texts in zip(ids, choices.texts, strict=True))
    return f": none is 0, and {n_last:,} {'is' if n_last == 1 else 'are'} the number of choices"


def _refuse_two_meanings(column: str, spelt: Sequence[Any], fitting: dict[str, list[int | None]]) -> None:
    first, *others = fitting.items()
    for how, places in others:
        row = next((row for row, place in enumerate(places) if place != first[1][row]), None)
        if row is not None:
            raise DataError(
                f"the answers in {column} fit {first[0]} and {how}, and mean different choices",
                details=[f"row {row}: {spelt[row]!r:.60} is choice {first[1][row]} or {places[row]}, from 0"],
                hint="write each answer as the text of its choice, or name another column with --label-column",
            )


def _names_none(
    column: str, spelt: Sequence[Any], found: dict[str, list[int | None]], choices: ChoiceRows
) -> DataError:
    """By the reading that fits most rows."""
    how, places = min(found.items(), key=lambda item: item[1].count(None))
    bad = [row for row, place in enumerate(places) if place is None]
    rows = [f"{row} ({spelt[row]!r:.40} of {len(choices.texts[row])} choices)" for row in bad]
    read = f", {how} as the others are" if len(bad) < len(places) else ""
    return DataError(
        f"{len(bad)} of {len(places)} answers in {column} name none of their choices{read}",
        details=[listing("rows", rows, shown=3)],
        hint="an answer is the place of a choice (0, 1, …), a letter (A, B, …) or the text of the choice",
    )


def _refuse_rows(rows: Sequence[str], n: int, what: str) -> None:
    if rows:
        raise DataError(
            f"{len(rows)} of {n} rows {what}",
            details=[listing("rows", rows, shown=3)],
            hint="leave these rows out of the data set, or give each two choices or more",
        )


def _count(texts: Sequence[Any]) -> str:
    return "one" if len(texts) == 1 else "none"
