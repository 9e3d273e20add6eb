"""Paired feature rows: which are finite, and which are bit-identical in base and tuned."""

from dataclasses import dataclass

import torch
from torch import Tensor

from forgetaudit.values import NotMeasured

__all__ = ["PairedRows", "RowCounts", "sort_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows seen, and how many of them were bit-identical in base and tuned, or not finite (and so left out)."""

    n: int = 0
    n_identical: int = 0
    n_nonfinite: int = 0
    n_nonfinite_base: int = 0
    n_nonfinite_tuned: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(
            n=self.n + other.n,
            n_identical=self.n_identical + other.n_identical,
            n_nonfinite=self.n_nonfinite + other.n_nonfinite,
            n_nonfinite_base=self.n_nonfinite_base + other.n_nonfinite_base,
            n_nonfinite_tuned=self.n_nonfinite_tuned + other.n_nonfinite_tuned,
        )

    @property
    def obstacle(self) -> NotMeasured | None:
        """Why nothing can be said of these rows at all, if so."""
        if self.n == 0:
            return NotMeasured("no examples")
        if self.n_nonfinite == 0:
            return None
        counts = {"base": self.n_nonfinite_base, "tuned": self.n_nonfinite_tuned}
        where = " and ".join(f"{count} in {side}" for side, count in counts.items() if count)
        return NotMeasured(
            f"features are NaN or infinite for {self.n_nonfinite} of {self.n} examples ({where})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRows:
    """The finite rows in float64, and (n,) whether each is bit-identical in both."""

    base: Tensor
    tuned: Tensor
    identical: Tensor
    counts: RowCounts

    @property
    def n_differing(self) -> int:
        """Finite rows that are not bit-identical."""
        return len(self.base) - self.counts.n_identical

    def same(self) -> Tensor:
        """The rows that are bit-identical in base and tuned; a view where all are."""
        return self.base[self.identical] if self.n_differing else self.base

    def differing(self) -> tuple[Tensor, Tensor]:
        """The other rows of base and tuned; views where all are others."""
        if self.counts.n_identical == 0:
            return self.base, self.tuned
        return self.base[~self.identical], self.tuned[~self.identical]


def sort_rows(base: Tensor, tuned: Tensor) -> PairedRows:
    """Base (n, d_base) and tuned (n, d_tuned) in any floating dtype -> finite float64 rows, and the counts of all.

    Waits for the device once.
    """
    base, tuned = _float64(base), _float64(tuned)
    finite_base, finite_tuned = _finite(base), _finite(tuned)
    finite = finite_base & finite_tuned
    identical = finite & _identical(base, tuned)
    flags = torch.stack([finite, finite_base, finite_tuned, identical])
    n, (n_finite, n_finite_base, n_finite_tuned, n_identical) = len(base), flags.sum(dim=1).tolist()
    if n_finite < n:
        base, tuned, identical = base[finite], tuned[finite], identical[finite]
    counts = RowCounts(
        n=n,
        n_identical=n_identical,
        n_nonfinite=n - n_finite,
        n_nonfinite_base=n - n_finite_base,
        n_nonfinite_tuned=n - n_finite_tuned,
    )
    return PairedRows(base=base, tuned=tuned, identical=identical, counts=counts)


def _float64(rows: Tensor) -> Tensor:
    # Apple's GPUs have no float64.
    return (rows.cpu() if rows.device.type == "mps" else rows).double()


def _finite(rows: Tensor) -> Tensor:
    # The largest value keeps a NaN and an infinity, and is found faster than that all values are finite.
    return rows.abs().amax(dim=1).isfinite()


def _identical(base: Tensor, tuned: Tensor) -> Tensor:
    """(n,) whether float64 rows have the same bits: 0 and -0 differ, as they do to a division further on."""
    if base.shape != tuned.shape:
        return torch.zeros(len(base), dtype=torch.bool, device=base.device)
    return (base.view(torch.int64) == tuned.view(torch.int64)).all(dim=1)
