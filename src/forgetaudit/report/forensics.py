"""What was done to the weights, by the marks that it left in them."""

from typing import Literal

from forgetaudit.report.parts import Absent, Part

__all__ = [
    "Forensics",
    "FossilFound",
    "LayerRatesFound",
    "LowRankChange",
    "RecipeFound",
    "SpectrumRow",
    "StepsFound",
]


class RecipeFound(Part):
    """Of `n_parameters` tensors only `n_changed` moved, and these are what one recipe trains. Exact."""

    kind: Literal["bias-only", "norm-only", "head-only", "last-blocks-only"]
    n_changed: int
    n_parameters: int
    blocks: tuple[str, ...] = ()
    n_blocks: int = 0


class LowRankChange(Part):
    """One matrix whose change has few directions above the rounding that saving it added.

    `edge` is what no singular value of rounding exceeds, None where the factors themselves are at hand. `at_least`:
    further directions may lie below it.
    """

    tensor: str
    rank: int
    at_least: bool
    singular_values: tuple[float, ...]
    edge: float | None


class LayerRatesFound(Part):
    """Blocks moved less by a constant factor for every block towards the input. Diagnostic."""

    factor: float
    r_squared: float
    n_blocks: int


class FossilFound(Part):
    """Rows that weight decay shrank and no gradient reached; from their factor, Σ of learning rate times decay."""

    tensor: str
    n_rows: int
    n_rows_in_all: int
    shrink: float
    rate_times_decay: float


class StepsFound(Part):
    """Which of the steps passed with `--steps` hold the very bytes of this checkpoint's tensors. Exact.

    Tensors that every step holds alike tell nothing and are not counted.
    """

    n_equal: dict[str, int]
    n_telling: int
    n_unexplained: int
    is_step: str | None
    mixed: tuple[str, ...]


class SpectrumRow(Part):
    """The spectrum of one matrix's change; see `forgetaudit.weights.spectrum` for what each number is. Diagnostic."""

    tensor: str
    stable_rank: float
    effective_rank: float
    base_energy: float
    n_intruders: int
    n_undecided: int
    top: int
    epsilon: float
    error: float


class Forensics(Part):
    """Everything that was looked for. `low_rank` are those of the `n_matrices` looked at whose rank is low."""

    recipe: RecipeFound | None
    low_rank: tuple[LowRankChange, ...]
    n_matrices: int
    layer_rates: LayerRatesFound | Absent
    fossil: FossilFound | Absent
    steps: StepsFound | Absent
    spectra: tuple[SpectrumRow, ...] | Absent

    @property
    def is_low_rank(self) -> bool:
        """Most of the changed matrices have a rank that is surely low."""
        sure = [row for row in self.low_rank if not row.at_least]
        return bool(sure) and 2 * len(sure) > self.n_matrices
