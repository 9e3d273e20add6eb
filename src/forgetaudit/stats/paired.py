"""A number per example, in base and in tuned: the means, and the spread of the difference."""

import math
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from forgetaudit.values import NotMeasured

__all__ = ["PairedDifference", "PairedMeans"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMeans:
    """Means over the `n` examples that are finite on both sides, in the unit of the numbers.

    `increase` is the mean of tuned - base, `m2` the sum of its squared deviations from that mean, `least` and `most`
    its extremes; the two non-finite counts overlap where an example is so on both sides.
    """

    n: int
    base: float
    tuned: float
    increase: float
    m2: float
    least: float
    most: float
    n_nonfinite_base: int
    n_nonfinite_tuned: int


class PairedDifference:
    """Means of base and tuned, mean and squared deviations of their difference; in eight numbers.

    An example whose number is NaN or infinite on either side is counted and left out: one of them would
    otherwise turn every sum into NaN.
    """

    def __init__(self) -> None:
        self._n = self._n_nonfinite_base = self._n_nonfinite_tuned = 0
        self._base = self._tuned = self._increase = self._m2 = 0.0
        self._least, self._most = math.inf, -math.inf

    def update(self, base: Tensor, tuned: Tensor) -> None:
        """Take in (n,) numbers of the same examples; ValueError where the lengths differ."""
        if base.shape != tuned.shape or base.ndim != 1:
            raise ValueError(
                f"base {tuple(base.shape)} and tuned {tuple(tuned.shape)} are not of the same examples"
            )
        base, tuned = base.detach().cpu().double(), tuned.detach().cpu().double()
        self._n_nonfinite_base += int((~base.isfinite()).sum())
        self._n_nonfinite_tuned += int((~tuned.isfinite()).sum())
        finite = base.isfinite() & tuned.isfinite()
        if not finite.any():
            return
        base, tuned = base[finite], tuned[finite]
        increase = tuned - base
        mean = float(increase.mean())
        self._least, self._most = (
            min(self._least, float(increase.min())),
            max(self._most, float(increase.max())),
        )
        m2 = float((increase - mean).square().sum())
        self._join(len(base), float(base.mean()), float(tuned.mean()), mean, m2)

    def merge(self, other: Self, /) -> None:
        """Take in all that `other` has seen."""
        self._n_nonfinite_base += other._n_nonfinite_base
        self._n_nonfinite_tuned += other._n_nonfinite_tuned
        self._least, self._most = min(self._least, other._least), max(self._most, other._most)
        self._join(other._n, other._base, other._tuned, other._increase, other._m2)

    def read(self) -> PairedMeans | NotMeasured:
        """The means so far, or the reason why there are none."""
        n_left_out = max(self._n_nonfinite_base, self._n_nonfinite_tuned)
        if self._n == 0:
            return NotMeasured(
                "no example has a finite value in both base and tuned" if n_left_out else "no examples"
            )
        return PairedMeans(
            n=self._n,
            base=self._base,
            tuned=self._tuned,
            increase=self._increase,
            m2=self._m2,
            least=self._least,
            most=self._most,
            n_nonfinite_base=self._n_nonfinite_base,
            n_nonfinite_tuned=self._n_nonfinite_tuned,
        )

    def _join(self, n: int, base: float, tuned: float, increase: float, m2: float) -> None:
        """Chan, Golub and LeVeque (1983): deviations of two groups, and the gap between their means."""
        if n == 0:
            return
        share = n / (self._n + n)
        gap = increase - self._increase
        self._m2 += m2 + gap * gap * self._n * share
        self._increase += gap * share
        self._base += (base - self._base) * share
        self._tuned += (tuned - self._tuned) * share
        self._n += n
