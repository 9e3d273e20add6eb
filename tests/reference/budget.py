"""How far optimizers really go: torch's own, in float64, on gradients made to order."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

Gradient = Callable[[int], torch.Tensor]


def moved(
    make: Callable[..., torch.optim.Optimizer],
    start: torch.Tensor,
    rates: Sequence[float],
    gradient: Gradient,
    **options: Any,
) -> torch.Tensor:
    """θ_T − θ₀ after a step of each rate; gradient(t) is that of step t, from 1."""
    weights = torch.nn.Parameter(start.clone().double())
    optimizer = make([weights], lr=1.0, **options)
    for step, rate in enumerate(rates, 1):
        optimizer.param_groups[0]["lr"] = rate
        weights.grad = gradient(step).double()
        optimizer.step()
    return weights.detach() - start.double()


def adam_bound(rates: Sequence[float], betas: tuple[float, float], decay: float, size: float) -> float:
    """METRICS' formula, term by term."""
    beta1, beta2 = betas
    n = len(rates)
    total = (1 - math.prod(1 - rate * decay for rate in rates)) * size
    for t in range(1, n + 1):
        powers = sum((beta1**2 / beta2) ** k for k in range(t))
        factor = (1 - beta1) / (1 - beta1**t) * math.sqrt((1 - beta2**t) / (1 - beta2)) * math.sqrt(powers)
        total += rates[t - 1] * factor * math.prod(1 - rates[s] * decay for s in range(t, n))
    return total


def sgd_bound(rates: Sequence[float], clip: float, momentum: float) -> float:
    return sum(rate * clip * (1 - momentum**t) / (1 - momentum) for t, rate in enumerate(rates, 1))
