"""What a tensor's bits become when it is saved in another dtype, as torch's `.to(dtype)` does it."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgetaudit.weights.decode import Values, bits_of, small_float_values

__all__ = ["casts_to", "differs_from_cast"]

_EXACT_CASTS = {"float64": "<f8", "float32": "<f4", "float16": "<f2"}
_ROUNDED_BY_TABLE = ("float8_e4m3fn", "float8_e5m2")
# Half-way between the largest value, 448, and what would be the next one.
_E4M3FN_LIMIT = 464.0


def casts_to(dtype: str) -> bool:
    """True where a cast from another floating dtype to this one can be told from a change."""
    return dtype in _EXACT_CASTS or dtype == "bfloat16" or dtype in _ROUNDED_BY_TABLE


def differs_from_cast(base: Values, tuned_raw: NDArray[np.uint8], dtype: str) -> NDArray[np.bool_]:
    """Where tuned's bits are not those of base cast to tuned's `dtype`.

    A NaN is the cast of any NaN: which bits it gets depends on the processor. Beyond the range of e4m3fn both the
    largest value and NaN count as a cast: versions of torch differ.
    """
    bits = bits_of(tuned_raw, dtype)
    differs: NDArray[np.bool_] = _cast_bits(base, dtype) != bits
    if differs.any():
        overflows = np.abs(base) > _E4M3FN_LIMIT if dtype == "float8_e4m3fn" else False
        differs &= ~((np.isnan(base) | overflows) & _is_nan(bits, dtype))
    return differs


def _cast_bits(values: Values, dtype: str) -> NDArray[Any]:
    if dtype == "float64":
        return values.astype("<f8").view("<u8")
    # torch goes through float32 on the way to every shorter type, so float64 is rounded twice.
    single = values.astype("<f4")
    if dtype in _EXACT_CASTS:
        return single.astype(_EXACT_CASTS[dtype]).view(f"<u{np.dtype(_EXACT_CASTS[dtype]).itemsize}")
    if dtype == "bfloat16":
        return _round_to_bfloat16(single)
    return _round_by_table(single, dtype)


def _round_to_bfloat16(single: NDArray[np.float32]) -> NDArray[np.uint16]:
    """To nearest, ties to even: add half of the last kept place, a little less where that place is even."""
    bits = single.view(np.uint32)
    odd = (bits >> 16) & 1
    rounded: NDArray[np.uint16] = ((bits.astype(np.uint64) + 0x7FFF + odd) >> 16).astype(np.uint16)
    # Rounding may carry a NaN's last ones into the exponent's sign.
    return np.where(np.isnan(single), np.uint16(0x7FC0), rounded)


@cache
def _thresholds(dtype: str) -> NDArray[np.float64]:
    """The midpoints between neighbouring non-negative codes; beyond the last one lies the largest, or infinity."""
    if dtype == "float8_e4m3fn":
        values = small_float_values(dtype)[:0x7F].astype(np.float64)
    else:
        values = small_float_values(dtype)[:0x7D].astype(np.float64)
        values[-1] = 2 * values[-2] - values[-3]
    return (values[1:] + values[:-1]) / 2


def _round_by_table(single: NDArray[np.float32], dtype: str) -> NDArray[np.uint8]:
    middles = _thresholds(dtype)
    size = np.abs(single).astype(np.float64)
    code = np.searchsorted(middles, size, side="left")
    # On a midpoint the even one of both codes wins.
    tie = (code < middles.size) & (middles[np.minimum(code, middles.size - 1)] == size) & (code % 2 == 1)
    code = np.where(tie, code + 1, code)
    code = np.where(np.isnan(single), 0x7F, code)
    return (code | np.where(np.signbit(single), 0x80, 0)).astype(np.uint8)


def _is_nan(bits: NDArray[Any], dtype: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_]
    match dtype:
        case "float64" | "float32" | "float16":
            found = np.isnan(bits.view(_EXACT_CASTS[dtype]))
        case "bfloat16":
            found = (bits & 0x7FFF) > 0x7F80
        case _:
            found = np.isnan(small_float_values(dtype)[bits])
    return found
