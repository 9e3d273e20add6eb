"""What a column of `datasets` holds, read off the plain description that is stored in dataset_info.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forgetaudit.data.columns import Column, Kind
from forgetaudit.data.files import first_line
from forgetaudit.errors import DataError
from forgetaudit.gaps import Gap, Notes

if TYPE_CHECKING:
    import datasets

__all__ = ["described_column", "with_features"]

STORED = b"huggingface"

SHAPED_ARRAYS = ("Array2D", "Array3D", "Array4D", "Array5D")
LISTS = ("List", "LargeList", "Sequence")
NUMBERS = ("int", "uint", "float")
TEXTS = ("string", "large_string")


def described_column(name: str, description: Any) -> Column:
    """The column `name` with this entry of `Features.to_dict()`."""
    if _lists_texts(description):
        return Column(name=name, kind=Kind.CHOICES)
    if not isinstance(description, Mapping) or "_type" not in description:
        return Column(name=name, kind=Kind.IMAGE if _stores_image(description) else Kind.OTHER)
    if (dtype := _array_dtype(description)) is not None:
        return Column(name=name, kind=Kind.ARRAY, dtype=dtype)
    match description["_type"]:
        case "Image":
            return Column(name=name, kind=Kind.IMAGE, mode=description.get("mode"))
        case "ClassLabel":
            names = tuple(description.get("names") or ())
            if not all(isinstance(one, str) for one in names):
                raise DataError(
                    f"column {name} names classes by what is no text: {names[:3]}",
                    hint="write the data set again, with a text for every class",
                )
            return Column(name=name, kind=Kind.CLASS, class_names=names or None)
        case "Value":
            return Column(name=name, kind=_plain_kind(description["dtype"]))
        case _:
            return Column(name=name, kind=Kind.OTHER)


def with_features(table: pa.Table, where: str) -> tuple[datasets.Dataset, dict[str, str], Notes]:
    """The table as a `datasets.Dataset`, why each column that `datasets` has no type for is left out, and notes.

    What the file says of its columns is believed where it can be read, else the columns are what arrow says.
    """
    import datasets

    bare = pa.schema([field.remove_metadata() for field in table.schema])
    unread = {field.name: f"holds {field.type}" for field in bare if not _has_feature(field)}
    kept = table.drop_columns(list(unread))
    try:
        made = datasets.Dataset(kept, fingerprint="unused")
        for name, feature in made.features.to_dict().items():
            described_column(name, feature)
        left_out = _declared(kept.schema) - {"", *unread} - _declared(made.data.schema)
        why = "no file holds these columns" if left_out else ""
    # What a newer or a damaged version of `datasets` wrote fails wherever it is looked at.
    except Exception as error:
        made, why = (
            datasets.Dataset(kept.replace_schema_metadata(None), fingerprint="unused"),
            first_line(error),
        )
    return made, unread, (_types_unread(where, why),) if why else ()


def _has_feature(field: pa.Field) -> bool:
    import datasets

    try:
        features = datasets.Features.from_arrow_schema(pa.schema([field]))
        pa.table({field.name: pa.nulls(0, field.type)}).cast(features.arrow_schema)
    except Exception:
        return False
    return True


def _declared(schema: pa.Schema) -> set[str]:
    """The columns that the stored description speaks of."""
    stored = (schema.metadata or {}).get(STORED)
    described = {} if stored is None else json.loads(stored).get("info", {}).get("features") or {}
    return set(described)


def _types_unread(where: str, why: str) -> Gap:
    return Gap(
        ident="column-types-not-read",
        what=f"what {where} says of its columns was not used ({why:.80}): read by arrow types, without class names",
        advice="write the file again with the `datasets` that is installed, or compare the classes by hand",
        holds="nothing",
    )


def _stores_image(description: Any) -> bool:
    """How an image is stored where the file says nothing of features."""
    return isinstance(description, Mapping) and {"bytes", "path"} <= description.keys()


def _lists_texts(description: Any) -> bool:
    """A list of texts, or such a list beside one of their labels, as ARC has it."""
    if not isinstance(description, Mapping):
        return False
    if description.get("_type") in LISTS:
        inner = description["feature"]
        return isinstance(inner, Mapping) and inner.get("_type") == "Value" and inner["dtype"] in TEXTS
    return description.keys() == {"text", "label"} and all(map(_lists_texts, description.values()))


def _array_dtype(description: Mapping[str, Any]) -> str | None:
    """The numpy name of the numbers in arrays or nested lists; None for other columns."""
    if description["_type"] in SHAPED_ARRAYS:
        return str(description["dtype"])
    inner: Any = description
    while isinstance(inner, Mapping) and inner.get("_type") in LISTS:
        inner = inner["feature"]
    if inner is description or not isinstance(inner, Mapping) or inner.get("_type") != "Value":
        return None
    dtype = str(inner["dtype"])
    return dtype if dtype == "bool" or dtype.startswith(NUMBERS) else None


def _plain_kind(dtype: str) -> Kind:
    if dtype in TEXTS:
        return Kind.TEXT
    if dtype in ("binary", "large_binary"):
        return Kind.IMAGE
    if dtype == "bool" or dtype.startswith(("int", "uint")):
        return Kind.INTEGER
    return Kind.DECIMAL if dtype.startswith("float") else Kind.OTHER
