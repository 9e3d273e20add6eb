"""Resized vocabularies: tuned has other rows of tokens than base, and is seen with base's."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from forgetaudit.checkpoints.checkpoint import DTYPE_BITS, Checkpoint, TensorInfo
from forgetaudit.errors import MismatchError
from forgetaudit.models.name_mapping import find_landing
from forgetaudit.models.probing import Loader, NameMapping

__all__ = ["Refitted", "SameRows", "refit", "vocabulary_slots"]


def vocabulary_slots(model: nn.Module) -> frozenset[str]:
    """The network's names of the tensors with a row for each token, as its library gives them out.

    The input embedding, and the output embedding (its bias, too) where it has as many rows; tied ones by all of
    their names. Empty for a network that reads no tokens.
    """
    whole: Any = model
    try:
        read = whole.get_input_embeddings()
        written = whole.get_output_embeddings()
    except (NotImplementedError, AttributeError):
        return frozenset()
    if not isinstance(read, nn.Embedding):
        return frozenset()
    candidates = (read.weight, getattr(written, "weight", None), getattr(written, "bias", None))
    identities = {
        id(tensor)
        for tensor in candidates
        if isinstance(tensor, Tensor) and tensor.shape[:1] == read.weight.shape[:1]
    }
    tensors = model.state_dict(keep_vars=True)
    return frozenset(name for name, tensor in tensors.items() if id(tensor) in identities)


class SameRows:
    """See `forgetaudit.checkpoints.checkpoint.Checkpoint`: another one, whose tensors `names` have `n_rows` rows.

    Rows beyond are left out, as the bytes at the end; rows that it lacks read as zeros.
    """

    def __init__(self, checkpoint: Checkpoint, names: Collection[str], n_rows: int) -> None:
        self._whole = checkpoint
        self.path, self.format, self.files = checkpoint.path, checkpoint.format, checkpoint.files
        self.metadata, self.notes = checkpoint.metadata, checkpoint.notes
        self.tensors = dict(checkpoint.tensors) | {
            name: _with_rows(checkpoint.tensors[name], n_rows) for name in names
        }

    def read(self, name: str, start_byte: int, out: memoryview) -> None:
        """Fill `out` with the tensor's bytes from `start_byte`."""
        n_there = max(0, min(len(out), self._whole.tensors[name].n_bytes - start_byte))
        if n_there:
            self._whole.read(name, start_byte, out[:n_there])
        out[n_there:] = bytes(len(out) - n_there)

    def close(self) -> None:
        """Nothing of its own to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _with_rows(info: TensorInfo, n_rows: int) -> TensorInfo:
    shape = (n_rows, *info.shape[1:])
    return replace(info, shape=shape, n_bytes=math.prod(shape) * DTYPE_BITS[info.dtype] // 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refitted:
    """A tuned checkpoint seen with base's rows of tokens, and where its tensors then land.

    `n_rows` it has itself, base has `n_base`. `slots` are the network's names that were refitted.
    """

    checkpoint: Checkpoint
    landing: NameMapping
    n_rows: int
    n_base: int
    slots: tuple[str, ...]

    @property
    def said(self) -> str:
        """The sentence for the report."""
        more = self.n_rows - self.n_base
        where = ", ".join(self.slots)
        if more > 0:
            return (
                f"its vocabulary has {more:,} more rows than base's {self.n_base:,}, left out: both "
                f"read and answer in base's ({where})"
            )
        return (
            f"its vocabulary has {-more:,} rows fewer than base's {self.n_base:,}; no token of base's tokenizer has "
            f"them, and they were filled with base's ({where})"
        )

    def filled(self, state: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state` with base's rows where tuned has none; tied tensors stay one."""
        if self.n_rows > self.n_base:
            return state
        made: dict[int, Tensor] = {}
        for name in self.slots:
            tensor = state[name]
            if id(tensor) not in made:
                made[id(tensor)] = tensor.clone()
                made[id(tensor)][self.n_rows :] = base[name][self.n_rows :]
        return {name: made.get(id(tensor), tensor) for name, tensor in state.items()}


def refit(
    checkpoint: Checkpoint,
    landing: NameMapping,
    slots: Collection[str],
    load: Loader,
    *,
    last_token: int | None,
    folder: Path,
) -> Refitted | None:
    """`checkpoint` with base's rows of tokens, where nothing else keeps these tensors from fitting; else None.

    `slots` are the network's tensors with a row for each token. `last_token` is the largest id of base's tokenizer,
    None where `folder` has none. MismatchError where tuned lacks the row of a token that base's tokenizer gives.
    """
    odd = [name for name in landing.mismatched if name in slots]
    if not odd:
        return None
    shapes = {name: tuple(landing.model.state_dict()[name].shape) for name in odd}
    n_base = next(iter(shapes.values()))[0]
    ends = {shape[1:] for shape in shapes.values()}
    landed = set(landing.sources.values())
    lost = [
        i for i in checkpoint.tensors.values() if i.name not in landed and i.shape and i.shape[1:] in ends
    ]
    # A head of classes may have rows of the same width: a vocabulary has more.
    n_rows = max((info.shape[0] for info in lost), default=n_base)
    names = [info.name for info in lost if info.shape[0] == n_rows]
    if n_rows == n_base or not names:
        return None
    seen = SameRows(checkpoint, names, n_base)
    found = find_landing(seen, load)
    strays = {name for name, source in found.sources.items() if source in names and name not in slots}
    if strays or set(odd) & {*found.mismatched, *found.missing}:
        return None
    if n_rows < n_base:
        _refuse_tokens_without_rows(checkpoint, n_rows, n_base, last_token, folder)
    return Refitted(checkpoint=seen, landing=found, n_rows=n_rows, n_base=n_base, slots=tuple(odd))


def _refuse_tokens_without_rows(
    checkpoint: Checkpoint, n_rows: int, n_base: int, last_token: int | None, folder: Path
) -> None:
    if last_token is not None and last_token < n_rows:
        return
    why = (
        f"{folder} has no tokenizer that says whether they are used"
        if last_token is None
        else f"base's tokenizer gives ids up to {last_token:,}, and its texts are read by both"
    )
    raise MismatchError(
        f"{checkpoint.path} has {n_rows:,} rows of tokens, base has {n_base:,}",
        details=[why],
        hint="pass weights with every token of base; rows that are only added are left out by themselves",
    )
