"""What the bytes said: how far every tensor moved, by layer and in total."""

from typing import Literal

from forgetaudit.report.forensics import Forensics
from forgetaudit.report.parts import Absent, Part
from forgetaudit.wording import some

__all__ = ["LayerWeights", "StageWeights", "TensorRow", "WeightSection", "WeightTotal"]


class WeightTotal(Part):
    """Distance from base. `relative` is ‖Δ‖/‖θ₀‖; parameters only, buffers have a line of their own.

    All of it speaks of what was compared. `not_compared` names the tensors of which nothing was, or not everything;
    `compared_share` is the share of base's elements that were.
    """

    n_tensors: int
    n_identical: int
    n_elements: int
    distance: float | Absent
    relative: float | Absent
    one_minus_cosine: float | Absent
    max_abs: float | Absent
    changed_share: float | Absent = Absent(not_measured="an older report")
    not_compared: tuple[str, ...] = ()
    compared_share: float | Absent = Absent(not_measured="an older report")


class LayerWeights(Part):
    """The tensors of one layer: its parameters, its running statistics, its counters."""

    layer: str
    stage: str
    parameters: WeightTotal
    running: WeightTotal
    n_counters: int
    n_counters_identical: int
    n_cast: int = 0

    @property
    def n_tensors(self) -> int:
        """Of every role."""
        return self.parameters.n_tensors + self.running.n_tensors + self.n_counters

    @property
    def is_still(self) -> bool:
        """Every tensor is bit-identical (up to a cast), buffers included."""
        return self.parameters_still and self.buffers_moved == 0

    @property
    def parameters_still(self) -> bool:
        """There are parameters, and none changed."""
        return 0 < self.parameters.n_tensors == self.parameters.n_identical

    @property
    def buffers_moved(self) -> int:
        """Running statistics and counters that changed."""
        running, counters = self.running, self.n_counters - self.n_counters_identical
        return running.n_tensors - running.n_identical + counters


class StageWeights(Part):
    """The parameters of one stage: stem, blocks, head, and the rest."""

    stage: str
    parameters: WeightTotal


class TensorRow(Part):
    """One tensor in base and tuned.

    `shared_rows`, of an embedding or head of tokens that tuned has with more rows or fewer: the leading rows that
    both have, over which the distance was taken. The others count nowhere. `copy_of`: this file holds the named tensor
    twice (tied weights) and the other file once.
    """

    name: str
    tuned_name: str | None
    change: Literal[
        "identical", "cast", "changed", "renamed", "reshaped", "only-base", "only-tuned", "not-comparable"
    ]
    role: str
    dtype: str
    tuned_dtype: str | None
    shape: tuple[int, ...]
    tuned_shape: tuple[int, ...] | None = None
    shared_rows: int | None = None
    distance: float | Absent
    relative: float | Absent
    one_minus_cosine: float | Absent
    max_abs: float | Absent
    changed_share: float | Absent = Absent(not_measured="an older report")
    n_nonfinite: int
    n_nonfinite_base: int = 0
    copy_of: str | None = None

    @property
    def is_unchanged(self) -> bool:
        """The bytes prove that nothing moved, up to a cast and a change of name."""
        return self.change in ("identical", "renamed", "cast")

    @property
    def is_compared(self) -> bool:
        """All of base's was: values were subtracted, or bytes are the same. New tokens have nothing in base."""
        grown = self.shared_rows is not None and self.shared_rows == self.shape[0]
        return self.is_unchanged or self.change == "changed" or grown or self.copy_of is not None

    @property
    def is_zeroed(self) -> bool:
        """Something in base, nothing but zeros in tuned: the difference is then exactly the base tensor."""
        return self.relative == 1.0 and isinstance(self.one_minus_cosine, Absent)

    @property
    def is_exploded(self) -> bool:
        """A parameter over a hundred times its old norm away: flipped exponent bits, no fine-tune, do that."""
        return self.role == "parameter" and isinstance(self.relative, float) and self.relative > 100


class WeightSection(Part):
    """The exact part: what the bytes say of one variant against base.

    `median_cosine` of the shared matrices tells lineage; `resolution` is a sentence where tuned's dtype is too coarse
    to hold moves as small as those measured.
    """

    variant: str
    kind: Literal["exact"] = "exact"
    identical: bool
    total: WeightTotal
    running: WeightTotal
    batches_in_training_mode: int | None
    layers: tuple[LayerWeights, ...]
    stages: tuple[StageWeights, ...] = ()
    tensors: tuple[TensorRow, ...]
    alignment: tuple[str, ...]
    median_cosine: float | Absent
    looks_unrelated: bool
    resolution: str | None = None
    forensics: Forensics | None = None

    @property
    def not_compared(self) -> tuple[TensorRow, ...]:
        """The parameters that no distance speaks of, or not in full."""
        return tuple(row for row in self.tensors if row.role == "parameter" and not row.is_compared)

    @property
    def damage(self) -> str | None:
        """Why these weights can pass no rule, whatever they score; None for weights that can be meant."""
        broken = {
            "NaN or infinite": [row.name for row in self.tensors if row.n_nonfinite],
            "nothing but zeros": [row.name for row in self.tensors if row.is_zeroed],
            "far out of scale": [row.name for row in self.tensors if row.is_exploded],
        }
        said = [f"{some(names)} {what}" for what, names in broken.items() if names]
        return f"tuned is damaged: {'; '.join(said)}" if said else None
