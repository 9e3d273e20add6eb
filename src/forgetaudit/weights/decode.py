"""From the bytes of a tensor to numbers, without torch."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COMPLEX",
    "FLOATING",
    "INTEGER",
    "Values",
    "bits_of",
    "decode",
    "small_float_values",
    "split_bfloat16",
]

# float32 where it holds every value of the stored type, else float64.
Values = NDArray[np.float32] | NDArray[np.float64]

# The unsigned integers that hold one element's bits.
_BITS: Mapping[str, str] = {
    "float64": "<u8",
    "float32": "<u4",
    "float16": "<u2",
    "bfloat16": "<u2",
    "float8_e4m3fn": "u1",
    "float8_e4m3fnuz": "u1",
    "float8_e5m2": "u1",
    "float8_e5m2fnuz": "u1",
    "float8_e8m0fnu": "u1",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "i1",
    "uint64": "<u8",
    "uint32": "<u4",
    "uint16": "<u2",
    "uint8": "u1",
    "bool": "u1",
}
# name -> (bits of the exponent, bits of the mantissa, bias)
_SMALL_FLOATS: Mapping[str, tuple[int, int, int]] = {
    "float8_e4m3fn": (4, 3, 7),
    "float8_e4m3fnuz": (4, 3, 8),
    "float8_e5m2": (5, 2, 15),
    "float8_e5m2fnuz": (5, 2, 16),
}
FLOATING = frozenset({"float64", "float32", "float16", "bfloat16", "float8_e8m0fnu", *_SMALL_FLOATS})
# What the real and the imaginary part are, which lie side by side.
COMPLEX: Mapping[str, str] = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}
INTEGER = frozenset(_BITS) - FLOATING
_EXACT_IN_FLOAT64_ONLY = frozenset({"float64", "int64", "int32", "uint64", "uint32"})


def bits_of(raw: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """The bytes as one integer for each element, without copying: equal integers are equal bytes.

    Types without numbers of their own (complex, packed) come out as single bytes.
    """
    return raw.view(_BITS.get(dtype, "u1"))


def decode(raw: NDArray[np.uint8], dtype: str, room: NDArray[np.float32]) -> Values:
    """The bytes of n elements as n numbers, in `room` or in `raw` itself.

    float32 holds float32, float16, bfloat16, float8 and integers up to 16 bits exactly; the others become float64.
    """
    n_elements = bits_of(raw, dtype).size
    match dtype:
        case "float32":
            return raw.view("<f4")
        case "float64":
            return raw.view("<f8")
        case "bfloat16":
            # bfloat16 is the upper half of a float32.
            np.left_shift(raw.view("<u2"), 16, out=room[:n_elements].view(np.uint32), dtype=np.uint32)
        case "float16":
            room[:n_elements] = raw.view("<f2")
        case _ if dtype in _SMALL_FLOATS or dtype == "float8_e8m0fnu":
            np.take(small_float_values(dtype), raw, out=room[:n_elements], mode="clip")
        case _ if dtype in _EXACT_IN_FLOAT64_ONLY:
            return bits_of(raw, dtype).astype(np.float64)
        case _:
            room[:n_elements] = bits_of(raw, dtype)
    return room[:n_elements]


def split_bfloat16(raw: NDArray[np.uint8], room: NDArray[np.float32]) -> NDArray[np.float32]:
    """An even number of bfloat16 elements, those of even place first and then the others, in `room`.

    Two at a time as one 32-bit word each: a third less time than one by one. For sums, which know no order.
    """
    words = raw.view("<u4")
    bits = room[: 2 * words.size].view(np.uint32)
    np.left_shift(words, 16, out=bits[: words.size])
    np.bitwise_and(words, np.uint32(0xFFFF0000), out=bits[words.size :])
    return room[: 2 * words.size]


@cache
def small_float_values(dtype: str) -> NDArray[np.float32]:
    """The value of each of the 256 codes of an 8-bit float (OCP 8-bit floating point, 2023; fnuz: Graphcore, AMD)."""
    codes = np.arange(256)
    if dtype == "float8_e8m0fnu":
        # Powers of two alone, for scales (OCP Microscaling Formats, 2023).
        powers: NDArray[np.float32] = np.where(codes == 0xFF, np.nan, np.exp2(codes - 127.0)).astype(
            np.float32
        )
        return powers
    n_exponent, n_mantissa, bias = _SMALL_FLOATS[dtype]
    exponent = (codes >> n_mantissa) & ((1 << n_exponent) - 1)
    mantissa = codes & ((1 << n_mantissa) - 1)
    scale = np.exp2(np.maximum(exponent, 1) - bias - n_mantissa)
    values = np.where(exponent > 0, mantissa + (1 << n_mantissa), mantissa) * scale
    values = np.where(codes & 0x80, -values, values)
    if dtype.endswith("fnuz"):
        values[0x80] = np.nan
    elif dtype == "float8_e4m3fn":
        values[[0x7F, 0xFF]] = np.nan
    else:
        values[[0x7C, 0xFC]] = np.inf, -np.inf
        values[[0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]] = np.nan
    single: NDArray[np.float32] = values.astype(np.float32)
    return single
