"""Whether two checkpoints descend from one training, judged by the direction of their matrices."""

import math
import statistics
from dataclasses import dataclass

from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Role, TensorChange, WeightChanges

__all__ = ["Lineage", "measure_lineage"]

# Smaller matrices say next to nothing: the cosine of two random ones spreads by 1/√elements.
_MIN_ELEMENTS = 256
_MIN_MATRICES = 2
# Fine-tunes lie above 0.9; independent trainings about 0. Between them lies the hard fine-tune of a small network,
# which a cosine alone can't tell from chance.
_NO_DIRECTION_LEFT = 0.05
_LITTLE_DIRECTION_LEFT = 0.2
_CHANCE_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """How far the matrices of tuned still point where those of base do. A diagnostic, no proof.

    `median_cosine` is over the matrices both have. `deviations` is Σ cosᵢ·√nᵢ / √k over k matrices with nᵢ elements:
    between independent random matrices it is standard normal, so it says how far from chance the cosines are.
    """

    median_cosine: float
    deviations: float
    n_matrices: int

    @property
    def looks_unrelated(self) -> bool:
        """True where tuned points in directions of its own: another training, another seed, or random weights."""
        if self.median_cosine < _NO_DIRECTION_LEFT:
            return True
        return self.median_cosine < _LITTLE_DIRECTION_LEFT and self.deviations < _CHANCE_DEVIATIONS


def measure_lineage(changes: WeightChanges) -> Lineage | NotMeasured:
    """The lineage over floating parameters with two or more dimensions and at least 256 elements."""
    matrices = [row.sums for row in changes.tensors if row.sums is not None and _is_matrix(row)]
    known = [
        (cosine, sums.n_elements) for sums in matrices if not isinstance(cosine := sums.cosine, NotMeasured)
    ]
    if len(known) < _MIN_MATRICES:
        return NotMeasured(
            f"{len(known)} of {len(matrices)} shared matrices of {_MIN_ELEMENTS} or more elements have a direction,"
            f" {_MIN_MATRICES} are needed"
        )
    return Lineage(
        median_cosine=statistics.median(cosine for cosine, _ in known),
        deviations=math.fsum(cosine * math.sqrt(n_elements) for cosine, n_elements in known)
        / math.sqrt(len(known)),
        n_matrices=len(known),
    )


def _is_matrix(row: TensorChange) -> bool:
    info = row.base
    return (
        row.role is Role.PARAMETER
        and info is not None
        and len(info.shape) >= 2
        and info.n_elements >= _MIN_ELEMENTS
    )
