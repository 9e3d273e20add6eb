"""Paired statistics, slow and obvious: brute-force searches, sums over every outcome, whole-number binomials."""

import math
from fractions import Fraction

import numpy as np
from scipy import stats


def tango_score(forgotten, gained, n, drop):
    """Tango's z at a hypothesised drop; the nuisance rate by maximising the likelihood on a fine grid's refinement."""
    b, c = forgotten, gained
    q = _most_likely_gain(b, c, n, drop)
    variance = n * (2 * q + drop * (1 - drop))
    excess = b - c - n * drop
    if excess == 0:
        return 0.0
    return excess / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, excess)


def _most_likely_gain(b, c, n, drop):
    """The rate of gains q that maximises b log(q + drop) + c log q + (n - b - c) log(1 - 2q - drop), by sections."""

    def log_likelihood(q):
        def term(count, rate):
            return 0.0 if count == 0 else (count * math.log(rate) if rate > 0 else -math.inf)

        return term(b, q + drop) + term(c, q) + term(n - b - c, 1 - 2 * q - drop)

    low, high = max(0.0, -drop), (1 - drop) / 2
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if log_likelihood(left) < log_likelihood(right) else (low, right)
    ends = [max(0.0, -drop), (1 - drop) / 2, (low + high) / 2]
    return max(ends, key=log_likelihood)


def tango_limits(forgotten, gained, n, z):
    """(low, high) as the drops where the score crosses ±z, by scanning and halving."""

    def crossing(level, low, high):
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if tango_score(forgotten, gained, n, middle) > level else (low, middle)
        return (low + high) / 2

    estimate = (forgotten - gained) / n
    return crossing(z, -1.0, estimate), crossing(-z, estimate, 1.0)


def mcnemar(forgotten, gained):
    """(exact, mid-P), two-sided, in whole numbers until the last division."""
    m, fewer = forgotten + gained, min(forgotten, gained)
    below = sum(math.comb(m, i) for i in range(fewer))
    exact = Fraction(2 * (below + math.comb(m, fewer)), 2**m)
    mid = Fraction(2 * below + math.comb(m, fewer), 2**m)
    return float(min(exact, 1)), float(min(mid, 1))


def clopper_pearson(k, n, confidence):
    """One-sided (low, high), by scipy.stats."""
    low = 0.0 if k == 0 else stats.beta.ppf(1 - confidence, k, n - k + 1)
    high = 1.0 if k == n else stats.beta.ppf(confidence, k + 1, n - k)
    return low, high


def rejection_tables(n, margin, z):
    """For every (b, c) with b + c <= n: score against `margin`, as an (n + 1, n + 1) array, NaN elsewhere."""
    b, c = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij")
    big_b = -b - c + (2 * n - b + c) * margin
    big_c = -c * margin * (1 - margin)
    q = (np.sqrt(np.maximum(big_b**2 - 8 * n * big_c, 0)) - big_b) / (4 * n)
    variance = n * (2 * q + margin * (1 - margin))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = (b - c - n * margin) / np.sqrt(variance)
    score = np.where(b - c == n * margin, 0.0, score)
    return np.where(b + c <= n, score, np.nan)


def probabilities(n, rate_forgotten, rate_gained, keep=1e-12):
    """P(b, c) of the trinomial on the block of (b, c) that holds all but `keep`: (b values, c values, matrix)."""
    b = _likely(n, rate_forgotten, keep)
    c = _likely(n, rate_gained, keep)
    p_b = stats.binom.pmf(b, n, rate_forgotten)
    rest = rate_gained / (1 - rate_forgotten)
    p_c = stats.binom.pmf(c[None, :], n - b[:, None], rest)
    return b, c, p_b[:, None] * p_c


def _likely(n, rate, keep):
    low, high = stats.binom.ppf([keep, 1 - keep], n, rate).astype(int)
    return np.arange(max(low, 0), high + 1)


def left_out_variance(values, groups):
    """Of the mean over all values, each group left out in turn: the jackknife, the mean computed anew each time."""
    names = sorted(set(groups))
    mean = sum(values) / len(values)
    total = 0.0
    for name in names:
        rest = [value for value, group in zip(values, groups, strict=True) if group != name]
        total += (sum(rest) / len(rest) - mean) ** 2
    return (len(names) - 1) / len(names) * total


def degrees_of_sizes(sizes):
    """Satterthwaite's for that variance, were group means independent: tr(A)^2 / tr(A^2), A written out in full."""
    h = np.asarray(sizes, dtype=float) / sum(sizes)
    k = len(h)
    # Without group g the mean is the others', so what leaving it out changes is a row of this matrix times the means.
    rows = []
    for g in range(k):
        without = [0.0 if j == g else h[j] / (1 - h[g]) for j in range(k)]
        rows.append([without[j] - h[j] for j in range(k)])
    changes = np.array(rows)
    covariance = changes @ changes.T
    return float(np.trace(covariance) ** 2 / np.trace(covariance @ covariance))


def log_capital_of_bets(values, m, largest, bets):
    """Log of the capital of a gambler against a mean of m, every bet placed value by value."""
    total = 0.0
    for share, weight in bets:
        capital = weight
        for value in values:
            capital *= 1 - share * (value - m) / (largest - m)
        total += capital
    return math.log(total)


def stratified_limits(strata, z):
    """Limits of the drop over fixed strata, each side the narrower of two: from the strata's own, and from the whole."""
    n = sum(size for *_, size in strata)
    drop = sum(size / n * (b - c) / size for b, c, size in strata)
    low, high = tango_limits(sum(b for b, *_ in strata), sum(c for _, c, _ in strata), n, z)
    below = above = 0.0
    for b, c, size in strata:
        own_low, own_high = tango_limits(b, c, size, z)
        below += (size / n) ** 2 * ((b - c) / size - own_low) ** 2
        above += (size / n) ** 2 * (own_high - (b - c) / size) ** 2
    return max(low, drop - math.sqrt(below)), min(high, drop + math.sqrt(above))
