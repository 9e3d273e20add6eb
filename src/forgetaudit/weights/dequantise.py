"""Quantised weights as the values that they stand for, a chunk at a time, by the published rule of their method.

Scaled fp8 and int8: value = code · scale of the tensor, the channel or the block (DeepSeek-V3, transformers' fp8 in
blocks, compressed-tensors). bitsandbytes: 4 bits, value = map[code] · absmax of the block, where absmax may itself be
codes, dequantised first (Dettmers et al. 2023, QLoRA); 8 bits, value = code · SCB of the row / 127 (2022).
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, Checkpoint, Shape, TensorInfo
from forgetaudit.gaps import Notes
from forgetaudit.weights.codes import Codes, find_codes, is_activation_scale
from forgetaudit.weights.decode import FLOATING, INTEGER, decode

__all__ = ["Dequantised", "as_values"]

Numbers = NDArray[np.float32]
# Elements `start` to `stop` of the weight, flattened.
_Values = Callable[[int, int], Numbers]
_MOST_STATE_BYTES = 1 << 16


def as_values(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint itself where none of its weights are quantised; else seen through Dequantised."""
    if isinstance(checkpoint, Dequantised):
        return checkpoint
    codes = find_codes(checkpoint)
    return Dequantised(checkpoint, codes) if codes else checkpoint


class Dequantised:
    """A Checkpoint whose quantised weights read as float32, and whose scales are gone where they were used.

    Codes without a rule stay, marked with what they are. Closing it closes what it looks at.
    """

    def __init__(self, inner: Checkpoint, codes: tuple[Codes, ...]) -> None:
        self._inner = inner
        self.path: Path = inner.path
        self.format: str = inner.format
        self.metadata: Mapping[str, str] = inner.metadata
        self.files: tuple[Path, ...] = inner.files
        self.notes: Notes = inner.notes
        self._codes = {code.name: code for code in codes}
        self._open: tuple[str, _Values] | None = None
        self._shapes: dict[str, Shape] = {}
        self.tensors: Mapping[str, TensorInfo] = dict(self._described())

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the bytes of the values from `start_byte`."""
        if name not in self._shapes:
            self._inner.read(name, start_byte, out)
            return
        if not 0 <= start_byte <= self.tensors[name].n_bytes - len(out):
            raise ValueError(f"{name!r} has {self.tensors[name].n_bytes} bytes")
        if self._open is None or self._open[0] != name:
            self._open = name, self._values(self._codes[name])
        first, last = start_byte // 4, -(-(start_byte + len(out)) // 4)
        with np.errstate(all="ignore"):
            raw = np.ascontiguousarray(self._open[1](first, last), dtype="<f4").view(np.uint8)
        out[:] = raw[start_byte - 4 * first :][: len(out)].data

    def close(self) -> None:
        """Let go of the files."""
        self._open = None
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _described(self) -> dict[str, TensorInfo]:
        reasons: dict[str, str] = {}
        for code in self._codes.values():
            shape = self._shape(code)
            if isinstance(shape, str):
                reasons[code.name] = shape
            else:
                self._shapes[code.name] = shape
        used = {part for name in self._shapes for part in self._codes[name].parts.values()}
        left = {part for name in reasons for part in self._codes[name].parts.values()}
        found: dict[str, TensorInfo] = {}
        for name, info in self._inner.tensors.items():
            if name in self._shapes:
                found[name] = _seen(info, self._shapes[name], self._codes[name].method)
            elif name in reasons:
                scales = tuple(self._codes[name].parts.values())
                found[name] = replace(info, codes=reasons[name], scales=scales)
            elif name not in used:
                found[name] = replace(info, is_scale=name in left or is_activation_scale(name))
        return found

    def _shape(self, code: Codes) -> Shape | str:
        """The shape of the values; a reason where there are none."""
        info = self._inner.tensors[code.name]
        match code.rule:
            case "scaled":
                blocks = _blocks(info.shape, self._inner.tensors[code.parts["scale"]].shape)
                return f"{code.method}, whose blocks do not fit" if blocks is None else info.shape
            case "bitsandbytes 4 bits":
                state = self._state(code)
                return f"{code.method}, whose parts do not fit" if state is None else tuple(state["shape"])
            case "bitsandbytes 8 bits":
                fits = self._is_by_rows(code, info)
                return info.shape if fits else f"{code.method}, whose parts do not fit"
        return f"{code.method}, which are not dequantised here"

    def _is_by_rows(self, code: Codes, info: TensorInfo) -> bool:
        scale = self._inner.tensors[code.parts["SCB"]]
        if info.dtype != "int8" or len(info.shape) != 2 or scale.n_elements != info.shape[0]:
            return False
        # 0 is plain rows; others are layouts of one kind of device.
        return "format" not in code.parts or not self._all(code.parts["format"]).any()

    def _state(self, code: Codes) -> Mapping[str, Any] | None:
        """What bitsandbytes noted of a weight of 4 bits, checked against its tensors; None where it does not fit."""
        tensors, parts = self._inner.tensors, code.parts
        if (
            not {"absmax", "quant_map", "state"} <= parts.keys()
            or tensors[parts["state"]].n_bytes > _MOST_STATE_BYTES
        ):
            return None
        try:
            state = json.loads(self._raw(parts["state"]).tobytes())
            shape, block = state["shape"], state["blocksize"]
            counts = [*shape, block, state.get("nested_blocksize", 1)]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not all(type(n) is int and 0 < n < 1 << 40 for n in counts) or len(shape) > 8:
            return None
        n, absmax = math.prod(shape), tensors[parts["absmax"]]
        fits = (
            tensors[code.name].n_bytes == -(-n // 2)
            and absmax.n_elements == -(-n // block)
            and tensors[parts["quant_map"]].n_elements == 16
            and tensors[parts["quant_map"]].dtype in FLOATING
            and (absmax.dtype in FLOATING or self._is_nested(parts, absmax, state))
        )
        return state if fits else None

    def _is_nested(self, parts: Mapping[str, str], absmax: TensorInfo, state: Mapping[str, Any]) -> bool:
        tensors = self._inner.tensors
        if absmax.dtype != "uint8" or not {"nested_absmax", "nested_quant_map"} <= parts.keys():
            return False
        scales, table = tensors[parts["nested_absmax"]], tensors[parts["nested_quant_map"]]
        return (
            isinstance(state.get("nested_offset", 0.0), int | float)
            and {scales.dtype, table.dtype} <= FLOATING
            and table.n_elements == 256
            and scales.n_elements == -(-absmax.n_elements // state.get("nested_blocksize", 256))
        )

    def _values(self, code: Codes) -> _Values:
        if code.rule == "bitsandbytes 4 bits":
            return self._four_bits(code)
        info = self._inner.tensors[code.name]
        if code.rule == "scaled":
            scale_info = self._inner.tensors[code.parts["scale"]]
            blocks = _blocks(info.shape, scale_info.shape)
            assert blocks is not None  # noqa: S101
            factors = self._all(code.parts["scale"]).reshape(_grid(info.shape, blocks))
        else:
            blocks = (1, info.shape[1])
            factors = (self._all(code.parts["SCB"]) / np.float32(127)).reshape(-1, 1)
        return lambda start, stop: (
            self._codes_of(info, start, stop) * _factors(info.shape, blocks, factors, start, stop)
        )

    def _codes_of(self, info: TensorInfo, start: int, stop: int) -> Numbers:
        item = DTYPE_BITS[info.dtype] // 8
        raw = np.empty((stop - start) * item, dtype=np.uint8)
        self._inner.read(info.name, start * item, raw.data)
        return decode(raw, info.dtype, np.empty(stop - start, dtype=np.float32)).astype(np.float32)

    def _four_bits(self, code: Codes) -> _Values:
        state = self._state(code)
        assert state is not None  # noqa: S101
        table, absmax, block = (
            self._all(code.parts["quant_map"]),
            self._absmax(code, state),
            state["blocksize"],
        )

        def values(start: int, stop: int) -> Numbers:
            first, last = start // 2, -(-stop // 2)
            raw = np.empty(last - first, dtype=np.uint8)
            self._inner.read(code.name, first, raw.data)
            # The first of two lies in the upper half of a byte.
            pairs = np.stack([raw >> 4, raw & 15], axis=1).reshape(-1)[start - 2 * first :][: stop - start]
            by_block: Numbers = table[pairs] * absmax[np.arange(start, stop) // block]
            return by_block

        return values

    def _absmax(self, code: Codes, state: Mapping[str, Any]) -> Numbers:
        absmax = self._all(code.parts["absmax"])
        if "nested_absmax" not in code.parts:
            return absmax
        table, scales = self._all(code.parts["nested_quant_map"]), self._all(code.parts["nested_absmax"])
        block = state.get("nested_blocksize", 256)
        nested: Numbers = table[absmax.astype(np.uint8)] * scales[np.arange(absmax.size) // block]
        return nested + np.float32(state.get("nested_offset", 0.0))

    def _all(self, name: str) -> Numbers:
        """A small tensor of scales, whole."""
        info = self._inner.tensors[name]
        if info.dtype not in FLOATING | INTEGER:
            return np.empty(0, dtype=np.float32)
        return self._codes_of(info, 0, info.n_elements)

    def _raw(self, name: str) -> NDArray[np.uint8]:
        raw = np.empty(self._inner.tensors[name].n_bytes, dtype=np.uint8)
        self._inner.read(name, 0, raw.data)
        return raw


def _seen(info: TensorInfo, shape: Shape, method: str) -> TensorInfo:
    n_bytes = 4 * math.prod(shape)
    return TensorInfo(
        name=info.name, dtype="float32", shape=shape, n_bytes=n_bytes, stored=f"{info.dtype}, {method}"
    )


def _blocks(shape: Shape, scale: Shape) -> Shape | None:
    """How many elements share a factor along each dimension; None where shapes do not tell.

    A scalar is of the whole tensor, a vector of the first dimension. Blocks are all alike, or powers of two of which
    the last is cut off; where the two differ, nobody knows.
    """
    if math.prod(scale) == 1:
        return shape
    if len(scale) == 1 and shape and scale[0] == shape[0]:
        scale = (*scale, *(1 for _ in shape[1:]))
    if len(scale) != len(shape):
        return None
    found = [_block(n, parts) for n, parts in zip(shape, scale, strict=True)]
    return tuple(one for one in found if one is not None) if None not in found else None


def _block(n: int, n_parts: int) -> int | None:
    if n_parts in (1, n):
        return max(1, n // max(1, n_parts))
    power = next((1 << power for power in range(n.bit_length()) if -(-n // (1 << power)) == n_parts), None)
    # Where parts are alike, transformers takes these; with DeepSeek the last one may be cut off.
    alike = n // n_parts if n_parts and n % n_parts == 0 else None
    return power if alike is None or alike == power else alike if power is None else None


def _grid(shape: Shape, blocks: Shape) -> Shape:
    """How many blocks there are along each dimension."""
    return tuple(-(-n // block) for n, block in zip(shape, blocks, strict=True))


def _factors(shape: Shape, blocks: Shape, factors: Numbers, start: int, stop: int) -> Numbers:
    """The factor of each of the elements `start` to `stop`, flattened."""
    if not shape:
        return factors.reshape(-1)
    n_columns = shape[-1]
    rows = np.arange(start // n_columns, -(-stop // n_columns))
    places = np.unravel_index(rows, shape[:-1]) if len(shape) > 1 else ()
    index = tuple(place // block for place, block in zip(places, blocks[:-1], strict=True))
    of_rows = factors[index].reshape(len(rows), -1)
    wide = np.repeat(of_rows, blocks[-1], axis=1)[:, :n_columns].reshape(-1)
    skipped = start - int(rows[0]) * n_columns
    return wide[skipped : skipped + stop - start]
