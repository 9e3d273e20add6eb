"""Continual learning and power laws, slow and obvious: loops, and scipy's own least squares."""

import numpy as np
from scipy.optimize import curve_fit


def backward_transfer(r: list[list[float]]) -> float:
    last = len(r)
    return sum(r[last - 1][i] - r[i][i] for i in range(last - 1)) / (last - 1)


def chaudhry(r: list[list[float]]) -> float:
    last = len(r)
    return sum(max(r[t][i] for t in range(last - 1)) - r[last - 1][i] for i in range(last - 1)) / (last - 1)


def avalanche(r: list[list[float]]) -> float:
    last = len(r)
    return sum(r[i][i] - r[last - 1][i] for i in range(last - 1)) / (last - 1)


def mammoth(r: list[list[float]]) -> float:
    last = len(r)
    return sum(max(r[t][i] for t in range(last)) - r[last - 1][i] for i in range(last - 1)) / (last - 1)


def power_law(steps: list[int], drops: list[float], errors: list[float]) -> tuple[float, float, np.ndarray]:
    """Scale at the last step, exponent, and their covariance for errors that are known."""
    x = np.array(steps) / max(steps)
    found, covariance = curve_fit(
        lambda x, a, b: a * x**b,
        x,
        drops,
        p0=[drops[-1], 0.5],
        sigma=errors,
        absolute_sigma=True,
        xtol=1e-14,
        ftol=1e-14,
    )
    return float(found[0]), float(found[1]), covariance
