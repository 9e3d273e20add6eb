"""Where rows come from: a table, arrays, or a folder of images, all read through the same three methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forgetaudit.data.columns import Column, Kind
from forgetaudit.data.examples import Input
from forgetaudit.data.images import decode_image
from forgetaudit.errors import DataError

__all__ = ["ArraySource", "ImageFolder", "Source", "TableSource"]


class Source(Protocol):
    """A data set's rows, numbered from 0; `columns` says what they hold."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, in the data set's order."""
        ...

    def __len__(self) -> int: ...

    def values(self, column: str) -> Sequence[Any]:
        """One plain value for every row: of a column that can hold labels."""
        ...

    def texts(self, column: str, most: int | None = None) -> Sequence[str | None]:
        """What the first rows, or all, have in a column of text; None where there is nothing."""
        ...

    def read(self, column: Column, row: int) -> Input:
        """The image, array or text in one row; DataError naming the row where it is missing or damaged."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """Rows of a `datasets.Dataset` in arrow format; `where` stands for it in messages.

    `spelt` are the texts of columns whose numbers were read out of text. Columns that cannot be read have no rows.
    """

    rows: Any
    where: str
    columns: Sequence[Column]
    spelt: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, column: str) -> Sequence[Any]:
        """The column as plain numbers or strings."""
        return list(self.rows.with_format(None)[column])

    def texts(self, column: str, most: int | None = None) -> Sequence[str | None]:
        """A column of text as it stands in the rows; of numbers that were written as text likewise."""
        table = self.rows.select_columns([column])[:most] if self.spelt is None else self.spelt[:most]
        return list(table[column].to_pylist())

    def read(self, column: Column, row: int) -> Input:
        """The row's image, decoded, its text, or its array in the dtype that the column declares."""
        place = f"row {row} of {self.where}"
        if column.kind is Kind.TEXT and self.spelt is not None:
            return _text(self.spelt[column.name][row].as_py(), column, place)
        stored = self.rows[row].column(column.name)[0].as_py()
        if column.kind is Kind.IMAGE:
            return decode_image(stored, place, mode=column.mode)
        if column.kind is Kind.TEXT:
            return _text(stored, column, place)
        try:
            return np.asarray(stored, dtype=column.dtype)
        except (TypeError, ValueError) as error:
            hint = "give every example an array of one shape"
            raise DataError(
                f"{column.name} in {place} is not an array", details=[str(error)], hint=hint
            ) from error


@dataclass(frozen=True, slots=True)
class ArraySource:
    """Named arrays with one row per example each; `unread` says why others are none."""

    arrays: Mapping[str, NDArray[np.generic]]
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> Sequence[Column]:
        """Every array is a column."""
        return [
            *(Column(name=name, kind=_kind(array)) for name, array in self.arrays.items()),
            *(Column(name=name, kind=Kind.OTHER, unread=why) for name, why in self.unread.items()),
        ]

    def __len__(self) -> int:
        return min((len(array) for array in self.arrays.values()), default=0)

    def values(self, column: str) -> Sequence[Any]:
        """The column as plain numbers or strings."""
        return list(self.arrays[column].tolist())

    def texts(self, column: str, most: int | None = None) -> Sequence[str | None]:
        """An array of texts as plain strings."""
        return [str(value) for value in self.arrays[column][:most]]

    def read(self, column: Column, row: int) -> Input:
        """A copy of one row, so that nobody writes into the data."""
        if column.kind is Kind.TEXT:
            return str(self.arrays[column.name][row])
        return np.array(self.arrays[column.name][row])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """Image files with the class of each; `classes` is None where the folder holds no class folders."""

    paths: Sequence[Path]
    classes: Sequence[int] | None
    class_names: tuple[str, ...] | None

    @property
    def columns(self) -> Sequence[Column]:
        """`image`, and `label` where there are class folders."""
        image = Column(name="image", kind=Kind.IMAGE)
        if self.classes is None:
            return [image]
        return [
            image,
            Column(name="label", kind=Kind.CLASS, class_names=self.class_names, named_by="from folders,"),
        ]

    def __len__(self) -> int:
        return len(self.paths)

    def values(self, column: str) -> Sequence[Any]:  # noqa: ARG002
        """The class of every file."""
        return self.classes or ()

    def texts(self, column: str, most: int | None = None) -> Sequence[str | None]:  # noqa: ARG002
        """A folder holds none."""
        return ()

    def read(self, column: Column, row: int) -> Input:  # noqa: ARG002
        """The image in one file."""
        return decode_image(self.paths[row], f"row {row} ({self.paths[row].name})")


def _text(stored: Any, column: Column, place: str) -> str:
    if not isinstance(stored, str):
        raise DataError(f"{column.name} in {place} is empty", hint="leave the row out of the data set")
    return stored


def _kind(array: NDArray[np.generic]) -> Kind:
    if array.ndim > 1:
        return Kind.ARRAY if array.dtype.kind in "buif" else Kind.OTHER
    return {"b": Kind.INTEGER, "u": Kind.INTEGER, "i": Kind.INTEGER, "f": Kind.DECIMAL, "U": Kind.TEXT}.get(
        array.dtype.kind, Kind.OTHER
    )
