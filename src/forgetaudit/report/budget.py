"""The drift budget: how far the optimizer can have moved the weights, and how far it did."""

from typing import Literal

from forgetaudit.report.parts import Absent, Part

__all__ = ["BudgetAbsent", "BudgetSection", "FurtherSteps", "LayerBudget", "TensorBudget"]


class TensorBudget(Part):
    """`used` is max |Δ|/B over the coordinates of a tensor, or ‖Δ‖/B where the bound is one of the norm.

    `reach` is B of a weight that began at 0. `refuted`: not even the rounding of every step explains the excess;
    whether that refutes the log or what was assumed, the section's `assumed` says.
    """

    tensor: str
    used: float | Absent
    reach: float | Absent
    refuted: bool = False


class LayerBudget(Part):
    """The most that any tensor of the layer used."""

    layer: str
    used: float | Absent


class FurtherSteps(Part):
    """How much further `n_steps` more, each at `rate`, can move a weight that is at 0; `decay` is added per |θ|."""

    n_steps: int
    rate: float
    reach: float
    decay: float


class BudgetSection(Part):
    """What one variant used of its budget: a bound over `n_steps` of `optimizer`, which gradients can attain.

    `of` tells whether each coordinate is bounded, or the Euclidean norm (SGD). The bound holds for a run of
    settings of which `assumed` lists those that no file proves: with any, an excess says that these settings do not
    explain the weights; with none, that the steps of the log cannot lead from base to them.
    """

    variant: str
    kind: Literal["bound"] = "bound"
    optimizer: str
    of: Literal["coordinate", "norm"]
    n_steps: int
    used: float
    most: str
    reach: float
    decay: float
    layers: tuple[LayerBudget, ...]
    tensors: tuple[TensorBudget, ...]
    written: str
    written_declared: bool
    forecast: FurtherSteps | Absent
    sources: tuple[str, ...]
    assumed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def refuted(self) -> tuple[str, ...]:
        """The tensors that went further than a run of these settings can take them, whatever it rounds."""
        return tuple(row.tensor for row in self.tensors if row.refuted)


class BudgetAbsent(Part):
    """There was a log, and yet no budget of this variant."""

    variant: str
    not_measured: str
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
