"""What happened to each tensor between base and tuned."""

from dataclasses import dataclass
from enum import StrEnum

from forgetaudit.checkpoints.checkpoint import Shape, TensorInfo
from forgetaudit.weights.decode import INTEGER
from forgetaudit.weights.sums import Sums

__all__ = ["Change", "Role", "TensorChange", "WeightChanges", "role_of"]


class Change(StrEnum):
    """What happened to a tensor. Bit-identical means equal bytes: −0 and 0 differ, equal NaNs do not."""

    IDENTICAL = "identical"  # equal dtype and bytes, under the same name
    RENAMED = "renamed"  # equal dtype and bytes, under another name
    CAST = "cast"  # base.to(tuned's dtype) has tuned's bytes
    CHANGED = "changed"  # measured, under whichever name
    RESHAPED = "reshaped"  # measured over the rows that both have, where rows are known to be tokens
    ONLY_BASE = "only-base"
    ONLY_TUNED = "only-tuned"
    NOT_COMPARABLE = "not-comparable"  # differing bytes that stand for no numbers that could be subtracted


class Role(StrEnum):
    """What a tensor is for, told by its last name and its dtype."""

    PARAMETER = "parameter"  # and floating buffers that no name gives away
    STATISTIC = "running statistic"
    COUNTER = "integer buffer"
    COMPUTED = "computed buffer"  # made by the network's code, saved or not
    SCALE = "scale of codes"  # what the codes of quantised weights are multiplied with


_STATISTICS = frozenset({"running_mean", "running_var"})
_COUNTERS = frozenset({"num_batches_tracked"})
# Old versions of libraries saved these, and newer ones make them anew: no training touches them.
_COMPUTED = frozenset({
    "inv_freq", "original_inv_freq", "masked_bias", "attn_mask", "causal_mask", "cos_cached", "sin_cached",
})  # fmt: skip
# What integer weights are called. Other integers are indices and counts.
_WEIGHTS = ("weight", "kernel", "_packed", "_blocks", "qweight", "W_q", "_data", "qdata")


def role_of(name: str, dtype: str, shape: Shape = ()) -> Role:
    """The role of a tensor of this name, dtype and shape.

    Integers are weights where they are called so, and where they are matrices of bytes: quantised or packed.
    """
    leaf = name.rpartition(".")[2]
    if leaf in _COMPUTED or _is_causal_mask(name, shape):
        return Role.COMPUTED
    if leaf in _COUNTERS:
        return Role.COUNTER
    if dtype in INTEGER:
        packed = len(shape) >= 2 and dtype in ("int8", "uint8")
        return Role.PARAMETER if packed or (shape and leaf.endswith(_WEIGHTS)) else Role.COUNTER
    return Role.STATISTIC if leaf in _STATISTICS else Role.PARAMETER


def _is_causal_mask(name: str, shape: Shape) -> bool:
    """GPT-2 and its kin keep a triangle of ones as `attn.bias`, (1, 1, t, t)."""
    return len(shape) == 4 and shape[:2] == (1, 1) and name.endswith(("attn.bias", "attention.bias"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorChange:
    """One tensor, as it is in base and in tuned; None on the side that lacks it.

    `name` is base's, or tuned's where base lacks it. `sums` is None where base and tuned were not subtracted: `reason`
    then says why. Under another name in tuned, a bit-identical tensor is `renamed`; a cast or changed one stays `cast`
    or `changed`, which say more, and `tuned.name` tells the name. `copy_of` names the tensor that one side's file holds
    twice (tied weights), where the other holds it once.
    """

    name: str
    base: TensorInfo | None
    tuned: TensorInfo | None
    role: Role
    change: Change
    sums: Sums | None = None
    reason: str | None = None
    copy_of: str | None = None

    @property
    def is_compared(self) -> bool:
        """Whether all of base's was: its values were subtracted, or its bytes are the same.

        Rows of new tokens have nothing in base from which they could be far.
        """
        whole = self.change is not Change.RESHAPED or self._base_rows == self.n_shared_rows
        return self.is_unchanged or (self.sums is not None and whole) or self.copy_of is not None

    @property
    def _base_rows(self) -> int | None:
        return self.base.shape[0] if self.base is not None and self.base.shape else None

    @property
    def n_compared(self) -> int:
        """How many of base's elements were compared."""
        if self.base is None:
            return 0
        if self.is_compared:
            return self.base.n_elements
        return 0 if self.sums is None else self.sums.n_elements

    @property
    def n_shared_rows(self) -> int | None:
        """How many leading rows were measured, of a tensor that has more on one side; None for all others."""
        if self.change is not Change.RESHAPED or self.sums is None or self.base is None or self.tuned is None:
            return None
        return min(self.base.shape[0], self.tuned.shape[0])

    @property
    def is_unchanged(self) -> bool:
        """True where the bytes prove that nothing moved, up to a cast and a change of name."""
        return self.change in (Change.IDENTICAL, Change.RENAMED, Change.CAST)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChanges:
    """Every tensor of base, in file order, then those only tuned has."""

    tensors: tuple[TensorChange, ...]
