"""How often each verdict comes out, given the truth: exact, over every table of forgotten and gained examples."""

import math
from dataclasses import dataclass
from itertools import pairwise

from forgetaudit.inference.binomial import at_most, z_quantile
from forgetaudit.inference.paired import score

__all__ = ["VerdictChances", "verdict_chances"]

# Beyond so many standard deviations a table adds less than a billionth.
_REACH = 7.0
# 2 points of 200 examples are 4, whatever floats make of it.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChances:
    """Probabilities of a pass, and of a failure under `likely` and under `proven`; the rest is inconclusive."""

    passes: float
    fails_likely: float
    fails_proven: float


def verdict_chances(
    n: int, *, forgotten: float, gained: float, limit: float, confidence: float
) -> VerdictChances:
    """For true rates `forgotten` and `gained` among `n` examples, where no number of examples holds back a pass.

    Given how many were gained, a verdict depends on how many were forgotten by a threshold, sought by halving, so
    that only the probabilities are summed: a trinomial, as a binomial of a binomial's rest.
    """
    if not (n >= 1 and forgotten >= 0 and gained >= 0 and forgotten + gained <= 1 and 0 <= limit < 1):
        raise ValueError(f"rates {forgotten} and {gained} of {n} examples under a limit of {limit} are none")
    z = z_quantile(confidence, 1)
    passes = likely = proven = 0.0
    for c, weight in _likely(n, gained):
        share = forgotten / (1 - gained) if gained < 1 else 0.0
        under = _first(n, c, limit, -z)
        over = max(_first(n, c, 0.0, z), math.floor(c + n * limit + _ROUNDING) + 1)
        passes += weight * at_most(under - 1, n - c, share)
        likely += weight * (1 - at_most(over - 1, n - c, share))
        proven += weight * (1 - at_most(_first(n, c, limit, z) - 1, n - c, share))
    return VerdictChances(passes=passes, fails_likely=likely, fails_proven=proven)


def _first(n: int, gained: int, drop: float, z: float) -> int:
    """The fewest forgotten whose score against a true `drop` is over z (at −z: not under it), by halving."""
    low, high = -1, n - gained + 1
    while high - low > 1:
        middle = (low + high) // 2
        found = score(middle, gained, n, drop)
        low, high = (low, middle) if (found > z if z > 0 else found >= z) else (middle, high)
    return high


def _likely(n: int, p: float) -> list[tuple[int, float]]:
    """Every count that a binomial is likely to come to, with its probability."""
    if p in (0, 1):
        return [(int(n * p), 1.0)]
    reach = _REACH * math.sqrt(n * p * (1 - p)) + 12
    first, last = max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach))
    below = [at_most(k, n, p) for k in range(first - 1, last + 1)]
    return [(first + step, up_to - before) for step, (before, up_to) in enumerate(pairwise(below))]
