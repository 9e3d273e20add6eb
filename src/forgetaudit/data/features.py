"""What a column of `datasets` holds, read off the plain description that is stored in dataset_info.json."""

from collections.abc import Mapping
from typing import Any

from forgetaudit.data.columns import Column, Kind

__all__ = ["described_column"]

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
            return Column(name=name, kind=Kind.CLASS, class_names=names or None)
        case "Value":
            return Column(name=name, kind=_plain_kind(description["dtype"]))
        case _:
            return Column(name=name, kind=Kind.OTHER)


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
