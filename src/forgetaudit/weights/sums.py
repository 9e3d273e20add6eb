"""The sums a pair of tensors dissolves into, and the distances read off them.

With a = base, b = tuned and d = b − a, flattened: A = a·a, P = a·d, D = d·d, and B = b·b = A + 2P + D. Then
1 − cos = (D − ((2P + D)/(‖a‖ + ‖b‖))²) / (2‖a‖‖b‖), which keeps its digits where b is nearly a: there the textbook
1 − a·b/(‖a‖‖b‖) has none left.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from forgetaudit.values import NotMeasured

__all__ = ["Sums", "add_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over the elements of one pair of tensors, or of many.

    Non-finite elements are counted and left out of the sums. `n_undefined` counts the changed elements that are not
    finite on one side or the other: where there is one, no distance exists.
    """

    n_elements: int = 0
    n_changed: int = 0
    base_square: float = 0.0
    tuned_square: float = 0.0
    cross: float = 0.0
    delta_square: float = 0.0
    max_abs_delta: float = 0.0
    n_nonfinite_base: int = 0
    n_nonfinite_tuned: int = 0
    n_undefined: int = 0

    @property
    def changed_share(self) -> float | NotMeasured:
        """The fraction of elements that changed."""
        return self.n_changed / self.n_elements if self.n_elements else NotMeasured("there are no elements")

    @property
    def distance(self) -> float | NotMeasured:
        """‖tuned − base‖, the root of the sum of squares."""
        return self._undefined() or math.sqrt(self.delta_square)

    @property
    def max_abs(self) -> float | NotMeasured:
        """The largest |tuned − base| of any element."""
        return self._undefined() or self.max_abs_delta

    @property
    def relative(self) -> float | NotMeasured:
        """‖tuned − base‖ / ‖base‖."""
        if undefined := self._undefined():
            return undefined
        if self.base_square == 0.0:
            return NotMeasured("base is zero in every element")
        return math.sqrt(self.delta_square) / math.sqrt(self.base_square)

    @property
    def cosine(self) -> float | NotMeasured:
        """The cosine between base and tuned, for telling relation from none; for small moves see one_minus_cosine."""
        if undefined := self._undefined() or self._without_direction():
            return undefined
        norms = math.sqrt(self.base_square) * math.sqrt(self.tuned_square)
        return (self.base_square + self.cross) / norms

    @property
    def one_minus_cosine(self) -> float | NotMeasured:
        """1 − cosine between base and tuned, in [0, 2]; rounding below 0 is read as 0."""
        if undefined := self._undefined() or self._without_direction():
            return undefined
        base_norm, tuned_norm = math.sqrt(self.base_square), math.sqrt(self.tuned_square)
        # ‖b‖ − ‖a‖ = (‖b‖² − ‖a‖²)/(‖b‖ + ‖a‖), without taking the difference of two nearly equal roots.
        grown = (2 * self.cross + self.delta_square) / (base_norm + tuned_norm)
        return max(0.0, (self.delta_square - grown * grown) / (2 * base_norm * tuned_norm))

    def _undefined(self) -> NotMeasured | None:
        if self.n_undefined:
            return NotMeasured(
                f"{self.n_undefined:,} changed {'element is' if self.n_undefined == 1 else 'elements are'} not finite"
                f" ({self.n_nonfinite_base:,} non-finite in base, {self.n_nonfinite_tuned:,} in tuned)"
            )
        if not math.isfinite(self.base_square + self.delta_square + self.cross):
            return NotMeasured("the squares of the values are too large for float64")
        return None

    def _without_direction(self) -> NotMeasured | None:
        if self.base_square == 0.0:
            return NotMeasured("base is zero in every element")
        if self.tuned_square == 0.0:
            return NotMeasured("tuned is zero in every element")
        return None


def add_up(parts: Iterable[Sums]) -> Sums:
    """The sums over several pairs of tensors: the total distance is the root of the sum of squares."""
    parts = list(parts)
    return Sums(
        n_elements=sum(part.n_elements for part in parts),
        n_changed=sum(part.n_changed for part in parts),
        base_square=math.fsum(part.base_square for part in parts),
        tuned_square=math.fsum(part.tuned_square for part in parts),
        cross=math.fsum(part.cross for part in parts),
        delta_square=math.fsum(part.delta_square for part in parts),
        max_abs_delta=max((part.max_abs_delta for part in parts), default=0.0),
        n_nonfinite_base=sum(part.n_nonfinite_base for part in parts),
        n_nonfinite_tuned=sum(part.n_nonfinite_tuned for part in parts),
        n_undefined=sum(part.n_undefined for part in parts),
    )
