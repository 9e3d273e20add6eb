"""Whether a model is right as often as it is sure: expected calibration error, from sums over bins of confidence."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_BINS", "Calibration", "CalibrationSums"]

N_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSums:
    """`confidence` and `accuracy` are means over `n` answers, `error` is the expected calibration error.

    That is Σ over bins of the share of answers in the bin times |their accuracy − their mean confidence| (Guo et al.
    2017, arXiv 1706.04599, equation 3; 15 bins of equal width). It is biased upwards on few answers.
    """

    n: int
    confidence: float
    accuracy: float
    error: float


class Calibration:
    """Sums of confidence and rightness in 15 bins of confidence, (0, 1/15], … Memory: 45 numbers."""

    def __init__(self) -> None:
        self._sums = np.zeros((N_BINS, 3))

    def update(self, confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> None:
        """Take in the probability (n,) that each answer was given, and whether it is right. NaN is left out.

        ValueError where lengths differ or a probability lies outside 0 … 1.
        """
        if confidence.shape != correct.shape or confidence.ndim != 1:
            raise ValueError(f"{confidence.shape} confidences and {correct.shape} answers do not match")
        known = np.isfinite(confidence)
        sure, right = confidence[known], correct[known]
        if len(sure) and not (sure.min() >= 0 and sure.max() <= 1 + 1e-9):
            raise ValueError(f"confidences of {sure.min()} to {sure.max()} are no probabilities")
        bins = np.clip(np.ceil(sure * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
        for column, values in enumerate((np.ones(len(sure)), sure, right.astype(np.float64))):
            self._sums[:, column] += np.bincount(bins, weights=values, minlength=N_BINS)

    def merge(self, other: Self, /) -> None:
        """Take in all that `other` has seen."""
        self._sums += other._sums

    def read(self) -> CalibrationSums | None:
        """The sums so far; None without an answer."""
        n, sure, right = self._sums.sum(axis=0)
        if not n:
            return None
        gaps = np.abs(self._sums[:, 2] - self._sums[:, 1])
        return CalibrationSums(
            n=int(n), confidence=float(sure / n), accuracy=float(right / n), error=float(gaps.sum() / n)
        )
