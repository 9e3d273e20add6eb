"""CKA and its relatives, slow and obvious, in float64 on full matrices held in memory."""

import numpy as np


def centred(features):
    features = np.asarray(features, dtype=np.float64)
    return features - features.mean(axis=0)


def hsic_unbiased(k, m):
    """Song et al. 2012, equation 5, word for word: Gram matrices with the diagonal set to zero."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    ones = np.ones(n)
    trace = np.trace(k @ m)
    both = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    mixed = 2 / (n - 2) * (ones @ k @ m @ ones)
    return (trace + both - mixed) / (n * (n - 3))


def debiased_cka(x, y):
    x, y = centred(x), centred(y)
    k, m = x @ x.T, y @ y.T
    return hsic_unbiased(k, m) / np.sqrt(hsic_unbiased(k, k)) / np.sqrt(hsic_unbiased(m, m))


def biased_cka(x, y):
    x, y = centred(x), centred(y)
    k, m = x @ x.T, y @ y.T
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def procrustes(x, y):
    x, y = centred(x), centred(y)
    return np.linalg.svd(x.T @ y, compute_uv=False).sum() / np.linalg.norm(x) / np.linalg.norm(y)


def adjusted_r2(x, y):
    """Share of x's variance that least squares recovers from y, adjusted for its rank."""
    x, y = centred(x), centred(y)
    residual = x - y @ np.linalg.lstsq(y, x, rcond=None)[0]
    n, rank = len(x), np.linalg.matrix_rank(y)
    return 1 - (residual**2).sum() / (x**2).sum() * (n - 1) / (n - 1 - rank)


def variances(x):
    """Descending variances along the principal directions."""
    return np.linalg.svd(centred(x), compute_uv=False) ** 2


def effective_rank(x):
    return variances(x).sum() ** 2 / (variances(x) ** 2).sum()


def top_direction(x):
    return variances(x)[0] ** 2 / (variances(x) ** 2).sum()


def largest_row(x):
    norms = (centred(x) ** 2).sum(axis=1)
    return norms.max() / norms.sum()


def mean_shift(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.linalg.norm(y.mean(axis=0) - x.mean(axis=0)) / np.sqrt((centred(x) ** 2).sum(axis=1).mean())
