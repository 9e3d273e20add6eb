"""Remedies by their formulas, slowly, one number at a time in Python's own floats, or row by row."""

import numpy as np


def linear(base: list[float], tuned: list[float], alpha: float) -> list[float]:
    """The `linear` of mergekit with the weights 1 − α and α, normalised: what WiSE-FT calls θ_α."""
    weights = (1 - alpha, alpha)
    total = sum(weights)
    return [(weights[0] * one + weights[1] * other) / total for one, other in zip(base, tuned, strict=True)]


def lines(alpha: float, beta: float, n_blocks: int) -> list[float]:
    """λ(l) = α + β(l − 1)/(L − 1) for l = 1, …, L (LiNeS, arXiv 2410.17146, equation 2)."""
    return [alpha + beta * (number - 1) / (n_blocks - 1) for number in range(1, n_blocks + 1)]


def ridge(
    features: list[np.ndarray], answers: list[np.ndarray], weights: list[float], penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """(V, c) by least squares on stacked rows: √w/n of each data set's rows, √λv rows of a penalty, c a last column."""
    d = features[0].shape[1]
    total = sum(weights)
    rows, wanted = [], []
    for z, r, weight in zip(features, answers, weights, strict=True):
        share = np.sqrt(weight / total / len(z))
        rows.append(share * np.column_stack([z, np.ones(len(z))]))
        wanted.append(share * r)
    every = np.concatenate(rows)
    mean = (every.T @ every)[-1, :d]
    variance = np.trace((every.T @ every)[:d, :d] - np.outer(mean, mean)) / d
    rows.append(np.sqrt(penalty * variance) * np.column_stack([np.eye(d), np.zeros(d)]))
    wanted.append(np.zeros((d, answers[0].shape[1])))
    found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]
    return found[:d].T, found[d]


def damped(matrix: np.ndarray, base: np.ndarray, strength: float, top: int, epsilon: float) -> np.ndarray:
    """`matrix` with λ of each of its `top` directions that no left direction of `base` is near (Shuttleworth et al.)."""
    ours, _, _ = np.linalg.svd(base, full_matrices=False)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    for number in range(min(top, len(values))):
        if all(abs(float(left[:, number] @ ours[:, other])) < epsilon for other in range(ours.shape[1])):
            values[number] *= strength
    return (left * values) @ right
