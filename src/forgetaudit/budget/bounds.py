"""The furthest that an optimizer can move a weight, whatever the gradients were: exact, and attained.

Adam and AdamW move a coordinate by at most ηₜRₜ in step t, by Cauchy–Schwarz over the gradients so far:
Rₜ = (1−β₁)/(1−β₁ᵗ) · √((1−β₂ᵗ)/(1−β₂)) · √(Σ_{k<t} (β₁²/β₂)ᵏ), with equality for gₜ ∝ (β₂/β₁)ᵗ in every step at once.
ε, AMSGrad and clipping only shorten the way. Kingma and Ba (arXiv 1412.6980) print smaller numbers for special cases.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, repeat

import numpy as np

from forgetaudit.budget.rates import stretches_of, stretches_together

__all__ = [
    "ARITHMETIC",
    "Factors",
    "TravelBound",
    "adam_factors",
    "furthest",
    "inflation",
    "limit_factor",
    "sgd_distance",
    "travel",
]

# From here on Rₜ is taken at its limit: for β₂ of 0.999 it has long arrived.
_EXACT = 100_000
# What is allowed for an optimizer's own arithmetic in a dtype, relative to the bound: see `inflation`.
ARITHMETIC: Mapping[str, float] = {"float64": 1e-6, "float32": 1e-3, "float16": 1.0, "bfloat16": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class TravelBound:
    """|θ_T − θ₀| ≤ `reach` + `decay`·|θ₀| in every coordinate."""

    reach: float
    decay: float

    def of(self, size: float) -> float:
        """The bound for a weight that began with the absolute value `size`."""
        return self.reach + self.decay * size


def adam_factors(beta1: float, beta2: float, lowest: float | None = None) -> Iterator[float]:
    """R₁, R₂, … without end, for 0 ≤ β₁ < 1 and 0 < β₂ < 1. R₁ is 1; where β₁² ≥ β₂ they grow without limit.

    Where β₁ changes from step to step, `beta1` is its highest value and `lowest` its lowest: still a bound.
    """
    newest = 1 - (beta1 if lowest is None else lowest)
    ratio, powers, beta1_t, beta2_t = beta1 * beta1 / beta2, 0.0, 1.0, 1.0
    while True:
        powers = 1.0 + ratio * powers
        beta1_t *= beta1
        beta2_t *= beta2
        yield newest / (1 - beta1_t) * math.sqrt((1 - beta2_t) / (1 - beta2) * powers)


def limit_factor(beta1: float, beta2: float, lowest: float | None = None) -> float:
    """R_∞: 7.27 for (0.9, 0.999), 1.165 for (0.9, 0.95), 1 for β₁ = β₂; infinite where β₁² ≥ β₂."""
    ratio = beta1 * beta1 / beta2
    newest = 1 - (beta1 if lowest is None else lowest)
    return math.inf if ratio >= 1 else newest / math.sqrt((1 - beta2) * (1 - ratio))


def inflation(beta1: float, beta2: float, roundoff: float, n_steps: int) -> float:
    """How many times Rₜ grows when both averages are rounded in every step, by `roundoff` relative to themselves.

    A handful of roundings a step make β₁²/β₂ larger by at most a factor of 1 + 16u, and hence the sum of its powers.
    """
    ratio, wider = beta1 * beta1 / beta2, beta1 * beta1 / beta2 * (1 + 16 * roundoff)
    limits = math.sqrt((1 - ratio) / (1 - wider)) if wider < 1 else math.inf
    growth = 8 * roundoff * n_steps
    return min(limits, math.exp(growth) if growth < 700 else math.inf)


class Factors:
    """The most that a step can be in multiples of its rate: R₁, R₂, …, and from some step on one limit for all.

    Never smaller than before, so that an optimizer that starts again on the way is within its bound, too.
    """

    def __init__(self, exact: Iterable[float] = (), limit: float = 1.0) -> None:
        self._exact, self._limit = exact, limit

    @classmethod
    def of_adam(cls, beta1: float, beta2: float, lowest: float | None = None) -> "Factors":
        """Those of Adam."""
        limit = limit_factor(beta1, beta2, lowest) / (1 - beta1**_EXACT)
        return cls(islice(adam_factors(beta1, beta2, lowest), _EXACT), limit)

    def __iter__(self) -> Iterator[float | None]:
        """Factors as long as they differ, then None."""
        highest = 0.0
        for factor in self._exact:
            highest = max(highest, factor)
            yield highest
        self._limit = max(self._limit, highest)
        yield from repeat(None)

    @property
    def limit(self) -> float:
        """No factor after those of the iteration is larger."""
        return self._limit


def furthest(
    rates: Iterable[float], factors: Factors | None = None, decay: float = 0.0, skipped: int = 0
) -> TravelBound:
    """The bound for every step up to the last, and so for any average of them (EMA, SWA), and the best of them.

    Steps of at most ηₜRₜ with decoupled decay λ, in torch's order of decay and step:
    |θ_t − θ_0| ≤ Σ |1 − ηₛλ|… as in `travel`. `skipped` steps were made before. Without `factors` every Rₜ is 1.
    """
    factors = factors or Factors()
    each, reach, fading = islice(iter(factors), min(skipped, _EXACT), None), 0.0, 0.0
    most_reach, most_fading = 0.0, 0.0
    for rate, n in stretches_of(rates):
        keeps, left = 1.0 - rate * decay, n
        while left and (factor := next(each)) is not None:
            reach = reach * abs(keeps) + rate * factor
            fading = fading * abs(keeps) + abs(1 - keeps)
            most_reach, most_fading = max(most_reach, reach), max(most_fading, fading)
            left -= 1
        reach = _repeated(abs(keeps), rate * factors.limit if rate else 0.0, reach, left)
        fading = _repeated(abs(keeps), abs(1 - keeps), fading, left)
        most_reach, most_fading = max(most_reach, reach), max(most_fading, fading)
    return TravelBound(reach=most_reach, decay=most_fading)


def _repeated(factor: float, added: float, value: float, n: int) -> float:
    """X ← factor·x + added, n times from `value`."""
    if n == 0:
        return value
    if factor == 1.0:
        return value + n * added
    if factor == 0.0:
        return added
    powers = n * math.log1p(factor - 1)
    if powers > 700:
        return math.inf if value or added else 0.0
    return value * math.exp(powers) + added * math.expm1(powers) / (factor - 1)


def travel(rates: Iterable[float], factors: Iterable[float] | None = None, decay: float = 0.0) -> TravelBound:
    """The bound on steps of at most ηₜRₜ with decoupled decay λ, in torch's order of decay and step.

    |θ_T − θ_0| ≤ |1 − Π(1 − ηₜλ)|·|θ_0| + Σ ηₜRₜ Π_{s>t} |1 − ηₛλ|. Without `factors` every Rₜ is 1: signSGD and Lion.
    """
    reach, kept = 0.0, 1.0
    for rate, factor in zip(rates, repeat(1.0) if factors is None else factors, strict=False):
        keeps = 1.0 - rate * decay
        reach = reach * abs(keeps) + rate * factor
        kept *= keeps
    return TravelBound(reach=reach, decay=abs(1.0 - kept))


def sgd_distance(
    rates: Iterable[float],
    sizes: Iterable[float],
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
    # Without momentum torch keeps no velocity, and dampens nothing.
    dampening = dampening if momentum else 0.0
    # (distance, velocity, 1) after a step is a linear map of what it was, so n equal steps are a power of it.
    state, is_first = np.array([0.0, 0.0, 1.0]), True
    with np.errstate(all="ignore"):
        for rate, size, n in stretches_together(rates, sizes):
            for keeps, repeats in (
                ((1.0, 1), (1.0 - dampening, n - 1)) if is_first else ((1.0 - dampening, n),)
            ):
                step = _sgd_step(rate, size + decay * base_norm, momentum, keeps, decay, nesterov=nesterov)
                state = (step if repeats == 1 else np.linalg.matrix_power(step, repeats)) @ state
            is_first = False
    return float(state[0])


def _sgd_step(
    rate: float, size: float, momentum: float, keeps: float, decay: float, *, nesterov: bool
) -> np.ndarray:
    gradient = np.array([decay, 0.0, size])
    velocity = np.array([0.0, momentum, 0.0]) + keeps * gradient
    moved = rate * (gradient + momentum * velocity if nesterov else velocity)
    return np.stack([np.array([1.0, 0.0, 0.0]) + moved, velocity, np.array([0.0, 0.0, 1.0])])
