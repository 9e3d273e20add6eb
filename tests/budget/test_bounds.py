"""The bounds hold for whatever gradients torch's optimizers are given, and are attained."""

import math
from itertools import islice
from typing import Any

import pytest
import torch
from tests.reference import budget as reference

from forgetaudit.budget.bounds import (
    Factors,
    adam_factors,
    furthest,
    inflation,
    limit_factor,
    sgd_distance,
    travel,
)
from forgetaudit.budget.rates import Rates

COSINE = [0.005 * (1 + math.cos(math.pi * (t - 1) / 200)) for t in range(1, 201)]
WARM = [0.001 * min(t / 10, (120 - t) / 110) for t in range(1, 120)]
PAIRS = [
    (0.9, 0.999),
    (0.9, 0.99),
    (0.9, 0.98),
    (0.9, 0.95),
    (0.9, 0.9),
    (0.5, 0.999),
    (0.95, 0.85),
    (0.0, 0.99),
]


def bound(rates: list[float], betas: tuple[float, float], decay: float, size: float) -> float:
    return travel(rates, adam_factors(*betas), decay).of(size)


def worst(betas: tuple[float, float]) -> Any:
    """Gradients gₜ ∝ (β₂/β₁)ᵗ, from 1."""
    ratio = betas[1] / betas[0]
    return lambda step: torch.full((2,), ratio ** (step - 1), dtype=torch.float64)


@pytest.mark.parametrize(
    ("betas", "limit"),
    [((0.9, 0.999), 7.27), ((0.9, 0.99), 2.35), ((0.9, 0.98), 1.70), ((0.9, 0.95), 1.165), ((0.9, 0.9), 1.0)],
)
def test_the_factors_go_from_1_to_the_known_limits(betas: tuple[float, float], limit: float) -> None:
    factors = list(islice(adam_factors(*betas), 20_000))
    assert factors[0] == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(limit, abs=0.006)
    assert limit_factor(*betas) == pytest.approx(factors[-1], rel=1e-8)


def test_the_factors_grow_without_limit_where_the_first_average_is_the_longer() -> None:
    assert limit_factor(0.95, 0.85) == math.inf
    factors = list(islice(adam_factors(0.95, 0.85), 300))
    assert factors[-1] > 1000


@pytest.mark.parametrize("betas", PAIRS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_bound_is_the_formula(betas: tuple[float, float], decay: float) -> None:
    for rates in (COSINE, WARM):
        expected = reference.adam_bound(rates, betas, decay, 0.7)
        assert bound(rates, betas, decay, 0.7) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("betas", [pair for pair in PAIRS if pair[0]])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_attains_the_bound_to_1e_12(betas: tuple[float, float], decay: float) -> None:
    # A positive gradient takes a positive weight the way that decay pulls it.
    start = torch.tensor([0.0, 0.7])
    went = reference.moved(
        torch.optim.AdamW,
        start,
        WARM,
        worst(betas),
        betas=betas,
        eps=1e-30,
        weight_decay=decay,
        foreach=False,
    )
    for size, distance in zip(start.tolist(), went.abs().tolist(), strict=True):
        assert distance == pytest.approx(bound(WARM, betas, decay, size), rel=1e-12)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("betas", PAIRS)
def test_no_gradients_of_any_kind_take_adamw_further(betas: tuple[float, float], amsgrad: bool) -> None:
    draw = torch.Generator().manual_seed(7)
    start = torch.randn(64, generator=draw)
    noise = torch.randn(len(WARM) + 1, 64, generator=draw, dtype=torch.float64)
    kinds = {
        "noise": lambda t: noise[t],
        "heavy tails": lambda t: noise[t] ** 5,
        "one way": lambda t: noise[0],
        "rare": lambda t: noise[t] * (t % 17 == 0),
        "growing": lambda t: noise[0] * 1.1**t,
        "fading": lambda t: noise[0] * 0.8**t,
        "turning": lambda t: noise[0] * (-1) ** (t // 30) * 1.07**t,
    }
    sizes = start.abs().tolist()
    limit = torch.tensor([bound(WARM, betas, 0.1, size) for size in sizes], dtype=torch.float64)
    for name, kind in kinds.items():
        went = reference.moved(
            torch.optim.AdamW,
            start,
            WARM,
            kind,
            betas=betas,
            weight_decay=0.1,
            amsgrad=amsgrad,
            foreach=False,
        )
        assert torch.all(went.abs() <= limit * (1 + 1e-9)), name


def test_coupled_decay_is_part_of_the_gradient_and_moves_nothing_by_itself() -> None:
    draw = torch.Generator().manual_seed(1)
    start = torch.randn(64, generator=draw) * 10
    noise = torch.randn(len(WARM) + 1, 64, generator=draw, dtype=torch.float64)
    for decay in (0.01, 1.0, 100.0):
        went = reference.moved(
            torch.optim.Adam, start, WARM, lambda t: noise[t], weight_decay=decay, foreach=False
        )
        assert went.abs().max() <= travel(WARM, adam_factors(0.9, 0.999)).reach


def test_lion_and_signsgd_go_as_far_as_their_rates_add_up() -> None:
    rates, decay, size = WARM, 0.1, 0.7
    weight = size
    for rate in rates:
        weight = weight * (1 - rate * decay) - rate
    assert travel(rates, None, decay).of(size) == pytest.approx(size - weight, rel=1e-12)
    assert travel(rates).reach == pytest.approx(sum(rates))


def test_clipped_sgd_with_momentum_goes_9_1593() -> None:
    assert sgd_distance(COSINE, [1.0] * 200, momentum=0.9) == pytest.approx(9.1593, abs=5e-5)
    assert sgd_distance(COSINE, [1.0] * 200, momentum=0.9) == pytest.approx(
        reference.sgd_bound(COSINE, 1, 0.9)
    )
    went = reference.moved(
        torch.optim.SGD, torch.zeros(4), COSINE, lambda t: torch.full((4,), 0.5), momentum=0.9, foreach=False
    )
    assert float(went.norm()) == pytest.approx(9.1593, abs=5e-5)


@pytest.mark.parametrize("options", [{}, {"dampening": 0.5}, {"nesterov": True}, {"weight_decay": 0.3}])
def test_sgd_stays_within_its_bound_however_it_is_set(options: dict[str, Any]) -> None:
    draw = torch.Generator().manual_seed(3)
    start = torch.randn(32, generator=draw)
    directions = torch.randn(201, 32, generator=draw, dtype=torch.float64)
    sizes = [0.2 + (t % 7) for t in range(1, 201)]
    ours = {{"weight_decay": "decay"}.get(name, name): value for name, value in options.items()}
    limit = sgd_distance(COSINE, sizes, momentum=0.9, base_norm=float(start.norm()), **ours)
    for way in (lambda t: directions[t], lambda t: directions[0], lambda t: start.double()):
        went = reference.moved(
            torch.optim.SGD,
            start,
            COSINE,
            lambda t, way=way: way(t) / way(t).norm() * sizes[t - 1],
            momentum=0.9,
            foreach=False,
            **options,
        )
        assert float(went.norm()) <= limit * (1 + 1e-9)


@pytest.mark.parametrize("options", [{}, {"dampening": 0.5}, {"nesterov": True}])
def test_sgd_attains_it_where_gradients_keep_their_direction(options: dict[str, Any]) -> None:
    limit = sgd_distance(COSINE, [2.0] * 200, momentum=0.9, **options)
    went = reference.moved(
        torch.optim.SGD,
        torch.zeros(4),
        COSINE,
        lambda t: torch.ones(4),
        momentum=0.9,
        foreach=False,
        **options,
    )
    assert float(went.norm()) == pytest.approx(limit, rel=1e-12)


@pytest.mark.parametrize("betas", PAIRS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_furthest_of_all_steps_is_the_bound_where_it_only_grows(
    betas: tuple[float, float], decay: float
) -> None:
    ours = furthest(COSINE, Factors.of_adam(*betas), decay)
    assert ours.of(0.7) >= bound(COSINE, betas, decay, 0.7) * (1 - 1e-12)
    assert ours.of(0.7) == pytest.approx(bound(COSINE, betas, decay, 0.7), rel=1e-3)


def test_averages_of_all_steps_stay_within_the_furthest_of_them() -> None:
    # Decay takes back at the end what the first steps went.
    rates, betas, decay = [1.0] * 3 + [0.09] * 60, (0.9, 0.999), 10.0
    start, weight, highest = 0.0, torch.zeros(2), 0.0
    went = [
        float(reference.moved(torch.optim.AdamW, weight, rates[:n], worst(betas), betas=betas, eps=1e-30, weight_decay=decay, foreach=False)[0])
        for n in range(1, len(rates) + 1)
    ]  # fmt: skip
    limit = furthest(rates, Factors.of_adam(*betas), decay).of(start)
    highest = max(map(abs, went))
    assert highest <= limit
    assert highest > bound(rates, betas, decay, start)


def test_equal_steps_at_once_are_the_same_as_one_by_one() -> None:
    every = [0.01] * 300 + [0.003] * 200_000
    rates = Rates([(0.01, 300), (0.003, 200_000)])
    for decay in (0.0, 0.05):
        one_by_one = travel(every, None, decay)
        at_once = furthest(rates, None, decay)
        assert at_once.of(0.5) == pytest.approx(one_by_one.of(0.5), rel=1e-9)
    options: dict[str, Any] = {"momentum": 0.9, "decay": 0.01, "base_norm": 2.0, "nesterov": True}
    slow = sgd_distance([0.001 + 1e-12 * (at % 2) for at in range(2_000)], [1.0] * 2_000, **options)
    assert sgd_distance(Rates([(0.001, 2_000)]), Rates([(1.0, 2_000)]), **options) == pytest.approx(
        slow, rel=1e-6
    )


def test_adam_whose_first_beta_changes_stays_within_the_bound_of_its_range() -> None:
    draw = torch.Generator().manual_seed(2)
    noise = torch.randn(len(WARM) + 1, 64, generator=draw, dtype=torch.float64)
    limit = furthest(WARM, Factors.of_adam(0.95, 0.99, 0.6)).reach
    for kind in (lambda t: noise[t] ** 3, lambda t: noise[0] * 1.04**t, lambda t: noise[0] * (t % 9 == 0)):
        weights = torch.nn.Parameter(torch.zeros(64, dtype=torch.float64))
        optimizer = torch.optim.AdamW([weights], betas=(0.95, 0.99), weight_decay=0.0, foreach=False)
        for step, rate in enumerate(WARM, 1):
            lowest = 0.95 if step % 7 < 4 else 0.6
            optimizer.param_groups[0] |= {"lr": rate, "betas": (lowest, 0.99)}
            weights.grad = kind(step)
            optimizer.step()
        assert float(weights.detach().abs().max()) <= limit


def test_an_adam_that_starts_again_on_the_way_stays_within_the_bound_of_one_that_does_not() -> None:
    rates, betas = [1e-3] * 60, (0.9, 0.95)
    limit = furthest(rates, Factors.of_adam(*betas)).reach
    parts = [float(reference.moved(torch.optim.AdamW, torch.zeros(2), [1e-3] * n, worst(betas), betas=betas, eps=1e-30, weight_decay=0.0, foreach=False).abs().max()) for n in (25, 35)]  # fmt: skip
    assert sum(parts) <= limit


def test_rounding_the_averages_adds_little_to_usual_betas_and_much_to_others() -> None:
    assert inflation(0.9, 0.999, 2.0**-24, 10**6) - 1 < 1e-5
    assert inflation(0.9, 0.999, 2.0**-8, 10**6) < 1.25
    assert inflation(0.999, 0.999, 2.0**-8, 10**6) == math.inf


def test_an_8_bit_average_of_squares_that_vanishes_beside_a_large_one_bounds_nothing() -> None:
    """Why there is no bound: a blockwise map of 256 values, the smallest of them 1e-7 or so of the largest."""
    levels = torch.cat([torch.zeros(1), torch.logspace(-7, 0, 255, dtype=torch.float64)])

    def stored(average: torch.Tensor) -> torch.Tensor:
        scaled = average.abs() / average.abs().max()
        nearest = levels[(scaled[:, None] - levels).abs().argmin(dim=1)]
        return average.sign() * nearest * average.abs().max()

    first, second, steps = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64), []
    for gradient in (torch.tensor([1e4, 1e-1]), torch.tensor([1e4, 0.0])):
        first = 0.9 * stored(first) + 0.1 * gradient if steps else 0.1 * gradient.double()
        second = 0.999 * stored(second) + 0.001 * gradient**2 if steps else 0.001 * gradient.double() ** 2
        t = len(steps) + 1
        steps.append(float((first / (1 - 0.9**t) / ((second / (1 - 0.999**t)).sqrt() + 1e-8))[1]))
    assert steps[0] == pytest.approx(1.0, abs=1e-6)
    assert steps[1] > 1e5
