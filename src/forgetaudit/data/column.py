"""What a column of a data set holds, and which columns are read."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Column", "Columns", "Kind"]


class Kind(Enum):
    """What a column holds, as far as the choice needs it."""

    IMAGE = "images"
    ARRAY = "arrays of numbers"
    CLASS = "class labels"
    INTEGER = "whole numbers"
    DECIMAL = "decimal numbers"
    TEXT = "text"
    CHOICES = "lists of texts"
    OTHER = "something else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as its data set declares it.

    Where the type says so: `class_names`, an image's `mode`, the numpy name of an array's `dtype`. `named_by`
    says where class names come from whose order was chosen here. `spelt`: its numbers were written as text, and can
    be read as that. `unread` says why it cannot be read at all.
    """

    name: str
    kind: Kind
    class_names: tuple[str, ...] | None = None
    named_by: str | None = None
    mode: str | None = None
    dtype: str | None = None
    spelt: bool = False
    unread: str | None = None

    @property
    def plain_name(self) -> str:
        """The name in lower case, without spaces around it."""
        return self.name.strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns to read: `inputs` are one, two of text that are judged together, or a context and its choices.

    `label` is None where the data set has none. `decision` says which and why.
    """

    inputs: tuple[Column, ...]
    label: Column | None
    decision: str

    @property
    def of_choices(self) -> bool:
        """Whether the inputs are a context and its choices."""
        return self.inputs[-1].kind is Kind.CHOICES
