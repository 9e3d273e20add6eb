"""Remedies by their formulas, slowly, one number at a time in Python's own floats."""


def linear(base: list[float], tuned: list[float], alpha: float) -> list[float]:
    """The `linear` of mergekit with the weights 1 − α and α, normalised: what WiSE-FT calls θ_α."""
    weights = (1 - alpha, alpha)
    total = sum(weights)
    return [(weights[0] * one + weights[1] * other) / total for one, other in zip(base, tuned, strict=True)]


def lines(alpha: float, beta: float, n_blocks: int) -> list[float]:
    """λ(l) = α + β(l − 1)/(L − 1) for l = 1, …, L (LiNeS, arXiv 2410.17146, equation 2)."""
    return [alpha + beta * (number - 1) / (n_blocks - 1) for number in range(1, n_blocks + 1)]
