"""How far every tensor went from base to tuned: one pass over both files, a chunk at a time, without torch."""

import math
from collections.abc import Callable, Collection, Iterator, Set
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forgetaudit.checkpoints.align import NameAlignment
from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, Checkpoint, TensorInfo
from forgetaudit.checkpoints.shells import is_shell
from forgetaudit.progress import SILENT, Progress
from forgetaudit.weights.changes import Change, Role, TensorChange, WeightChanges, role_of
from forgetaudit.weights.copies import find_copy
from forgetaudit.weights.decode import COMPLEX, FLOATING, INTEGER
from forgetaudit.weights.pair_sums import CHUNK_ELEMENTS, PairSums, Scratch
from forgetaudit.weights.sums import Sums

__all__ = ["differs_in_rows", "measure_weights", "without_partner"]

_Advance = Callable[[int], None]
_Raw = NDArray[np.uint8]

# Beside an 8-bit weight, the factors of its blocks: DeepSeek, compressed-tensors.
_SCALES = ("_scale_inv", "_scale")


def measure_weights(
    base: Checkpoint,
    tuned: Checkpoint,
    alignment: NameAlignment,
    progress: Progress = SILENT,
    *,
    by_rows: Collection[str] = (),
) -> WeightChanges:
    """Compare every tensor, reading each file once, base in file order.

    Of those of base's tensors that `by_rows` names, rows stand for tokens, in one order on both sides: where tuned
    has more rows, or fewer, those that both have are compared. Other tensors of two shapes are not.
    Memory is a few chunks of 128 Ki elements whatever the size of the files. Sums are accurate to 1e-5 relative for
    types up to 32 bits and to float64 otherwise. A tensor that one file holds twice and the other once (tied weights)
    is no loss: `copy_of` says so. Raises UnreadableCheckpoint where a file changes under the reading.
    """
    pairs, reshaped = dict(alignment.pairs), dict(alignment.reshaped)
    total = sum(base.tensors[one].n_bytes + tuned.tensors[two].n_bytes for one, two in alignment.pairs)
    rows: list[TensorChange] = []
    reader = _PairReader(base, tuned)
    with progress.phase("weights", total, "bytes") as advance:
        for name, info in base.tensors.items():
            if name in pairs:
                rows.append(reader.compare(info, tuned.tensors[pairs[name]], advance))
            elif name in reshaped:
                rows.append(
                    reader.compare_rows(info, tuned.tensors[reshaped[name]], is_known=name in by_rows)
                )
            else:
                rows.append(_only_base(info, find_copy(base, info, pairs)))
    names = {theirs: ours for ours, theirs in alignment.pairs}
    for info in (tuned.tensors[name] for name in alignment.only_right):
        twin = find_copy(tuned, info, names)
        rows.append(_only_tuned(info, None if twin is None else names[twin]))
    return WeightChanges(tensors=tuple(_with_their_scales(rows)))


def _with_their_scales(rows: list[TensorChange]) -> Iterator[TensorChange]:
    """Equal codes are equal weights only where all that belongs to them is equal, too."""
    moved = {row.name for row in rows if row.role is Role.SCALE and not row.is_unchanged}
    for row in rows:
        scales = row.base.scales if row.base is not None else ()
        if row.is_unchanged and moved.intersection(scales):
            yield replace(row, change=Change.NOT_COMPARABLE)
        else:
            yield row


def differs_in_rows(base: TensorInfo, tuned: TensorInfo) -> bool:
    """Whether one has more rows than the other, and nothing else tells their shapes apart."""
    return bool(base.shape and tuned.shape) and base.shape[1:] == tuned.shape[1:] != base.shape


def without_partner(
    checkpoint: Checkpoint, names: Collection[str], progress: Progress = SILENT
) -> tuple[TensorChange, ...]:
    """The tensors `names` of one checkpoint as unchanged: each read once, for its norm."""
    reader = _PairReader(checkpoint, checkpoint)
    infos = [info for name, info in checkpoint.tensors.items() if name in names]
    with progress.phase("weights", sum(info.n_bytes for info in infos), "bytes") as advance:
        return tuple(reader.norm(info, advance) for info in infos)


class _PairReader:
    """Two reused buffers, and the comparison of what is read into them."""

    def __init__(self, base: Checkpoint, tuned: Checkpoint) -> None:
        self._base, self._tuned = base, tuned
        self._names = base.tensors.keys() | tuned.tensors.keys()
        self._room = Scratch()
        # Eight bytes hold an element of every type that has numbers, and a part of a complex one.
        self._base_buffer = np.empty(CHUNK_ELEMENTS * 8, dtype=np.uint8)
        self._tuned_buffer = np.empty(CHUNK_ELEMENTS * 8, dtype=np.uint8)

    def compare(self, base: TensorInfo, tuned: TensorInfo, advance: _Advance) -> TensorChange:
        reason = _no_arithmetic(base, tuned, self._names)
        if reason is not None:
            is_equal = base.dtype == tuned.dtype and self._has_equal_bytes(base, tuned)
            advance(base.n_bytes + tuned.n_bytes)
            is_equal &= not _is_empty_parameter(base)
            change = _unchanged(base, tuned) if is_equal else Change.NOT_COMPARABLE
            return _pair(base, tuned, change, reason=reason)
        found = self._measured(base, tuned, base.n_elements, advance)
        return _pair(base, tuned, Change.CHANGED if found.n_changed else _unchanged(base, tuned), sums=found)

    def _measured(self, base: TensorInfo, tuned: TensorInfo, n_elements: int, advance: _Advance) -> Sums:
        sums = PairSums(base.dtype, tuned.dtype, self._room)
        for base_raw, tuned_raw in self._chunks(base, tuned, n_elements):
            sums.update(base_raw, tuned_raw)
            advance(base_raw.size + tuned_raw.size)
        return sums.sums()

    def norm(self, info: TensorInfo, advance: _Advance) -> TensorChange:
        """The tensor as it is on both sides, read once."""
        if _no_arithmetic(info, info, self._names) is not None:
            advance(info.n_bytes)
            return _pair(info, info, Change.IDENTICAL)
        sums, step = (
            PairSums(info.dtype, info.dtype, self._room),
            _chunk_elements(info) * (_item_bytes(info) or 1),
        )
        for start in range(0, info.n_bytes, step):
            raw = self._base_buffer[: min(step, info.n_bytes - start)]
            self._base.read(info.name, start, raw.data)
            sums.update(raw, raw)
            advance(raw.size)
        return _pair(info, info, Change.IDENTICAL, sums=sums.sums())

    def compare_rows(self, base: TensorInfo, tuned: TensorInfo, *, is_known: bool) -> TensorChange:
        """The leading rows that both have, where `is_known` that rows of one number belong together."""
        reason = _no_arithmetic(base, tuned, self._names)
        if not is_known or reason is not None or not differs_in_rows(base, tuned):
            return _pair(base, tuned, Change.RESHAPED, reason=_two_shapes(base, tuned))
        n_shared = min(base.shape[0], tuned.shape[0])
        sums = self._measured(base, tuned, n_shared * math.prod(base.shape[1:]), lambda _: None)
        said = f"the shapes differ: measured over the {n_shared:,} rows that both have"
        return _pair(base, tuned, Change.RESHAPED, sums=sums, reason=said)

    def _has_equal_bytes(self, base: TensorInfo, tuned: TensorInfo) -> bool:
        # A packed element is no whole number of bytes: such types go byte by byte.
        n_units = base.n_elements if _item_bytes(base) else base.n_bytes
        return all(
            np.array_equal(base_raw, tuned_raw) for base_raw, tuned_raw in self._chunks(base, tuned, n_units)
        )

    def _chunks(self, base: TensorInfo, tuned: TensorInfo, n_units: int) -> Iterator[tuple[_Raw, _Raw]]:
        """The bytes of the first elements of both, at most a chunk of elements at a time."""
        if base.n_bytes == 0:
            return
        base_item, tuned_item = _item_bytes(base) or 1, _item_bytes(tuned) or 1
        step = _chunk_elements(base)
        for start in range(0, n_units, step):
            n_here = min(step, n_units - start)
            base_raw = self._base_buffer[: n_here * base_item]
            tuned_raw = self._tuned_buffer[: n_here * tuned_item]
            self._base.read(base.name, start * base_item, base_raw.data)
            self._tuned.read(tuned.name, start * tuned_item, tuned_raw.data)
            yield base_raw, tuned_raw


def _item_bytes(info: TensorInfo) -> int | None:
    """Bytes per element of a type with numbers; None for the others."""
    return DTYPE_BITS[info.dtype] // 8 if _kind(info.dtype) else None


def _chunk_elements(info: TensorInfo) -> int:
    return CHUNK_ELEMENTS // 2 if info.dtype in COMPLEX else CHUNK_ELEMENTS


def _kind(dtype: str) -> str | None:
    """The kind of numbers that this dtype holds; None where it holds none that could be subtracted."""
    if dtype in COMPLEX:
        return "complex"
    return "floating" if dtype in FLOATING else "integer" if dtype in INTEGER else None


def _no_arithmetic(base: TensorInfo, tuned: TensorInfo, names: Set[str]) -> str | None:
    """Why the values of the two cannot be subtracted; None where they can."""
    for info in (base, tuned):
        if info.codes is not None:
            return info.codes
        if _kind(info.dtype) is None:
            return f"{info.dtype} values are not subtracted"
        if info.dtype.startswith("float8") and any(info.name + ending in names for ending in _SCALES):
            return f"{info.dtype} values that are to be multiplied with scales of their own"
    if _is_empty_parameter(base):
        return "empty in both files (0 elements)"
    if _kind(base.dtype) != _kind(tuned.dtype):
        return f"{base.dtype} in base stands for something else than {tuned.dtype} in tuned"
    if _kind(base.dtype) == "integer" and _role(base) is Role.PARAMETER:
        return f"{base.dtype} codes, which are no values without their scales"
    return None


def _is_empty_parameter(info: TensorInfo) -> bool:
    return is_shell(info) and _role(info) is Role.PARAMETER


def _two_shapes(base: TensorInfo, tuned: TensorInfo) -> str:
    empty = [side for side, info in (("base", base), ("tuned", tuned)) if is_shell(info)]
    return f"empty in {empty[0]} (0 elements)" if empty else "the shapes differ"


def _role(info: TensorInfo) -> Role:
    return role_of(info.name, info.dtype, info.shape)


def _unchanged(base: TensorInfo, tuned: TensorInfo) -> Change:
    if (base.dtype, base.stored) != (tuned.dtype, tuned.stored):
        return Change.CAST
    return Change.IDENTICAL if base.name == tuned.name else Change.RENAMED


def _pair(
    base: TensorInfo,
    tuned: TensorInfo,
    change: Change,
    *,
    sums: Sums | None = None,
    reason: str | None = None,
) -> TensorChange:
    role = Role.SCALE if base.is_scale else _role(base)
    return TensorChange(
        name=base.name, base=base, tuned=tuned, role=role, change=change, sums=sums, reason=reason
    )


def _only_base(info: TensorInfo, copy_of: str | None) -> TensorChange:
    said = "tuned has no such tensor" if copy_of is None else f"a copy of {copy_of}, which tuned holds once"
    return TensorChange(
        name=info.name,
        base=info,
        tuned=None,
        role=Role.SCALE if info.is_scale else _role(info),
        change=Change.ONLY_BASE,
        reason=said,
        copy_of=copy_of,
    )


def _only_tuned(info: TensorInfo, copy_of: str | None) -> TensorChange:
    said = "base has no such tensor" if copy_of is None else f"a copy of {copy_of}, which base holds once"
    return TensorChange(
        name=info.name,
        base=None,
        tuned=info,
        role=Role.SCALE if info.is_scale else _role(info),
        change=Change.ONLY_TUNED,
        reason=said,
        copy_of=copy_of,
    )
