"""The furthest that an optimizer can move a weight, whatever the gradients were: exact, and attained.

Adam and AdamW move a coordinate by at most ηₜRₜ in step t, by Cauchy–Schwarz over the gradients so far:
Rₜ = (1−β₁)/(1−β₁ᵗ) · √((1−β₂ᵗ)/(1−β₂)) · √(Σ_{k<t} (β₁²/β₂)ᵏ), with equality for gₜ ∝ (β₂/β₁)ᵗ in every step at once.
ε, AMSGrad and clipping only shorten the way. Kingma and Ba (arXiv 1412.6980) print smaller numbers for special cases.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

__all__ = ["Travel", "adam_factors", "limit_factor", "sgd_distance", "travel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """|θ_T − θ₀| ≤ `reach` + `decay`·|θ₀| in every coordinate."""

    reach: float
    decay: float

    def of(self, size: float) -> float:
        """The bound for a weight that began with the absolute value `size`."""
        return self.reach + self.decay * size


def adam_factors(beta1: float, beta2: float) -> Iterator[float]:
    """R₁, R₂, … without end, for 0 ≤ β₁ < 1 and 0 < β₂ < 1. R₁ is 1; where β₁² ≥ β₂ they grow without limit."""
    ratio, powers, beta1_t, beta2_t = beta1 * beta1 / beta2, 0.0, 1.0, 1.0
    while True:
        powers = 1.0 + ratio * powers
        beta1_t *= beta1
        beta2_t *= beta2
        yield (1 - beta1) / (1 - beta1_t) * math.sqrt((1 - beta2_t) / (1 - beta2) * powers)


def limit_factor(beta1: float, beta2: float) -> float:
    """R_∞: 7.27 for (0.9, 0.999), 1.165 for (0.9, 0.95), 1 for β₁ = β₂; infinite where β₁² ≥ β₂."""
    ratio = beta1 * beta1 / beta2
    return math.inf if ratio >= 1 else (1 - beta1) / math.sqrt((1 - beta2) * (1 - ratio))


def travel(rates: Sequence[float], factors: Iterable[float] | None = None, decay: float = 0.0) -> Travel:
    """The bound on steps of at most ηₜRₜ with decoupled decay λ, in torch's order of decay and step.

    |θ_T − θ₀| ≤ |1 − Π(1 − ηₜλ)|·|θ₀| + Σ ηₜRₜ Π_{s>t} |1 − ηₛλ|. Without `factors` every Rₜ is 1: signSGD and Lion.
    """
    reach, kept = 0.0, 1.0
    for rate, factor in zip(rates, repeat(1.0) if factors is None else factors, strict=False):
        keeps = 1.0 - rate * decay
        reach = reach * abs(keeps) + rate * factor
        kept *= keeps
    return Travel(reach=reach, decay=abs(1.0 - kept))


def sgd_distance(
    rates: Sequence[float],
    sizes: Sequence[float],
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
    base_norm: float = 0.0,
) -> float:
    """The furthest in ‖θ_T − θ₀‖₂ for gradients of norms up to `sizes`, step for step; torch's order of operations.

    Without decay and dampening it is Σ ηₜ Σ_{s≤t} μ^{t−s} cₛ, attained by gradients that keep their direction. Decay is
    torch's, added to the gradient after clipping: its part is bounded through ‖θ_t‖ ≤ ‖θ₀‖ + ‖θ_t − θ₀‖.
    """
    distance, velocity = 0.0, 0.0
    for place, (rate, size) in enumerate(zip(rates, sizes, strict=True)):
        gradient = size + decay * (base_norm + distance)
        velocity = momentum * velocity + gradient * (1.0 - dampening if place else 1.0)
        distance += rate * (gradient + momentum * velocity if nesterov else velocity)
    return distance
