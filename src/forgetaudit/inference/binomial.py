"""Binomial tails and limits, and Student's t: the one door of this package to scipy, opened when first needed.

`scipy.special` costs a third of a second to import and `scipy.stats` a second, so neither is loaded for an
audit that asks for no binomial, and the second never.
"""

import math
from statistics import NormalDist

from forgetaudit.values import Sides

__all__ = [
    "at_most",
    "lower_limit",
    "t_quantile",
    "tail_beyond",
    "upper_limit",
    "upper_tail",
    "z_quantile",
]

# Up to so many flips whole numbers are exact, and as quick as scipy once it is there.
_FEW = 400


def z_quantile(confidence: float, sides: Sides) -> float:
    """How many standard errors a limit lies from the estimate: 1.645 one-sided, 1.960 two-sided at 0.95."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence must lie between 0.5 and 1, not {confidence}")
    return NormalDist().inv_cdf(confidence if sides == 1 else (1 + confidence) / 2)


def t_quantile(confidence: float, sides: Sides, degrees: float) -> float:
    """Student's t in place of the normal quantile; the degrees of freedom need not be whole."""
    from scipy.special import stdtrit

    z_quantile(confidence, sides)  # refuses what is not a confidence
    return float(stdtrit(degrees, confidence if sides == 1 else (1 + confidence) / 2))


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) of X ~ Binomial(n, p), with the full relative precision of a float also far out in the tail."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    if p == 0.5 and n <= _FEW:
        return _halves(k, n)
    from scipy.special import betainc

    return float(betainc(n - k, k + 1, 1 - p))


def _halves(k: int, n: int) -> float:
    """P(X <= k) of n fair coins, in whole numbers until the last division."""
    ways = total = 1
    for i in range(min(k, n - k - 1)):
        ways = ways * (n - i) // (i + 1)
        total += ways
    below: float = total / 2**n
    return below if 2 * k < n else 1 - below


def upper_tail(k: float, n: float, p: float = 0.5) -> float:
    """P(X >= k) of X ~ Binomial(n, p); counts need not be whole."""
    if k <= 0:
        return 1.0
    if p == 0.5 and k == int(k) and n == int(n) <= _FEW:
        return at_most(int(n) - int(k), int(n), 0.5)
    from scipy.special import betainc

    return float(betainc(k, n - k + 1, p))


def tail_beyond(k: int, n: int, p: float) -> float:
    """P(X <= k) of X ~ Binomial(n, p) where k lies below n·p, P(X >= k) where above: summed away from k, to 1e-9.

    For checking a limit without the inverse, and so without scipy. ValueError unless 0 < p < 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"a binomial with p = {p} has no tail")
    log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = total = math.exp(log_choose + k * math.log(p) + (n - k) * math.log1p(-p))
    below = k < n * p
    while (k > 0 if below else k < n) and term > 1e-12 * total:
        term *= k / (n - k + 1) * (1 - p) / p if below else (n - k) / (k + 1) * p / (1 - p)
        k += -1 if below else 1
        total += term
    return total


def upper_limit(k: float, n: float, confidence: float) -> float:
    """The largest p under which k or fewer of n still has probability 1 - confidence (Clopper and Pearson 1934).

    Counts need not be whole, so that effective numbers can be judged.
    """
    from scipy.special import betaincinv

    _check(k, n)
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, confidence))


def lower_limit(k: float, n: float, confidence: float) -> float:
    """The smallest p under which k or more of n still has probability 1 - confidence (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    _check(k, n)
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, 1 - confidence))


def _check(k: float, n: float) -> None:
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} of {n} is not a share")
