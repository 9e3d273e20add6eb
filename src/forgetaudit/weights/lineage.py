"""Whether two checkpoints descend from one training, judged by the direction of their matrices."""

import statistics
from dataclasses import dataclass

from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Role, TensorChange, WeightChanges

__all__ = ["Lineage", "measure_lineage"]

# Below this many elements two random matrices may well point the same way: their cosine spreads by 1/√elements.
_MIN_ELEMENTS = 256
_MIN_MATRICES = 2
# Fine-tunes lie above 0.9, hard ones above 0.4; independent trainings and random weights about 0.
_UNRELATED_BELOW = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The median cosine between base and tuned over the matrices both have. A diagnostic, no proof."""

    median_cosine: float
    n_matrices: int

    @property
    def looks_unrelated(self) -> bool:
        """True where tuned points in directions of its own: another training, another seed, or random weights."""
        return self.median_cosine < _UNRELATED_BELOW


def measure_lineage(changes: WeightChanges) -> Lineage | NotMeasured:
    """The lineage over floating parameters with two or more dimensions and at least 256 elements."""
    cosines = [row.sums.cosine for row in changes.tensors if row.sums is not None and _is_matrix(row)]
    known = [cosine for cosine in cosines if not isinstance(cosine, NotMeasured)]
    if len(known) < _MIN_MATRICES:
        return NotMeasured(
            f"{len(known)} of {len(cosines)} shared matrices of {_MIN_ELEMENTS} or more elements have a direction,"
            f" {_MIN_MATRICES} are needed"
        )
    return Lineage(median_cosine=statistics.median(known), n_matrices=len(known))


def _is_matrix(row: TensorChange) -> bool:
    info = row.base
    return (
        row.role is Role.PARAMETER
        and info is not None
        and len(info.shape) >= 2
        and info.n_elements >= _MIN_ELEMENTS
    )
